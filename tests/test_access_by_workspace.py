"""Who sees which workspace: every URL of the project, for every person and workspace.

A new URL needs an entry in SHOWS: a test fails until it has one. All people here have all
permissions, so that only groups and the limits of tokens decide.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import time_machine
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.db import transaction
from django.test import Client, override_settings
from django.urls import get_resolver

from importmonitor.admin import AlertAdmin, ImportOperationAdmin, IncidentAdmin, WorkspaceAdmin
from importmonitor.api.rest import incidents, views
from importmonitor.api.rocketchat import cache as response_cache
from importmonitor.models import (
    Alert,
    ApiToken,
    ImportOperation,
    Incident,
    SyncPeriod,
    Workspace,
    viewers,
)
from importmonitor.sync.register import register_configured
from tests.api.helpers import NOON, RUNNING, sync, workspace_at
from tests.test_access import METHODS, TABLE, routes

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db

#: Everything that is stored of a hidden workspace has this word, and nothing else has it.
SECRET = "hush"
#: A word of the same length that is nowhere.
UNUSED = "nope"
#: The workspaces that are hidden; the second one is no longer configured. `default` is for all.
HIDDEN = ("hush", "hush-gone")
GROUP = "confidants"


class Person(NamedTuple):
    """Someone by their user's name, whether they come with a token, and what limits that."""

    user: str
    by_token: bool = False
    limit: tuple[str, ...] | None = None


CONFIDANTS = {
    "superuser": Person("superuser"),
    "member": Person("member"),
    "token of superuser": Person("superuser", by_token=True),
    "token of member": Person("member", by_token=True),
    "token of member, for hidden": Person("member", by_token=True, limit=HIDDEN),
}
OUTSIDERS = {
    "outsider": Person("outsider"),
    "token of outsider": Person("outsider", by_token=True),
    "token of stranger, for hidden": Person("stranger", by_token=True, limit=HIDDEN),
    "token of superuser, for default": Person("superuser", by_token=True, limit=("default",)),
    "token of member, for default": Person("member", by_token=True, limit=("default",)),
}
PEOPLE = CONFIDANTS | OUTSIDERS


def admin_of(model: str) -> dict[str, str]:
    page = f"admin/importmonitor/{model}/"
    return {page: "list", f"{page}add/": "nothing"} | {
        f"{page}<path:object_id>/{view}": "object"
        for view in ("", "history/", "delete/", "change/")
    }


#: What each URL shows: one object, several, or nothing of any workspace.
SHOWS: dict[str, str] = {
    **admin_of("importoperation"),
    **admin_of("alert"),
    **admin_of("workspace"),
    "admin/importmonitor/workspace/<path:object_id>/sync/": "object",
    "admin/importmonitor/workspace/<path:object_id>/check/": "object",
    **admin_of("incident"),
    "admin/importmonitor/incident/<path:object_id>/end/": "object",
    "admin/importmonitor/incident/acknowledge/": "nothing",
    "admin/importmonitor/incident/mute/": "nothing",
    "admin/importmonitor/alert/test/": "nothing",
    "api/incidents/": "list",
    "api/incidents/<int:pk>/": "object",
    "api/incidents/<int:pk>/acknowledge/": "object",
    "api/incidents/<path:rest>/": "nothing",
    "api/workspaces/<str:alias>/maintenance/": "object",
    "admin/importmonitor/importoperation/<path:object_id>/retry/": "object",
    "admin/importmonitor/importoperation/<path:object_id>/notify/": "object",
    "admin/importmonitor/importoperation/sync/": "nothing",
    "admin/importmonitor/importoperation/export/<str:file_format>/": "list",
    "admin/": "index",
    "api/import-operations/": "list",
    "api/import-operations/<int:pk>/": "object",
    "api/import-operations/<int:pk>/transitions/": "object",
    "api/import-operations/<int:pk>/samples/": "object",
    "api/workspaces/": "list",
    "metrics": "list",
    **{
        f"workspaces/<str:alias>/api/v1/{endpoint}": "object"
        for endpoint in (
            "getCurrentImportOperation",
            "getLatestImportOperations",
            "getImportProgress",
            "import.status",
            "^",
        )
    },
    "workspaces/<str:alias>/api/v1": "nothing",
    **dict.fromkeys(
        (route for route in TABLE if route.startswith(("api/v1", "api/schema", "api/docs"))),
        "nothing",
    ),
    **dict.fromkeys((route for route in TABLE if route.startswith("admin/auth/")), "nothing"),
    **dict.fromkeys((route for route in TABLE if "/apitoken/" in route), "nothing"),
    **dict.fromkeys(
        (
            *("", "healthz", "api/import-operations/<path:rest>/", "api/workspaces/<path:rest>/"),
            *("admin/login/", "admin/logout/", "admin/password_change/"),
            *("admin/password_change/done/", "admin/autocomplete/", "admin/jsi18n/"),
            "admin/r/<path:content_type_id>/<path:object_id>/",
            *("admin/^(?P<app_label>importmonitor|auth)/$", "admin/(?P<url>.*)$"),
        ),
        "nothing",
    ),
}


