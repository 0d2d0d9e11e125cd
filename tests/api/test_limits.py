"""How often one may ask, told in Rocket.Chat's words."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from rest_framework.exceptions import Throttled

from importmonitor.api.rocketchat import cache as response_cache
from importmonitor.api.rocketchat import responses
from simulator.limiter import Limiter
from simulator.responses import respond
from simulator.workspace import Workspace
from tests.api.helpers import (
    NOON,
    PATH,
    RUNNING,
    credentials,
    make_user,
    sync,
    sync_nothing,
    workspace_at,
)
from tests.api.test_answers import FORBIDDEN, INVALID_PARAMS, LOGGED_OUT, assert_rocketchat
from tests.api.test_response_cache import Clock, remembering

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

API = "/api/v1/"
NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
TOO_MANY = (
    '{{"success":false,"error":"Error, too many requests. Please slow down. You must wait {} '
    'seconds before trying this endpoint again. [error-too-many-requests]"}}'
)


@pytest.fixture(autouse=True)
def traveller() -> Iterator[time_machine.Traveller]:
    """Let time stand 13.5 s into a minute."""
    with time_machine.travel(NOON + timedelta(seconds=13.5), tick=False) as traveller:
        yield traveller


def set_rates(settings: Any, calls: str | None = None, wrong_tokens: str | None = None) -> None:
    """Set both of our rates, by DRF's own settings; None is no limit."""
    found = {"importmonitor": calls, "importmonitor_wrong_tokens": wrong_tokens}
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": found}


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    sync(RUNNING)
    return credentials(make_user("both", "run-import", "view-import-operations"))


@pytest.fixture
def ask(client: Client, headers: dict[str, str]) -> Any:
    return lambda path=PATH, **more: client.get(path, headers=headers, **more)


def limits(response: "Response") -> tuple[str | None, ...]:
    return tuple(response.get(name) for name in NAMES)


def remaining(response: "Response") -> str:
    return response["X-RateLimit-Remaining"]


def milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def test_by_default_it_is_generous(ask: Any) -> None:
    reset = milliseconds(NOON + timedelta(minutes=1))
    assert limits(ask()) == ("1200", "1199", reset)
    assert limits(ask()) == ("1200", "1198", reset)


def test_what_is_left_falls_until_nothing_is(ask: Any, settings: Any) -> None:
    set_rates(settings, "3/min")
    reset = milliseconds(NOON + timedelta(minutes=1))
    for left in ("2", "1", "0"):
        response = ask()
        assert_rocketchat(response, 200)
        assert limits(response) == ("3", left, reset)
    for _ in range(2):
        response = ask()
        # 46.5 seconds are left of the minute.
        assert_rocketchat(response, 429, TOO_MANY.format(47).encode())
        assert limits(response) == ("3", "0", reset)
        assert "Retry-After" not in response


def test_the_window_begins_anew(ask: Any, settings: Any, traveller: time_machine.Traveller) -> None:
    set_rates(settings, "1/min")
    assert [ask().status_code for _ in range(3)] == [200, 429, 429]
    traveller.shift(46.4)
    # Rocket.Chat's clients wait for so long: never for nothing.
    assert_rocketchat(ask(), 429, TOO_MANY.format(1).encode())
    traveller.shift(0.1)
    response = ask()
    assert limits(response) == ("1", "0", milliseconds(NOON + timedelta(minutes=2)))
    assert response.status_code == 200
    assert ask().status_code == 429


@pytest.mark.parametrize(("rate", "seconds"), [("1/s", 1), ("1/h", 3587), ("1/day", 43187)])
def test_other_windows(ask: Any, settings: Any, rate: str, seconds: int) -> None:
    set_rates(settings, rate)
    assert ask().status_code == 200
    assert_rocketchat(ask(), 429, TOO_MANY.format(seconds).encode())


@pytest.mark.parametrize("wait", [None, 0, 0.2])
def test_nobody_waits_for_nothing(wait: float | None) -> None:
    """A window can end between the count and the answer."""
    response = responses.refusal(Throttled(wait=wait))
    assert (response.status_code, response.content) == (429, TOO_MANY.format(1).encode())


