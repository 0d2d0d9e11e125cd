"""What is remembered for a moment: that it is cheap, that it is the same, and how soon it ends."""

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
from importmonitor.models import ApiToken, ImportOperation, SyncPeriod
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
    """A clock in place of the memory's own, that stands until it is moved."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@contextmanager
def remembering(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Let answers be remembered for a second, of the clock that is given."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(seconds=1)}
    cache.clear()
    clock = Clock()
    monkeypatch.setattr(cache, "time", clock)
    monkeypatch.setattr(views, "time", clock)
    yield clock
    cache.clear()


@pytest.fixture
def clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with remembering(settings, monkeypatch) as clock:
        yield clock


@pytest.fixture
def member(db: None) -> User:
    """Somebody who may see imports as a member of a group."""
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
def ask(client: Client, headers: dict[str, str]) -> Any:
    def ask(path: str = PATH, method: str = "GET", **more: str) -> "Response":
        asking = headers | {name.replace("_", "-"): value for name, value in more.items()}
        return client.generic(method, path, headers=asking)

    return ask


def told(response: "Response") -> dict[str, str]:
    """Return the headers, but for what is counted."""
    return {name: value for name, value in response.headers.items() if name not in COUNTED}


@pytest.mark.parametrize("path", PATHS)
def test_a_second_call_costs_no_query(
    clock: Clock, ask: Any, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    first = ask(path)
    with django_assert_num_queries(0):
        again = ask(path)
        head = ask(path, "HEAD")
        unchanged = ask(path, If_None_Match=first["ETag"])
    assert (first.status_code, again.status_code, head.status_code) == (200, 200, 200)
    assert again.content == first.content
    assert told(again) == told(first) == told(head)
    assert head.content == b""
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    alike = {"ETag", "Last-Modified", "Cache-Control", "Vary", "X-Import-Sync"}
    assert {name: unchanged[name] for name in alike} == {name: first[name] for name in alike}


def test_it_lasts_a_second(clock: Clock, ask: Any) -> None:
    sync(RUNNING)
    before = ask().content
    ImportOperation.objects.update(payload={**RUNNING, "type": "Slack"})
    clock.now += 0.999
    assert ask().content == before
    clock.now += 0.001
    assert ask().json()["operation"]["type"] == "Slack"


def test_calls_do_not_prolong_it(clock: Clock, ask: Any) -> None:
    sync(RUNNING)
    ask()
    ImportOperation.objects.update(payload={**RUNNING, "type": "Slack"})
    for _ in range(10):
        clock.now += 0.1
        found = ask()
    assert found.json()["operation"]["type"] == "Slack"


def _gone(*models: type[Model]) -> None:
    """Delete all rows without regard to others that refer to them."""
    for model in models:
        model._default_manager.all()._raw_delete(DEFAULT_DB_ALIAS)


_MEMBERSHIPS, _GRANTS = User.groups.through, Group.permissions.through

#: A change, and the status that follows it.
CHANGES: Mapping[str, tuple[Callable[[], object], int]] = {
    "the token is revoked": (lambda: _gone(ApiToken), 401),
    "the token has expired": (lambda: ApiToken.objects.update(expires_at=timezone.now()), 401),
    "the user is deactivated": (lambda: User.objects.update(is_active=False), 401),
    "the user is deleted": (lambda: _gone(ApiToken, _MEMBERSHIPS, User), 401),
    "the user leaves the group": (lambda: _gone(_MEMBERSHIPS), 403),
    "the group loses the permission": (lambda: _gone(_GRANTS), 403),
    "the group is deleted": (lambda: _gone(_MEMBERSHIPS, _GRANTS, Group), 403),
    "nothing was ever synced": (lambda: _gone(SyncPeriod), 503),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_takes_effect_within_a_second(clock: Clock, ask: Any, change: str) -> None:
    do, status = CHANGES[change]
    sync(RUNNING)
    assert [ask(path).status_code for path in PATHS] == [200] * 4
    do()
    clock.now += 1
    assert [ask(path).status_code for path in PATHS] == [status] * 4


def test_a_failed_poll_shows_within_a_second(clock: Clock, ask: Any) -> None:
    sync(RUNNING)
    now = timezone.now()
    before = ask()["X-Import-Synced-At"]
    SyncPeriod.objects.update(last_at=now - timedelta(days=1))
    SyncPeriod.objects.bulk_create(
        [SyncPeriod(workspace="default", outcome="unreachable", first_at=now, last_at=now)]
    )
    assert (ask()["X-Import-Sync"], ask()["X-Import-Synced-At"]) == ("ok", before)
    clock.now += 1
    assert ask()["X-Import-Sync"] == "failing"
    assert ask()["X-Import-Synced-At"] < before


def test_a_slow_response_expires_a_second_after_it_was_started(
    clock: Clock, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is revoked while the response is made; it is served for a second in all."""
    sync(RUNNING)
    encode = responses.encode

    def slow_encode(body: Any) -> bytes:
        ApiToken.objects.all().delete()
        clock.now += 0.9
        return encode(body)

    monkeypatch.setattr(responses, "encode", slow_encode)
    assert ask().status_code == 200
    monkeypatch.setattr(responses, "encode", encode)
    assert ask().status_code == 200
    clock.now += 0.1
    assert ask().status_code == 401


