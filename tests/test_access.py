"""Who may do what: every URL of the project, for every kind of user, by every method.

A new URL needs a row in TABLE: a test fails until it has one.
"""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import get_resolver

from tests.users import (
    ALL,
    BEARERS,
    CHANGE,
    KINDS,
    LATEST,
    RUNNERS,
    STAFF,
    SUPERUSER,
    UNAUTHENTICATED,
    VIEW,
    VIEWERS,
    Names,
    Site,
    having,
    shared_site,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Row:
    """The statuses of a URL, by METHODS, for groups of users; a user's first group counts.

    One status stands for all methods. `login` is a redirect to the login.
    """

    def __init__(self, *groups: tuple[Names, str]) -> None:
        self.groups = groups

    def statuses(self, name: str) -> list[str]:
        statuses = next(statuses for names, statuses in self.groups if name in names).split()
        return statuses if len(statuses) == len(METHODS) else statuses * len(METHODS)


def api(viewers: Names, statuses: str = "200 200 405 405 405 405 200 405") -> Row:
    """Return the row of a REST endpoint, or of one that is protected like it."""
    return Row((viewers, statuses), (UNAUTHENTICATED, "401"), (ALL, "403"))


def mirror(viewers: Names) -> Row:
    """Return the row of one of Rocket.Chat's endpoints, which have no other method."""
    others = "404 404 404 404 404 404"
    return Row(
        (viewers - BEARERS, f"200 200 {others}"),
        (UNAUTHENTICATED | BEARERS, f"401 401 {others}"),
        (ALL, f"403 403 {others}"),
    )


def admin(*groups: tuple[Names, str], other_staff: str = "403") -> Row:
    """Return the row of an admin page: users who are not staff are sent to the login."""
    staff_groups = tuple((names & STAFF, statuses) for names, statuses in groups)
    return Row(*staff_groups, (STAFF, other_staff), (ALL, "login"))


def admin_of(model: str, viewers: Names, editors: Names = frozenset()) -> dict[str, Row]:
    """Return the rows of a model whose objects cannot be added or deleted in the admin."""
    return {
        f"admin/{model}/": admin((viewers, "200")),
        f"admin/{model}/add/": admin(),
        f"admin/{model}/<path:object_id>/history/": admin((viewers, "200")),
        f"admin/{model}/<path:object_id>/delete/": admin(),
        f"admin/{model}/<path:object_id>/change/": admin(
            (editors, "200 200 302 200 200 200 200 200"),
            (viewers, "200 200 403 200 200 200 200 200"),
        ),
        f"admin/{model}/<path:object_id>/": admin((STAFF, "302 302 302 302 302 302 302 405")),
    }


def stock_admin_of(model: str) -> dict[str, Row]:
    """Return the rows of one of Django's models, which only superusers may use here."""
    pages = admin_of(model, SUPERUSER, SUPERUSER)
    pages |= {page: admin((SUPERUSER, "200")) for page in pages if "<path:object_id>/" not in page}
    for page in ("delete", "change"):
        pages[f"admin/{model}/<path:object_id>/{page}/"] = admin((SUPERUSER, "200"))
    return pages


def token_admin() -> dict[str, Row]:
    """Return the rows of the API tokens, all of which belong to another user here."""
    model = "importmonitor/apitoken"
    owners = having("add_apitoken")
    # As for a token that does not exist.
    not_theirs = (owners, "302")
    return admin_of(model, owners) | {
        f"admin/{model}/add/": admin((owners, "200")),
        # They have none, and are sent to the list.
        f"admin/{model}/revoke/": admin((owners, "302")),
        f"admin/{model}/<path:object_id>/history/": admin((SUPERUSER, "200"), not_theirs),
        f"admin/{model}/<path:object_id>/delete/": admin((SUPERUSER, "200"), not_theirs),
        f"admin/{model}/<path:object_id>/change/": admin(
            (SUPERUSER, "200 200 302 200 200 200 200 200"), not_theirs
        ),
    }


def incident_admin() -> dict[str, Row]:
    """Return the rows of the incidents, which are acknowledged and muted by POST alone."""
    model, editors = "importmonitor/incident", having("change_incident")
    post = admin(
        (editors, "405 405 302 405 405 405 405 405"), other_staff="405 405 403 405 405 405 405 405"
    )
    return admin_of(model, having("run-import", "view_incident", "change_incident"), editors) | {
        f"admin/{model}/acknowledge/": post,
        f"admin/{model}/mute/": post,
        f"admin/{model}/<path:object_id>/end/": post,
    }


#: Who may acknowledge incidents.
EDITORS = having("change_incident")
OPERATION_ADMIN = "importmonitor/importoperation"
WORKSPACE_BUTTON = admin(
    (RUNNERS, "405 405 302 405 405 405 405 405"), other_staff="405 405 403 405 405 405 405 405"
)
TABLE: dict[str, Row] = {
    "": Row((ALL, "302 302 302 302 302 302 302 405")),
    "healthz": Row((ALL, "200 200 405 405 405 405 405 405")),
    "metrics": api(VIEWERS),
    # The REST API and its schema.
    "api/import-operations/": api(VIEWERS),
    "api/import-operations/<int:pk>/": api(VIEWERS),
    "api/import-operations/<int:pk>/transitions/": api(VIEWERS),
    "api/import-operations/<int:pk>/samples/": api(VIEWERS),
    "api/import-operations/<path:rest>/": Row((ALL, "404")),
    "api/workspaces/": api(VIEWERS),
    "api/workspaces/<str:alias>/maintenance/": api(EDITORS, "405 405 400 405 405 204 200 405"),
    "api/workspaces/<path:rest>/": Row((ALL, "404")),
    "api/incidents/": api(VIEWERS),
    "api/incidents/<int:pk>/": api(VIEWERS),
    "api/incidents/<int:pk>/acknowledge/": api(EDITORS, "405 405 200 405 405 405 200 405"),
    "api/incidents/<path:rest>/": Row((ALL, "404")),
    "api/schema/": api(VIEWERS),
    # A page for browsers: without any credentials, to the login.
    "api/docs/": Row(
        (frozenset({"anonymous", "inactive"}), "login"),
        *api(VIEWERS, "200 200 405 405 405 405 405 405").groups,
    ),
    # Rocket.Chat's endpoints, for `default` and for every workspace.
    "api/v1": Row((ALL, "404")),
    "workspaces/<str:alias>/api/v1": Row((ALL, "404")),
    **{
        f"{prefix}{endpoint}": row
        for prefix in ("api/v1/", "workspaces/<str:alias>/api/v1/")
        for endpoint, row in {
            "getCurrentImportOperation": mirror(RUNNERS),
            "getLatestImportOperations": mirror(having(LATEST)),
            "getImportProgress": mirror(RUNNERS),
            "import.status": mirror(RUNNERS),
            "^": Row((ALL, "404")),
        }.items()
    },
    # The app's admin pages.
    **admin_of(OPERATION_ADMIN, having("run-import", VIEW, CHANGE), having(CHANGE)),
    f"admin/{OPERATION_ADMIN}/sync/": admin(
        (RUNNERS, "405 405 302 405 405 405 405 405"), other_staff="405 405 403 405 405 405 405 405"
    ),
    f"admin/{OPERATION_ADMIN}/export/<str:file_format>/": admin(
        (having("run-import", VIEW, CHANGE), "200 200 405 405 405 405 405 405")
    ),
    # None of them names an alert.
    f"admin/{OPERATION_ADMIN}/<path:object_id>/retry/": admin(
        (RUNNERS, "405 405 404 405 405 405 405 405"), other_staff="405 405 403 405 405 405 405 405"
    ),
    f"admin/{OPERATION_ADMIN}/<path:object_id>/notify/": admin(
        (having("run-import", VIEW, CHANGE), "405 405 302 405 405 405 405 405")
    ),
    **admin_of("importmonitor/alert", having("run-import", "view_alert")),
    "admin/importmonitor/alert/test/": admin(
        (RUNNERS, "405 405 302 405 405 405 405 405"), other_staff="405 405 403 405 405 405 405 405"
    ),
    **admin_of("importmonitor/workspace", having("run-import", "view_workspace")),
    **{
        f"admin/importmonitor/workspace/<path:object_id>/{button}/": WORKSPACE_BUTTON
        for button in ("sync", "check")
    },
    **incident_admin(),
    **token_admin(),
    # Django's admin pages.
    "admin/": admin((STAFF, "200")),
    "admin/login/": Row(
        (STAFF, "302 200 200 200 405 405 200 405"), (ALL, "200 200 200 200 405 405 200 405")
    ),
    "admin/logout/": Row((STAFF, "405 405 200 405 405 405 200 405"), (ALL, "302")),
    "admin/password_change/": admin((STAFF, "200 200 200 200 405 405 200 405")),
    "admin/password_change/done/": admin((STAFF, "200 200 405 405 405 405 200 405")),
    "admin/autocomplete/": admin((STAFF, "403 403 405 405 405 405 200 405")),
    "admin/jsi18n/": admin((STAFF, "200 200 405 405 405 405 200 405")),
    "admin/r/<path:content_type_id>/<path:object_id>/": admin(other_staff="404"),
    "admin/^(?P<app_label>importmonitor|auth)/$": admin(
        (STAFF - {"staff", f"staff {LATEST}"}, "200"), other_staff="404"
    ),
    "admin/(?P<url>.*)$": admin(other_staff="404"),
    **stock_admin_of("auth/user"),
    **stock_admin_of("auth/group"),
    "admin/auth/user/<id>/password/": admin((SUPERUSER, "200")),
}


def routes(resolver: Any, prefix: str = "") -> Iterator[str]:
    """Yield every route of a resolver, as its pattern."""
    for pattern in resolver.url_patterns:
        route = f"{prefix}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, route)
        else:
            yield route


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    with shared_site(django_db_blocker) as site:
        yield site


def status(response: "Response") -> str:
    to_login = response.get("Location", "").startswith("/admin/login/?next=")
    return "login" if to_login else str(response.status_code)


def test_every_url_has_a_row_in_the_table() -> None:
    existing = set(routes(get_resolver("project.urls")))
    assert existing - set(TABLE) == set(), "these are not in the table"
    assert set(TABLE) - existing == set(), "these no longer exist"


@pytest.mark.thorough(one_in=50)
@pytest.mark.parametrize("route", TABLE)
def test_url_answers_every_user_and_method_as_in_the_table(site: Site, route: str) -> None:
    url = site.url(route)
    for name in KINDS:
        statuses = [status(site.request(name, method, url)) for method in METHODS]
        assert statuses == TABLE[route].statuses(name), (name, url)


#: Routes on which the existence of an object is a secret. Django's admin reveals that of users
#: and groups.
SECRET_ROUTES = [
    route
    for route in TABLE
    if "<int:pk>" in route
    or "<str:alias>" in route
    or ("<path:object_id>" in route and "auth/" not in route)
]


@pytest.mark.thorough(one_in=40)
@pytest.mark.parametrize("route", SECRET_ROUTES)
def test_hidden_object_is_answered_like_a_missing_one(site: Site, route: str) -> None:
    hidden_url, missing_url = site.url(route), site.url(route, missing=True)
    parts = zip(hidden_url.split("/"), missing_url.split("/"), strict=True)
    key = next(part for part, other in parts if other == Site.MISSING)
    for name, method in product(KINDS, METHODS):
        statuses = TABLE[route].statuses(name)
        # Those who may use it by any method but OPTIONS, or press a button of it, may see it.
        may_see = {"200", "204"} & set(statuses[:6]) or statuses[:3] == ["405", "405", "302"]
        if not may_see:
            hidden = as_text(site.request(name, method, hidden_url))
            missing = as_text(site.request(name, method, missing_url))
            assert hidden == missing.replace(Site.MISSING, key), (name, method)


def as_text(response: "Response") -> str:
    """Return a whole response: status, headers, names of the cookies, body."""
    headers = sorted(f"{name}: {value}" for name, value in response.items())
    cookies = sorted(response.cookies)
    return f"{response.status_code} {headers} {cookies} {response.content.decode()}"


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_admin_refuses_requests_without_a_csrf_token(site: Site, method: str) -> None:
    """A browser sends its session along whichever site made the form."""
    session, _headers = site.credentials["superuser"]
    client = Client(enforce_csrf_checks=True)
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    for route, row in TABLE.items():
        if route.startswith("admin/") and set(row.statuses("superuser")) & {"200", "302"}:
            assert client.generic(method, site.url(route)).status_code == 403, route