def test_as_rocketchat_counts(workspace: Workspace, ask: Any, settings: Any) -> None:
    """Beside a Rocket.Chat 8 with the same limit, whose window began as ours did."""
    set_rates(settings, "3/min")
    workspace.clock.advance(13.5)
    workspace.limiter = Limiter(3, workspace.clock)
    there = {"X-User-Id": "toooooooooooooool", "X-Auth-Token": "there"}
    workspace.add_user(there["X-User-Id"], there["X-Auth-Token"])
    for path, query in ((PATH, ""), (API + "import.status", ""), (PATH, "a=1")):
        for _ in range(5):
            expected = respond(workspace, "GET", path, query, there)
            found = ask(f"{path}?{query}")
            assert found.status_code == expected.status
            assert {*NAMES} <= {*found.headers}, {*NAMES} <= {*expected.headers}
            for name in NAMES[:2]:
                assert found[name] == expected.headers[name]
            assert len(found[NAMES[2]]) == len(expected.headers[NAMES[2]])
            if expected.status == 429:
                number = re.compile(rb"\d+")
                assert number.sub(b"N", found.content) == number.sub(b"N", expected.body)


def test_each_user_endpoint_and_workspace_has_its_own(
    client: Client, ask: Any, settings: Any
) -> None:
    at = "http://127.0.0.1:9"
    both = {"default": workspace_at(at), "acme": workspace_at(at + "/acme")}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": both}
    sync_nothing(alias="acme")
    set_rates(settings, "1/min")
    other = credentials(make_user("other", "run-import", "view-import-operations"))
    names = ("getCurrentImportOperation", "getLatestImportOperations", "import.status")
    paths = [f"{prefix}{API}{name}" for prefix in ("", "/workspaces/acme") for name in names]
    for path in paths:
        assert [ask(path).status_code for _ in range(2)] == [200, 429]
        assert [client.get(path, headers=other).status_code for _ in range(2)] == [200, 429]
    # The same by its other address is the same.
    assert ask("/workspaces/default" + PATH).status_code == 429


def test_a_user_is_one_whatever_the_credentials(client: Client, ask: Any, settings: Any) -> None:
    set_rates(settings, "3/min")
    user = User.objects.get(username="both")
    assert remaining(ask()) == "2"
    assert remaining(client.get(PATH, headers=credentials(user))) == "1"
    client.force_login(user)
    assert remaining(client.get(PATH)) == "0"
    assert ask().status_code == 429


def test_no_limit(ask: Any, settings: Any) -> None:
    set_rates(settings, None)
    for _ in range(30):
        response = ask()
        assert response.status_code == 200
        assert limits(response) == (None, None, None)
    assert not [name for name in response.headers if "rate" in name.lower()]


def test_no_limit_and_a_memory(ask: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_rates(settings, None)
    with remembering(settings, monkeypatch):
        assert [limits(ask()) for _ in range(3)] == [(None, None, None)] * 3


def test_a_hosts_other_rates_leave_ours_alone(ask: Any, settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"user": "1/day", "anon": "1/day"}}
    assert remaining(ask()) == "1199"
    assert remaining(ask()) == "1198"


def test_the_order_of_refusals(client: Client, ask: Any, settings: Any) -> None:
    """401 before 429 before 400 before 403, which is Rocket.Chat's."""
    set_rates(settings, "1/min", "100/min")
    stranger = credentials(make_user("stranger"))
    wrong = stranger | {"X-Auth-Token": "wrong"}
    response = client.get(PATH + "?a=1", headers=stranger)
    assert_rocketchat(response, 400, INVALID_PARAMS)
    # What is refused has been counted, and says so.
    assert (remaining(response), ask().status_code) == ("0", 200)
    for path in (PATH, PATH + "?a=1"):
        for given in ({}, wrong):
            response = client.get(path, headers=given)
            assert_rocketchat(response, 401, LOGGED_OUT)
            assert limits(response) == (None, None, None)
        response = client.get(path, headers=stranger)
        assert_rocketchat(response, 429, TOO_MANY.format(47).encode())
        assert ask(path).status_code == 429
    other = client.get(API + "import.status", headers=stranger)
    assert_rocketchat(other, 403, FORBIDDEN)
    assert remaining(other) == "0"


