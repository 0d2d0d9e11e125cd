"""Who gets in where: every address of the project, for every kind of person, by every method.

Whoever adds an address adds a row to TABLE: a test fails until it is there.
"""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client, override_settings
from django.urls import get_resolver

from tests.api.helpers import NOON
from tests.users import (
    BEARERS,
    CHANGE,
    EVERYBODY,
    LATEST,
    PEOPLE,
    RUNNERS,
    SEERS,
    STAFF,
    STRANGERS,
    SUPERUSER,
    VIEW,
    People,
    World,
    those_with,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Row:
    """What an address answers, by METHODS; of the groups, the first that has somebody counts.

    A status is of all methods, or there is one for each. `login` is a redirect to the login.
    """

    def __init__(self, *groups: tuple[People, str]) -> None:
        self.groups = groups

    def answers(self, name: str) -> list[str]:
        told = next(answers for people, answers in self.groups if name in people).split()
        return told if len(told) == len(METHODS) else told * len(METHODS)


def api(sees: People, answers: str = "200 200 405 405 405 405 200 405") -> Row:
    """Return the row of a page of the REST face, or of one that is guarded like it."""
    return Row((sees, answers), (STRANGERS, "401"), (EVERYBODY, "403"))


def mirror(sees: People) -> Row:
    """Return the row of an endpoint that answers as Rocket.Chat does: no other method is there."""
    others = "404 404 404 404 404 404"
    return Row(
        (sees - BEARERS, f"200 200 {others}"),
        (STRANGERS | BEARERS, f"401 401 {others}"),
        (EVERYBODY, f"403 403 {others}"),
    )


def admin(*groups: tuple[People, str], others: str = "403") -> Row:
    """Return the row of an admin page: others of the staff are refused, all others may log in."""
    inside = tuple((people & STAFF, answers) for people, answers in groups)
    return Row(*inside, (STAFF, others), (EVERYBODY, "login"))


def admin_of(model: str, sees: People, writes: People = frozenset()) -> dict[str, Row]:
    """Return the rows of a model whose rows nobody adds or deletes, and some may change."""
    return {
        f"admin/{model}/": admin((sees, "200")),
        f"admin/{model}/add/": admin(),
        f"admin/{model}/<path:object_id>/history/": admin((sees, "200")),
        f"admin/{model}/<path:object_id>/delete/": admin(),
        f"admin/{model}/<path:object_id>/change/": admin(
            (writes, "200 200 302 200 200 200 200 200"), (sees, "200 200 403 200 200 200 200 200")
        ),
        f"admin/{model}/<path:object_id>/": admin((STAFF, "302 302 302 302 302 302 302 405")),
    }


def stock_admin_of(model: str) -> dict[str, Row]:
    """Return the rows of a model of Django's own, which here superusers alone may touch."""
    pages = admin_of(model, SUPERUSER, SUPERUSER)
    pages |= {page: admin((SUPERUSER, "200")) for page in pages if "<path:object_id>/" not in page}
    for page in ("delete", "change"):
        pages[f"admin/{model}/<path:object_id>/{page}/"] = admin((SUPERUSER, "200"))
    return pages


def token_admin() -> dict[str, Row]:
    """Return the rows of the API tokens, of which each here is somebody else's."""
    model = "importmonitor/apitoken"
    makers = those_with("add_apitoken")
    # To those who may make their own, as one that there is not.
    elsewhere = (makers, "302")
    return admin_of(model, makers) | {
        f"admin/{model}/add/": admin((makers, "200")),
        f"admin/{model}/<path:object_id>/history/": admin((SUPERUSER, "200"), elsewhere),
        f"admin/{model}/<path:object_id>/delete/": admin((SUPERUSER, "200"), elsewhere),
        f"admin/{model}/<path:object_id>/change/": admin(
            (SUPERUSER, "200 200 302 200 200 200 200 200"), elsewhere
        ),
    }


OPERATION_ADMIN = "importmonitor/importoperation"
TABLE: dict[str, Row] = {
    "": Row((EVERYBODY, "302 302 302 302 302 302 302 405")),
    "healthz": Row((EVERYBODY, "200 200 405 405 405 405 405 405")),
    "metrics": api(SEERS),
    # The REST face, and its description.
    "api/import-operations/": api(SEERS),
    "api/import-operations/<int:pk>/": api(SEERS),
    "api/import-operations/<int:pk>/transitions/": api(SEERS),
    "api/import-operations/<int:pk>/samples/": api(SEERS),
    "api/import-operations/<path:rest>/": Row((EVERYBODY, "404")),
    "api/workspaces/": api(SEERS),
    "api/workspaces/<path:rest>/": Row((EVERYBODY, "404")),
    "api/schema/": Row((EVERYBODY, "200 200 405 405 405 405 200 405")),
    "api/docs/": Row((EVERYBODY, "200 200 405 405 405 405 405 405")),
    # Rocket.Chat's, for `default` and for every workspace.
    "api/v1": Row((EVERYBODY, "404")),
    "workspaces/<str:alias>/api/v1": Row((EVERYBODY, "404")),
    **{
        f"{place}{endpoint}": answer
        for place in ("api/v1/", "workspaces/<str:alias>/api/v1/")
        for endpoint, answer in {
            "getCurrentImportOperation": mirror(RUNNERS),
            "getLatestImportOperations": mirror(those_with(LATEST)),
            "getImportProgress": mirror(RUNNERS),
            "import.status": mirror(RUNNERS),
            "^": Row((EVERYBODY, "404")),
        }.items()
    },
    # Our own pages of the admin.
    **admin_of(OPERATION_ADMIN, those_with("run-import", VIEW, CHANGE), those_with(CHANGE)),
    f"admin/{OPERATION_ADMIN}/sync/": admin(
        (RUNNERS, "405 405 302 405 405 405 405 405"), others="405 405 403 405 405 405 405 405"
    ),
    f"admin/{OPERATION_ADMIN}/export/<str:kind>/": admin(
        (those_with("run-import", VIEW, CHANGE), "200 200 405 405 405 405 405 405")
    ),
    **admin_of("importmonitor/alert", those_with("run-import", "view_alert")),
    **admin_of("importmonitor/syncperiod", those_with("run-import", "view_syncperiod")),
    **token_admin(),
    # Django's own.
    "admin/": admin((STAFF, "200")),
    "admin/login/": Row(
        (STAFF, "302 200 200 200 405 405 200 405"), (EVERYBODY, "200 200 200 200 405 405 200 405")
    ),
    "admin/logout/": Row((STAFF, "405 405 200 405 405 405 200 405"), (EVERYBODY, "302")),
    "admin/password_change/": admin((STAFF, "200 200 200 200 405 405 200 405")),
    "admin/password_change/done/": admin((STAFF, "200 200 405 405 405 405 200 405")),
    "admin/autocomplete/": admin((STAFF, "403 403 405 405 405 405 200 405")),
    "admin/jsi18n/": admin((STAFF, "200 200 405 405 405 405 200 405")),
    "admin/r/<path:content_type_id>/<path:object_id>/": admin(others="404"),
    "admin/^(?P<app_label>importmonitor|auth)/$": admin(
        (STAFF - {"staff", f"staff {LATEST}"}, "200"), others="404"
    ),
    "admin/(?P<url>.*)$": admin(others="404"),
    **stock_admin_of("auth/user"),
    **stock_admin_of("auth/group"),
    "admin/auth/user/<id>/password/": admin((SUPERUSER, "200")),
}


def routes(resolver: Any, place: str = "") -> Iterator[str]:
    """Yield every address of a resolver, as its pattern."""
    for pattern in resolver.url_patterns:
        route = f"{place}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, route)
        else:
            yield route


@pytest.fixture(autouse=True, scope="module")
def _quick_client() -> Iterator[None]:
    """Spare the client the list of all static files that WhiteNoise begins with."""
    with override_settings(WHITENOISE_AUTOREFRESH=True):
        yield


@pytest.fixture
def world(db: None) -> World:
    return World()


def status(response: "Response") -> str:
    to_login = response.get("Location", "").startswith("/admin/login/?next=")
    return "login" if to_login else str(response.status_code)


def test_every_address_has_its_row() -> None:
    found = set(routes(get_resolver("project.urls")))
    assert found - set(TABLE) == set(), "these are not in the table"
    assert set(TABLE) - found == set(), "these are no longer there"


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("route", TABLE)
def test_who_gets_in(world: World, route: str) -> None:
    url = world.address(route)
    for name in PEOPLE:
        answered = [status(world.ask(name, method, url)) for method in METHODS]
        assert answered == TABLE[route].answers(name), (name, url)


#: Where it is a secret whether there is such a thing; Django's own tells of users and groups.
SECRETS = [
    route
    for route in TABLE
    if "<int:pk>" in route
    or "<str:alias>" in route
    or ("<path:object_id>" in route and "auth/" not in route)
]


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize("route", SECRETS)
def test_what_one_may_not_see_might_as_well_not_be_there(world: World, route: str) -> None:
    there, missing = world.address(route), world.address(route, missing=True)
    named = there.split("/"), missing.split("/")
    key = next(key for key, other in zip(*named, strict=True) if other == World.MISSING)
    hidden = [name for name in PEOPLE if TABLE[route].answers(name)[0] != "200"]
    with time_machine.travel(NOON, tick=False):
        for name, method in product(hidden, METHODS):
            found, not_found = (whole(world.ask(name, method, url)) for url in (there, missing))
            assert found == not_found.replace(World.MISSING, key), (name, method)


def whole(response: "Response") -> str:
    """Return all that an answer tells."""
    headers = sorted(f"{name}: {value}" for name, value in response.items())
    cookies = sorted(response.cookies)
    return f"{response.status_code} {headers} {cookies} {response.content.decode()}"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_site_s_page_can_do_nothing(world: World, method: str) -> None:
    """A browser that is logged in sends its session along, whoever made the form."""
    session, _headers = world.credentials["superuser"]
    client = Client(enforce_csrf_checks=True)
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    for route, row in TABLE.items():
        if route.startswith("admin/") and set(row.answers("superuser")) & {"200", "302"}:
            assert client.generic(method, world.address(route)).status_code == 403, route