def test_zero_turns_it_off(clock: Clock, ask: Any, settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(0)}
    sync(RUNNING)
    assert ask().status_code == 200
    assert not cache._responses
    _gone(ApiToken)
    assert ask().status_code == 401


def test_refusals_are_not_remembered(clock: Clock, ask: Any, settings: Any, member: User) -> None:
    assert ask().status_code == 503
    sync_nothing()
    assert ask(API + "getImportProgress").status_code == 400
    assert ask(PATH + "?a=1").status_code == 400
    assert ask("/workspaces/nowhere" + PATH).status_code == 404
    assert ask(X_Auth_Token="wrong").status_code == 401
    assert ask(PATH, "POST").status_code == 404
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "0/min"}}
    assert ask().status_code == 429
    settings.REST_FRAMEWORK = {}
    member.groups.clear()
    assert ask().status_code == 403
    assert not cache._responses
    membership = User.groups.through._default_manager
    membership.create(user=member, group=Group.objects.get())
    assert ask().status_code == 200


def test_what_comes_with_parameters_is_not_remembered(clock: Clock, ask: Any) -> None:
    sync(RUNNING)
    assert ask(API + "import.status?a=1").status_code == 200
    assert not cache._responses


def test_other_credentials_are_not_remembered(clock: Clock, client: Client, member: User) -> None:
    sync(RUNNING)
    member.set_password("secret")
    member.save()
    basic = "Basic " + base64.b64encode(b"member:secret").decode()
    assert client.get(PATH, headers={"Authorization": basic}).status_code == 200
    client.force_login(member)
    assert client.get(PATH).status_code == 200
    assert not cache._responses
    assert client.get(PATH, headers={"X-User-Id": str(member.pk)}).status_code == 401


def test_one_answer_is_nobody_elses(
    clock: Clock, client: Client, ask: Any, headers: dict[str, str], settings: Any
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor_wrong_tokens": None}}
    at = "http://127.0.0.1:9"
    both = {"default": workspace_at(at), "acme": workspace_at(at + "/acme")}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": both}
    sync(RUNNING)
    sync({**RUNNING, "type": "Slack"}, alias="acme")
    viewer = credentials(make_user("viewer", "view-import-operations"))
    stranger = credentials(make_user("stranger"))
    bodies = {}
    for _ in range(2):
        for path in [f"{prefix}{path}" for prefix in ("", "/workspaces/acme") for path in PATHS]:
            bodies[path] = ask(path).content
            may = 200 if path.endswith(LATEST) else 403
            assert client.get(path, headers=viewer).status_code == may
            assert client.get(path, headers=stranger).status_code == 403
            for each in (viewer, stranger):
                mixed = {**headers, "X-User-Id": each["X-User-Id"]}
                assert client.get(path, headers=mixed).status_code == 401
                mixed = {**headers, "X-Auth-Token": each["X-Auth-Token"]}
                assert client.get(path, headers=mixed).status_code == 401
            assert client.get(path).status_code == 401
            for user_id in (f"0{headers['X-User-Id']}", f"+{headers['X-User-Id']}", ""):
                assert (
                    client.get(path, headers={**headers, "X-User-Id": user_id}).status_code == 401
                )
    assert len(set(bodies.values())) == len(bodies) == 8


def test_head_first(
    clock: Clock, ask: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sync(RUNNING)
    assert ask(PATH, "HEAD").content == b""
    with django_assert_num_queries(0):
        assert ask().json()["operation"] == RUNNING


@pytest.mark.parametrize("condition", [{"If_None_Match": "*"}, {"If_Match": '"other"'}])
def test_a_condition_first(
    clock: Clock,
    ask: Any,
    condition: dict[str, str],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    sync(RUNNING)
    status = ask(**condition).status_code
    assert status in (304, 412)
    with django_assert_num_queries(0):
        assert ask(**condition).status_code == status
    assert ask().json()["operation"] == RUNNING
    with django_assert_num_queries(0):
        assert ask().json()["operation"] == RUNNING