def test_what_is_counted(client: Client, ask: Any, settings: Any, headers: dict[str, str]) -> None:
    set_rates(settings, "9/min")
    assert remaining(ask()) == "8"
    for method in ("POST", "DELETE", "OPTIONS"):
        assert limits(client.generic(method, PATH, headers=headers)) == (None, None, None)
    assert limits(ask(PATH + "/")) == (None, None, None)
    assert remaining(client.head(PATH, headers=headers)) == "7"
    unchanged = client.get(PATH, headers=headers | {"If-None-Match": "*"})
    assert (unchanged.status_code, remaining(unchanged)) == (304, "6")


@pytest.mark.parametrize("backend", ["dummy.DummyCache", "locmem.LocMemCache"])
def test_a_cache_that_keeps_nothing(
    ask: Any, settings: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    if backend == "locmem.LocMemCache":
        # Thrown away between two commands, as a cache that is full does.
        monkeypatch.setattr(type(cache._connections["default"]), "add", lambda *_, **__: True)  # type: ignore[attr-defined] # a proxy
    set_rates(settings, "2/min", "2/min")
    assert [(ask().status_code, remaining(ask())) for _ in range(3)] == [(200, "1")] * 3
    wrong = {"X-User-Id": "1", "X-Auth-Token": "wrong"}
    assert [Client().get(PATH, headers=wrong).status_code for _ in range(4)] == [401] * 4


def test_what_a_url_holds_is_no_cache_key(client: Client, ask: Any) -> None:
    """Django warns of keys that not every cache takes, and here a warning is an error."""
    for alias in ("a" * 200, "a%20b", "%00", "%0a", "%ff", "\N{SNOWMAN}"):
        assert ask(f"/workspaces/{alias}{PATH}").status_code == 404
    assert ask("/workspaces/1:default" + PATH).status_code == 404
    assert remaining(ask()) == "1199"


class TestFromMemory:
    """What is answered from memory is counted too, a second later at most."""

    @pytest.fixture
    def clock(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
        with remembering(settings, monkeypatch) as clock:
            yield clock

    def test_it_is_counted(self, clock: Clock, ask: Any, settings: Any) -> None:
        set_rates(settings, "9/min")
        assert [remaining(ask()) for _ in range(4)] == ["8", "7", "6", "5"]
        clock.now += 1
        assert [remaining(ask()) for _ in range(2)] == ["4", "3"]
        clock.now += 1
        assert [remaining(ask()) for _ in range(4)] == ["2", "1", "0", "0"]
        assert ask().status_code == 429

    def test_it_ends_where_the_limit_does(self, clock: Clock, ask: Any, settings: Any) -> None:
        set_rates(settings, "3/min")
        found = [ask() for _ in range(5)]
        assert [each.status_code for each in found] == [200, 200, 200, 429, 429]
        assert [remaining(each) for each in found] == ["2", "1", "0", "0", "0"]
        assert_rocketchat(found[-1], 429)
        assert found[-1]["Vary"] == found[0]["Vary"]

    def test_a_new_window_is_a_whole_one(
        self, clock: Clock, ask: Any, settings: Any, traveller: time_machine.Traveller
    ) -> None:
        """Who has used a minute to its end may use the next one from its beginning."""
        set_rates(settings, "5/min")
        traveller.shift(46)
        assert [ask().status_code for _ in range(5)] == [200] * 5
        traveller.shift(0.7)
        clock.now += 0.7
        assert [remaining(ask()) for _ in range(5)] == ["4", "3", "2", "1", "0"]

    def test_no_answer_tells_of_a_window_that_is_over(
        self, clock: Clock, ask: Any, settings: Any, traveller: time_machine.Traveller
    ) -> None:
        set_rates(settings, "5/min")
        traveller.shift(46)
        ask()
        traveller.shift(0.7)
        clock.now += 0.7
        assert limits(ask()) == ("5", "4", milliseconds(NOON + timedelta(minutes=2)))

    def test_what_is_swept_out_was_counted(self, clock: Clock, ask: Any, settings: Any) -> None:
        set_rates(settings, "9/min")
        assert [remaining(ask()) for _ in range(4)] == ["8", "7", "6", "5"]
        clock.now += 1
        for number in range(1_000):
            key = response_cache.Key("Endpoint", "default", str(number), "token")
            response = response_cache.CachedResponse(clock.now + 1, "", "", 0, {}, b"")
            response_cache.set(key, response)
        assert remaining(ask()) == "4"
