"""The response cache: its cost, its content and its lifetime."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from importmonitor.api.rocketchat import cache, responses, views
from importmonitor.models import ApiToken, ImportOperation, Workspace
from tests.api.helpers import (
    PATH,
    RUNNING,
    credentials,
    make_user,
    permissions,
    sync,
    sync_nothing,
    workspace_at,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

API = "/api/v1/"
LATEST = API + "getLatestImportOperations"
PATHS = (PATH, LATEST, API + "getImportProgress", API + "import.status")
COUNTED = ("X-RateLimit-Remaining",)


class Clock:
    """A clock for the cache that stands still until it is moved."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@contextmanager
def caching(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Cache responses for a second, by the returned clock."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(seconds=1)}
    cache.clear()
    clock = Clock()
    monkeypatch.setattr(cache, "time", clock)
    monkeypatch.setattr(views, "time", clock)
    yield clock
    cache.clear()


@pytest.fixture
def clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with caching(settings, monkeypatch) as clock:
        yield clock


@pytest.fixture
def member(db: None) -> User:
    """A user with the permissions of a group."""
    group = Group.objects.create(name="importers")
    group.permissions.set(permissions("run-import", "view-import-operations"))
    user = make_user("member")
    user.groups.add(group)
    ApiToken.objects.issue(user, name="another")
    return user


@pytest.fixture
def headers(member: User) -> dict[str, str]:
    return credentials(member)


@pytest.fixture
def fetch(client: Client, headers: dict[str, str]) -> Any:
    def fetch(path: str = PATH, method: str = "GET", **more: str) -> "Response":
        request_headers = headers | {name.replace("_", "-"): value for name, value in more.items()}
        return client.generic(method, path, headers=request_headers)

    return fetch


def uncounted_headers(response: "Response") -> dict[str, str]:
    """Return the headers except the rate limit's count."""
    return {name: value for name, value in response.headers.items() if name not in COUNTED}


@pytest.mark.parametrize("path", PATHS)
def test_second_request_costs_no_query(
    clock: Clock, fetch: Any, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    first = fetch(path)
    with django_assert_num_queries(0):
        again = fetch(path)
        head = fetch(path, "HEAD")
        unchanged = fetch(path, If_None_Match=first["ETag"])
    assert (first.status_code, again.status_code, head.status_code) == (200, 200, 200)
    assert again.content == first.content
    assert uncounted_headers(again) == uncounted_headers(first) == uncounted_headers(head)
    assert head.content == b""
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    alike = {"ETag", "Last-Modified", "Cache-Control", "Vary", "X-Import-Sync"}
    assert {name: unchanged[name] for name in alike} == {name: first[name] for name in alike}


def test_response_expires_after_a_second(clock: Clock, fetch: Any) -> None:
    sync(RUNNING)
    before = fetch().content
    ImportOperation.objects.update(payload={**RUNNING, "type": "Slack"})
    clock.now += 0.999
    assert fetch().content == before
    clock.now += 0.001
    assert fetch().json()["operation"]["type"] == "Slack"


def test_requests_do_not_extend_the_lifetime(clock: Clock, fetch: Any) -> None:
    sync(RUNNING)
    fetch()
    ImportOperation.objects.update(payload={**RUNNING, "type": "Slack"})
    for _ in range(10):
        clock.now += 0.1
        response = fetch()
    assert response.json()["operation"]["type"] == "Slack"


def _delete_all(*models: type[Model]) -> None:
    """Delete all rows without cascading."""
    for model in models:
        model._default_manager.all()._raw_delete(DEFAULT_DB_ALIAS)


_MEMBERSHIPS, _GRANTS = User.groups.through, Group.permissions.through

#: A change, and the status that follows it.
CHANGES: Mapping[str, tuple[Callable[[], object], int]] = {
    "the token is revoked": (lambda: _delete_all(ApiToken), 401),
    "the token has expired": (lambda: ApiToken.objects.update(expires_at=timezone.now()), 401),
    "the user is deactivated": (lambda: User.objects.update(is_active=False), 401),
    "the user is deleted": (lambda: _delete_all(ApiToken, _MEMBERSHIPS, User), 401),
    "the user leaves the group": (lambda: _delete_all(_MEMBERSHIPS), 403),
    "the group loses the permission": (lambda: _delete_all(_GRANTS), 403),
    "the group is deleted": (lambda: _delete_all(_MEMBERSHIPS, _GRANTS, Group), 403),
    "nothing was ever synced": (lambda: _delete_all(Workspace), 503),
}


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_takes_effect_within_a_second(clock: Clock, fetch: Any, change: str) -> None:
    do, status = CHANGES[change]
    sync(RUNNING)
    assert [fetch(path).status_code for path in PATHS] == [200] * 4
    do()
    clock.now += 1
    assert [fetch(path).status_code for path in PATHS] == [status] * 4


def test_a_failed_poll_shows_within_a_second(clock: Clock, fetch: Any) -> None:
    sync(RUNNING)
    now = timezone.now()
    before = fetch()["X-Import-Synced-At"]
    Workspace.objects.update(
        sync_status="Unreachable", last_polled_at=now, last_synced_at=now - timedelta(days=1)
    )
    assert (fetch()["X-Import-Sync"], fetch()["X-Import-Synced-At"]) == ("ok", before)
    clock.now += 1
    assert fetch()["X-Import-Sync"] == "failing"
    assert fetch()["X-Import-Synced-At"] < before


def test_a_slow_response_expires_a_second_after_it_was_started(
    clock: Clock, fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is revoked while the response is made; it is served for a second in all."""
    sync(RUNNING)
    encode = responses.encode

    def slow_encode(body: Any) -> bytes:
        ApiToken.objects.all().delete()
        clock.now += 0.9
        return encode(body)

    monkeypatch.setattr(responses, "encode", slow_encode)
    assert fetch().status_code == 200
    monkeypatch.setattr(responses, "encode", encode)
    assert fetch().status_code == 200
    clock.now += 0.1
    assert fetch().status_code == 401


def test_zero_disables_the_cache(clock: Clock, fetch: Any, settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(0)}
    sync(RUNNING)
    assert fetch().status_code == 200
    assert not cache._responses
    _delete_all(ApiToken)
    assert fetch().status_code == 401


def test_errors_are_not_cached(clock: Clock, fetch: Any, settings: Any, member: User) -> None:
    assert fetch().status_code == 503
    sync_nothing()
    assert fetch(API + "getImportProgress").status_code == 400
    assert fetch(PATH + "?a=1").status_code == 400
    assert fetch("/workspaces/nowhere" + PATH).status_code == 404
    assert fetch(X_Auth_Token="wrong").status_code == 401
    assert fetch(PATH, "POST").status_code == 404
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "0/min"}}
    assert fetch().status_code == 429
    settings.REST_FRAMEWORK = {}
    member.groups.clear()
    assert fetch().status_code == 403
    assert not cache._responses
    membership = User.groups.through._default_manager
    membership.create(user=member, group=Group.objects.get())
    assert fetch().status_code == 200


def test_requests_with_parameters_are_not_cached(clock: Clock, fetch: Any) -> None:
    sync(RUNNING)
    assert fetch(API + "import.status?a=1").status_code == 200
    assert not cache._responses


def test_other_credentials_are_not_cached(clock: Clock, client: Client, member: User) -> None:
    sync(RUNNING)
    member.set_password("secret")
    member.save()
    basic = "Basic " + base64.b64encode(b"member:secret").decode()
    assert client.get(PATH, headers={"Authorization": basic}).status_code == 200
    client.force_login(member)
    assert client.get(PATH).status_code == 200
    assert not cache._responses
    assert client.get(PATH, headers={"X-User-Id": str(member.pk)}).status_code == 401


def test_cached_responses_are_separate(
    clock: Clock, client: Client, fetch: Any, headers: dict[str, str], settings: Any
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor_wrong_tokens": None}}
    at = "http://127.0.0.1:9"
    workspaces = {"default": workspace_at(at), "acme": workspace_at(at + "/acme")}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": workspaces}
    sync(RUNNING)
    sync({**RUNNING, "type": "Slack"}, alias="acme")
    viewer = credentials(make_user("viewer", "view-import-operations"))
    stranger = credentials(make_user("stranger"))
    bodies = {}
    for _ in range(2):
        for path in [f"{prefix}{path}" for prefix in ("", "/workspaces/acme") for path in PATHS]:
            bodies[path] = fetch(path).content
            may = 200 if path.endswith(LATEST) else 403
            assert client.get(path, headers=viewer).status_code == may
            assert client.get(path, headers=stranger).status_code == 403
            for other in (viewer, stranger):
                mixed = {**headers, "X-User-Id": other["X-User-Id"]}
                assert client.get(path, headers=mixed).status_code == 401
                mixed = {**headers, "X-Auth-Token": other["X-Auth-Token"]}
                assert client.get(path, headers=mixed).status_code == 401
            assert client.get(path).status_code == 401
            for user_id in (f"0{headers['X-User-Id']}", f"+{headers['X-User-Id']}", ""):
                assert (
                    client.get(path, headers={**headers, "X-User-Id": user_id}).status_code == 401
                )
    assert len(set(bodies.values())) == len(bodies) == 8


def test_get_after_head_is_cached(
    clock: Clock, fetch: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    assert fetch(PATH, "HEAD").content == b""
    with django_assert_num_queries(0):
        assert fetch().json()["operation"] == RUNNING


@pytest.mark.parametrize("condition", [{"If_None_Match": "*"}, {"If_Match": '"other"'}])
def test_get_after_conditional_request(
    clock: Clock,
    fetch: Any,
    condition: dict[str, str],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    sync(RUNNING)
    status = fetch(**condition).status_code
    assert status in (304, 412)
    with django_assert_num_queries(0):
        assert fetch(**condition).status_code == status
    assert fetch().json()["operation"] == RUNNING
    with django_assert_num_queries(0):
        assert fetch().json()["operation"] == RUNNING


def test_member_who_leaves_a_group_is_refused_within_a_second(
    clock: Clock, fetch: Any, member: User, settings: Any
) -> None:
    member.user_permissions.set(permissions("run-import"))
    options = {**settings.IMPORTMONITOR["WORKSPACES"]["default"], "GROUPS": ["importers"]}
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "WORKSPACES": {"default": options}}
    sync(RUNNING)
    assert fetch().status_code == 200
    member.groups.clear()
    assert fetch().status_code == 200
    clock.now += 1
    assert fetch().status_code == 403