def options_of(**options: Any) -> dict[str, Any]:
    return {**workspace_at("http://127.0.0.1:9"), **options}


CONFIG = {
    "WORKSPACES": {
        "default": options_of(),
        "hush": options_of(GROUPS=[GROUP]),
        "hush-gone": options_of(GROUPS=[GROUP]),
        # Never polled.
        "hush-new": options_of(GROUPS=[GROUP]),
    }
}
REMAINING = {name: CONFIG["WORKSPACES"][name] for name in ("default", "hush", "hush-new")}
EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
CHANNELS = {
    "everyone": EMAIL,
    "both": {**EMAIL, "WORKSPACES": ["hush*", "default"]},
    "hush-pager": {**EMAIL, "WORKSPACES": ["hush"]},
}


def document(alias: str) -> Mapping[str, Any]:
    """Return a workspace's operation, with its alias in every text."""
    user = f"{alias}-user"
    return {
        **RUNNING,
        "_id": f"{alias}-id",
        "type": f"{alias}-type",
        "importerKey": f"{alias}-key",
        "user": user,
        "file": f"20260225110000_{user}_{alias}-file.csv",
        "contentType": f"{alias}/csv",
    }


class Site:
    """The site with its people, and an object of each workspace at every URL."""

    def __init__(self) -> None:
        self.client = Client()
        self.keys: dict[tuple[str, str], object] = {}
        for alias in ("default", *HIDDEN):
            sync(document(alias), alias=alias)
            operation = ImportOperation.objects.get(workspace=alias)
            alert = Alert.objects.create(
                event="import.stalled",
                workspace=alias,
                operation=operation,
                channel=f"{alias}-channel",
                body={"text": alias},
                last_error=f"{alias}-error",
                created_at=NOON,
                given_up_at=NOON,
                key=alias,
            )
            incident = Incident.objects.create(
                kind="import.stalled",
                workspace=alias,
                operation=operation,
                since=NOON,
                message=f"{alias}-error",
                note=f"{alias}-note",
                open_key=alias,
            )
            self.keys |= {
                ("incident", alias): incident.pk,
                ("importoperation", alias): operation.pk,
                ("alert", alias): alert.pk,
                ("workspace", alias): Workspace.objects.get(alias=alias).pk,
            }
        group = Group.objects.create(name=GROUP)
        for name in ("superuser", "member", "outsider", "stranger"):
            user = User.objects.create(
                username=name, is_staff=True, is_superuser=name == "superuser"
            )
            permissions = Permission.objects.filter(content_type__app_label="importmonitor")
            user.user_permissions.set(permissions)
            if name == "member":
                user.groups.add(group)
        self.credentials = {name: self._credentials(person) for name, person in PEOPLE.items()}
        # The use of each token is recorded, so that no later request writes.
        ApiToken.objects.update(last_used_at=NOON)

    def _credentials(self, person: Person) -> tuple[str, dict[str, str]]:
        """Return the session cookie and the headers of a person."""
        user = User.objects.get(username=person.user)
        if person.by_token:
            _, text = ApiToken.objects.issue(user, workspaces=person.limit)
            return "", {"X-User-Id": str(user.pk), "X-Auth-Token": text}
        self.client.cookies.clear()
        self.client.force_login(user)
        return self.client.cookies[django_settings.SESSION_COOKIE_NAME].value, {}

    def url(self, route: str, alias: str) -> str:
        """Return the URL of a route, of the object of a workspace."""
        model = route.split("/")[2] if route.startswith("admin/importmonitor/") else ""
        if route.startswith("api/incidents/"):
            model = "incident"
        key = self.keys.get((model or "importoperation", alias), 987654321)
        for part, value in {
            "<int:pk>": key,
            "<path:object_id>": key,
            "<str:alias>": alias,
            "<str:file_format>": "json",
            "<path:rest>": "nonsense",
            "<path:content_type_id>": ContentType.objects.get_for_model(ImportOperation).pk,
            "<id>": User.objects.get(username="outsider").pk,
            "^(?P<app_label>importmonitor|auth)/$": "importmonitor/",
            "(?P<url>.*)$": "nonsense",
            "^": "nonsense",
        }.items():
            route = route.replace(part, str(value))
        return f"/{route}"

    def request(
        self,
        name: str,
        url: str,
        method: str = "GET",
        data: str = "",
        *,
        keeps_cache: bool = False,
        **headers: str,
    ) -> "Response":
        """Send a request of a person, and roll back what it writes."""
        session, credentials = self.credentials[name]
        self.client.cookies.clear()
        if session:
            self.client.cookies[django_settings.SESSION_COOKIE_NAME] = session
        if not keeps_cache:
            # Also the counts of the rate limits.
            cache.clear()
        with transaction.atomic():
            response = self.client.generic(
                method,
                url,
                data,
                content_type="application/x-www-form-urlencoded",
                headers=credentials | headers,
            )
            text = b"".join(response).decode()
            transaction.set_rollback(True)
        response.text_ = text  # type: ignore[attr-defined] # streamed ones are read only once
        return response

    def text(self, *args: Any, **how: Any) -> str:
        """Return a whole response: status, headers, messages, body, without what is random."""
        response: Any = self.request(*args, **how)
        # Those of a redirect are shown by the next page.
        messages = [str(message) for message in get_messages(response.wsgi_request)]
        headers = sorted(f"{name}: {value}" for name, value in response.items())
        body = re.sub(r'(csrfmiddlewaretoken" value=")\w+', r"\1", response.text_)
        return f"{response.status_code} {headers} {messages} {body}"


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    """The site, made once for all tests: each request rolls back what it writes."""
    cheap = override_settings(
        WHITENOISE_AUTOREFRESH=True,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        IMPORTMONITOR=CONFIG,
    )
    with (
        cheap,
        time_machine.travel(NOON, tick=False),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        site = Site()
        with override_settings(IMPORTMONITOR={"WORKSPACES": REMAINING, "CHANNELS": CHANNELS}):
            register_configured()
            yield site
        transaction.set_rollback(True)


def of(kind: str) -> list[str]:
    return [route for route, shown in SHOWS.items() if shown == kind]


def can_use(name: str, route: str) -> bool:
    """Return whether a person can authenticate there: tokens are no log-ins."""
    return not (PEOPLE[name].by_token and route.startswith("admin/"))


def test_every_url_has_an_entry() -> None:
    existing = set(routes(get_resolver("project.urls")))
    assert existing - set(SHOWS) == set(), "these have no entry in SHOWS"
    assert set(SHOWS) - existing == set(), "these no longer exist"


@pytest.mark.thorough(one_in=40)
@pytest.mark.parametrize("route", SHOWS)
def test_no_url_shows_an_outsider_anything_of_a_hidden_workspace(site: Site, route: str) -> None:
    for name in OUTSIDERS:
        for method in METHODS:
            assert SECRET not in site.text(name, site.url(route, "default"), method), (name, method)


@pytest.mark.parametrize("route", of("list"))
def test_list_shows_hidden_workspaces_to_their_members(site: Site, route: str) -> None:
    for name in CONFIDANTS:
        if can_use(name, route):
            text = site.text(name, site.url(route, "default"))
            assert SECRET in text, name
            # In the policy of scripts, there is another one.
            shows_default = "default" in text.replace("default-src", "")
            assert shows_default == (PEOPLE[name].limit is None), name


@pytest.mark.thorough(one_in=24)
@pytest.mark.parametrize("alias", HIDDEN)
@pytest.mark.parametrize("route", of("object"))
def test_object_of_a_hidden_workspace_is_like_a_missing_one(
    site: Site, route: str, alias: str
) -> None:
    url, missing = site.url(route, alias), site.url(route, alias.replace(SECRET, UNUSED))
    key, missing_key = next(
        parts for parts in zip(url.split("/"), missing.split("/"), strict=True) if len({*parts}) > 1
    )
    data = f"note=mine&alert={site.keys['alert', alias]}"
    for name in OUTSIDERS:
        for method in METHODS:
            hidden = site.text(name, url, method, data)
            expected = site.text(name, missing, method, data)
            assert hidden == expected.replace(missing_key, key), (name, method)
            assert SECRET not in hidden.replace(alias, ""), (name, method)
    assert not ImportOperation.objects.filter(note="mine").exists()


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("alias", HIDDEN)
@pytest.mark.parametrize("route", of("object"))
def test_object_of_a_hidden_workspace_is_shown_to_its_members(
    site: Site, route: str, alias: str
) -> None:
    expected = TABLE[route].statuses("superuser")[0]
    if route.startswith("workspaces/") and alias not in REMAINING:
        expected = "404"
    for name in CONFIDANTS:
        if can_use(name, route):
            status = str(site.request(name, site.url(route, alias)).status_code)
            # Not even members can tell a workspace that is gone from one that is hidden.
            is_limited = PEOPLE[name].user != "superuser" and status == "403"
            assert status == expected or (is_limited and expected == "404"), name


#: For each list, the names of its parameters, and values that match a hidden workspace's rows.
PARAMETERS: dict[str, dict[str, list[str]]] = {
    "api/import-operations/": {
        "workspace": ["hush"],
        "remote_id": ["hush-id"],
        "importer_key": ["hush-key"],
        "remote_user_id": ["hush-user"],
        "state": ["importing"],
        "status": ["importer_importing_users"],
        "outcome": ["open"],
        "has_errors": ["false"],
        "stalled": ["false"],
        "started_after": ["2026-01-01T00:00:00Z"],
        "started_before": ["2027-01-01T00:00:00Z"],
        "finished_after": ["2026-01-01T00:00:00Z"],
        "finished_before": ["2027-01-01T00:00:00Z"],
        "ordering": ["started_at", "-started_at"],
        "page_size": ["1"],
        "cursor": ["bmV4dCAyMDI2LTAzLTI1VDExOjU5OjAwKzAwOjAwIDE="],
    },
    "api/workspaces/": {
        "status": ["ok", "never"],
        "active": ["true"],
        "failing": ["false"],
        "search": ["hush"],
        "cursor": ["x"],
        "page_size": ["1", "500"],
    },
    "admin/importmonitor/importoperation/": {
        "workspace": ["hush", "hush-gone"],
        "outcome": ["open"],
        "state": ["importing"],
        "errors": ["no"],
        "importer": ["hush-key"],
        "started_by": ["hush-user"],
        "started_at__gte": ["2026-01-01 00:00:00Z"],
        "q": ["hush-id", "hush-file", "hush-type"],
        "o": ["4", "-4"],
        "p": ["1", "2"],
        "all": [""],
        "e": ["1"],
        "workspace__contains": ["hush"],
        "payload__contains": ["hush"],
    },
    "admin/importmonitor/alert/": {
        "operation__id": ["1"],
        "workspace": ["hush", "hush-gone"],
        "event": ["import.stalled"],
        "delivery": ["given-up"],
        "o": ["1"],
        "body__contains": ["hush"],
        "channel": ["hush-channel"],
    },
    "admin/importmonitor/workspace/": {
        "sync_status": ["failing", "ok"],
        "q": ["hush"],
        "o": ["-1"],
        "alias__startswith": ["hush"],
    },
    "admin/importmonitor/incident/": {
        "status": ["all", "open"],
        "kind": ["import.stalled"],
        "workspace": ["hush", "hush-gone"],
        "note__contains": ["hush"],
    },
    "api/incidents/": {
        "workspace": ["hush", "hush-gone"],
        "kind": ["import.stalled"],
        "open": ["true"],
        "acknowledged": ["false"],
        "cursor": ["x"],
        "page_size": ["1"],
    },
    "metrics": {"workspace": ["hush", "hush-gone", "default,hush"]},
}
PARAMETERS["admin/importmonitor/importoperation/export/<str:file_format>/"] = PARAMETERS[
    "admin/importmonitor/importoperation/"
]


def test_every_parameter_of_every_list_is_tried() -> None:
    assert set(PARAMETERS) == set(of("list"))
    tried = {route: set(parameters) for route, parameters in PARAMETERS.items()}
    assert views.OperationList.parameters <= tried["api/import-operations/"]
    assert views.WorkspaceList.parameters <= tried["api/workspaces/"]
    assert incidents.IncidentList.parameters <= tried["api/incidents/"]
    for model_admin in (ImportOperationAdmin, AlertAdmin, IncidentAdmin, WorkspaceAdmin):
        model = model_admin.__name__.removesuffix("Admin").lower()
        names = {
            f"{entry[0]}__gte" if isinstance(entry, tuple) else entry.parameter_name
            for entry in model_admin.list_filter
        }
        assert names <= tried[f"admin/importmonitor/{model}/"], model


@pytest.mark.thorough(one_in=5)
@pytest.mark.parametrize("route", PARAMETERS)
def test_no_parameter_reveals_a_hidden_workspace(site: Site, route: str) -> None:
    """The answer is the one to a value that is nowhere, with the value that was sent."""
    url = site.url(route, "default")
    for name in OUTSIDERS:
        if can_use(name, route):
            for parameter, values in PARAMETERS[route].items():
                for value in values:
                    text = site.text(name, f"{url}?{parameter}={value}")
                    unused = value.replace(SECRET, UNUSED)
                    expected = site.text(name, f"{url}?{parameter}={unused}")
                    assert text.replace(SECRET, UNUSED) == expected, (name, parameter, value)
                    if SECRET not in value:
                        assert SECRET not in text, (name, parameter, value)


@pytest.mark.parametrize("few", [0, 1])
@pytest.mark.parametrize("route", [*of("list"), *of("index")])
def test_large_fleets_hide_the_same(
    site: Site, route: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too many workspaces are hidden or visible to name them in a condition."""
    url = site.url(route, "default")
    names = [name for name in PEOPLE if can_use(name, route)]
    expected = {name: site.text(name, url) for name in names}
    monkeypatch.setattr(viewers, "_FEW", few)
    for name in names:
        assert site.text(name, url) == expected[name], name


def test_alerts_of_a_hidden_workspace_cannot_be_retried(site: Site) -> None:
    key = site.keys["alert", "hush"]
    data = f"action=retry_delivery&_selected_action={key}&index=0"
    url = site.url("admin/importmonitor/alert/", "default")
    hidden = site.text("outsider", url, "POST", data)
    assert hidden == site.text("outsider", url, "POST", data.replace(str(key), "987654321"))


def test_rate_limit_counts_hidden_and_unknown_workspaces_as_one(site: Site, client: Client) -> None:
    _session, headers = site.credentials["token of outsider"]
    cache.clear()
    remaining = [
        int(client.get(site.url(of("object")[-2], alias), headers=headers)["X-RateLimit-Remaining"])
        for alias in ("hush", "nope", "hush-gone", "hush")
    ]
    assert remaining == [1199, 1198, 1197, 1196]


def test_refusal_of_a_hidden_workspace_is_that_of_a_missing_permission(site: Site) -> None:
    url = site.url("workspaces/<str:alias>/api/v1/getCurrentImportOperation", "hush")
    response: Any = site.request("token of outsider", url)
    assert (response.status_code, response.json()) == (
        403,
        {
            "success": False,
            "error": "User does not have the permissions required for this action "
            "[error-unauthorized]",
        },
    )


def test_default_workspace_can_be_hidden(site: Site, settings: Any) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": options_of(GROUPS=[GROUP])}}
    for route in of("nothing"):
        if route.startswith("api/v1/") and "^" not in route:
            url = site.url(route, "default")
            assert site.request("outsider", url).status_code == 403
            assert site.request("member", url).status_code == 200


@pytest.mark.parametrize("kind", ["import.stalled", "maintenance"])
def test_incidents_that_the_settings_hide_cannot_be_changed(
    site: Site, settings: Any, kind: str
) -> None:
    """At once: the workspace's row has the groups of its last poll."""
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": options_of(GROUPS=[GROUP])}}
    key: Any = site.keys["incident", "default"]
    with transaction.atomic():
        Incident.objects.filter(pk=key).update(kind=kind)
        url, data = "/admin/importmonitor/incident/acknowledge/", f"incident={key}&until=over"
        if kind == "maintenance":
            url, data = f"/admin/importmonitor/incident/{key}/end/", ""
        hidden = site.text("outsider", url, "POST", data)
        other = site.text("outsider", url.replace(str(key), "987654321"), "POST", "until=over")
        assert hidden == other
        assert hidden != site.text("member", url, "POST", data)
        transaction.set_rollback(True)


def test_index_counts_visible_workspaces_alone(site: Site) -> None:
    line = "Imports"
    texts = {name: site.text(name, "/admin/") for name in ("outsider", "member", "superuser")}
    assert line in texts["outsider"]
    assert "1 running" in texts["outsider"]
    assert "2 running" in texts["member"]
    assert "2 running" in texts["superuser"]


#: What outsiders can read, by its name in `Site.url`: every list, and the pages about `default`.
READ = [*of("list"), *of("index"), *of("object")]


@pytest.mark.thorough(one_in=6)
@pytest.mark.parametrize("route", READ)
def test_nothing_depends_on_what_is_stored_of_hidden_workspaces(site: Site, route: str) -> None:
    """No number either: counts, bars, figures, links to other pages, ages."""
    url = site.url(route, "default")
    names = [name for name in OUTSIDERS if can_use(name, route)]
    texts = {name: site.text(name, url) for name in names}
    with transaction.atomic():
        for model in (Alert, Incident, ImportOperation, SyncPeriod):
            model.objects.filter(workspace__in=HIDDEN).delete()
        for name in names:
            assert site.text(name, url) == texts[name], name
        transaction.set_rollback(True)


@pytest.mark.thorough(one_in=12)
@pytest.mark.parametrize("route", READ)
def test_no_cache_is_shared_with_those_who_see_more(site: Site, route: str) -> None:
    url = site.url(route, "default")
    for name in OUTSIDERS:
        if not can_use(name, route):
            continue
        expected = without_rate_limit(site.text(name, url))
        # The next request of the same client validates what that of another one returned.
        for other in CONFIDANTS:
            response = site.request(other, url)
            validators = {"If-None-Match": response.get("ETag", '"none"')}
            text = site.text(name, url, keeps_cache=True)
            assert without_rate_limit(text) == expected, (name, other)
            again: Any = site.request(name, url, keeps_cache=True, **validators)
            is_same = response.text_ == site.request(name, url).text_  # type: ignore[attr-defined]
            assert again.status_code != 304 or is_same, (name, other)


def without_rate_limit(text: str) -> str:
    return re.sub(r"X-RateLimit-Remaining: \d+", "", text)


def test_channels_of_hidden_workspaces_are_hidden(site: Site) -> None:
    page, test = "/admin/importmonitor/alert/", "/admin/importmonitor/alert/test/"
    for name, is_shown in {"superuser": True, "member": True, "outsider": False}.items():
        text = site.text(name, page)
        assert "everyone" in text
        assert "both" in text
        assert ("hush-pager" in text) == is_shown, name
    hidden = site.text("outsider", test, "POST", "channel=hush-pager")
    assert hidden == site.text("outsider", test, "POST", "channel=nope-pager")
    for name in OUTSIDERS:
        if can_use(name, "metrics"):
            assert "hush-pager" not in site.text(name, "/metrics"), name
    assert 'channel="hush-pager"' in site.text("token of member", "/metrics")


def test_page_without_any_visible_channel_says_so(site: Site, settings: Any) -> None:
    channels = {"hush-pager": CHANNELS["hush-pager"]}
    settings.IMPORTMONITOR = {"WORKSPACES": REMAINING, "CHANNELS": channels}
    text = site.text("outsider", "/admin/importmonitor/alert/")
    assert "No channel gets alerts about the workspaces that you may see." in text
    assert SECRET not in text


def test_import_of_a_hidden_workspace_cannot_be_tried_out_with_mute(site: Site) -> None:
    url, key = "/admin/importmonitor/incident/mute/", site.keys["importoperation", "hush"]
    answers = [
        site.text("outsider", url, "POST", f"workspace={alias}&operation={operation}")
        for alias in ("hush", "nope")
        for operation in (key, 987654321)
    ]
    assert len(set(answers)) == 1


def test_admin_log_of_a_former_member_names_nothing(site: Site) -> None:
    """The index shows users their own actions."""
    with transaction.atomic():
        member = User.objects.get(username="member")
        for model in ("importoperation", "incident"):
            site.client.force_login(member)
            url = f"/admin/importmonitor/{model}/{site.keys[model, 'hush']}/change/"
            assert site.client.post(url, {"note": "mine"}).status_code == 302
            url = f"/admin/importmonitor/{model}/{site.keys[model, 'default']}/change/"
            assert site.client.post(url, {"note": "mine"}).status_code == 302
        member.groups.clear()
        text = site.text("member", "/admin/")
        assert SECRET not in text
        # Of what they may see, it has the name.
        assert "default-type" in text
        transaction.set_rollback(True)


def test_former_member_loses_access_at_once(site: Site) -> None:
    names = ("member", "token of member", "token of member, for hidden")
    routes_of = {name: [r for r in READ if can_use(name, r)] for name in names}
    with transaction.atomic():
        for name, readable in routes_of.items():
            for route in readable:
                # What was read before may be in caches.
                site.request(name, site.url(route, "hush"))
        User.objects.get(username="member").groups.clear()
        for name, readable in routes_of.items():
            for route in readable:
                response_cache.clear()
                text = site.text(name, site.url(route, "hush"), keeps_cache=True)
                assert SECRET not in text.replace("/hush/", "/"), (name, route)
        transaction.set_rollback(True)
