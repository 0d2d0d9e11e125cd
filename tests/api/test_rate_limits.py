"""Rate limits, with Rocket.Chat's headers and errors."""

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
from importmonitor.api.throttling import ADDRESS_GROUPS
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
from tests.api.test_response_cache import Clock, caching
from tests.api.test_responses import FORBIDDEN, INVALID_PARAMS, LOGGED_OUT, assert_rocketchat

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

API = "/api/v1/"
LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
TOO_MANY = (
    '{{"success":false,"error":"Error, too many requests. Please slow down. You must wait {} '
    'seconds before trying this endpoint again. [error-too-many-requests]"}}'
)


@pytest.fixture(autouse=True)
def traveller() -> Iterator[time_machine.Traveller]:
    """Freeze time 13.5 s into a minute."""
    with time_machine.travel(NOON + timedelta(seconds=13.5), tick=False) as traveller:
        yield traveller


def set_rates(settings: Any, calls: str | None = None, wrong_tokens: str | None = None) -> None:
    """Set both rates in DRF's settings; None is no limit."""
    rates = {"importmonitor": calls, "importmonitor_wrong_tokens": wrong_tokens}
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": rates}


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    sync(RUNNING)
    return credentials(make_user("tool", "run-import", "view-import-operations"))


@pytest.fixture
def fetch(client: Client, headers: dict[str, str]) -> Any:
    return lambda path=PATH, **more: client.get(path, headers=headers, **more)


def limits(response: "Response") -> tuple[str | None, ...]:
    return tuple(response.get(name) for name in LIMIT_HEADERS)


def remaining(response: "Response") -> str:
    return response["X-RateLimit-Remaining"]


def milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def test_default_limit_is_1200_per_minute(fetch: Any) -> None:
    reset = milliseconds(NOON + timedelta(minutes=1))
    assert limits(fetch()) == ("1200", "1199", reset)
    assert limits(fetch()) == ("1200", "1198", reset)


def test_remaining_falls_to_zero_then_429(fetch: Any, settings: Any) -> None:
    set_rates(settings, "3/min")
    reset = milliseconds(NOON + timedelta(minutes=1))
    for left in ("2", "1", "0"):
        response = fetch()
        assert_rocketchat(response, 200)
        assert limits(response) == ("3", left, reset)
    for _ in range(2):
        response = fetch()
        # 46.5 seconds are left of the minute.
        assert_rocketchat(response, 429, TOO_MANY.format(47).encode())
        assert limits(response) == ("3", "0", reset)
        assert "Retry-After" not in response


def test_next_window_resets_the_limit(
    fetch: Any, settings: Any, traveller: time_machine.Traveller
) -> None:
    set_rates(settings, "1/min")
    assert [fetch().status_code for _ in range(3)] == [200, 429, 429]
    traveller.shift(46.4)
    # Rocket.Chat's clients wait for this time: it is never 0.
    assert_rocketchat(fetch(), 429, TOO_MANY.format(1).encode())
    traveller.shift(0.1)
    response = fetch()
    assert limits(response) == ("1", "0", milliseconds(NOON + timedelta(minutes=2)))
    assert response.status_code == 200
    assert fetch().status_code == 429


@pytest.mark.parametrize(("rate", "seconds"), [("1/s", 1), ("1/h", 3587), ("1/day", 43187)])
def test_windows_of_other_lengths(fetch: Any, settings: Any, rate: str, seconds: int) -> None:
    set_rates(settings, rate)
    assert fetch().status_code == 200
    assert_rocketchat(fetch(), 429, TOO_MANY.format(seconds).encode())


@pytest.mark.parametrize("wait", [None, 0, 0.2])
def test_wait_is_at_least_a_second(wait: float | None) -> None:
    """A window can end between the count and the response."""
    response = responses.refusal(Throttled(wait=wait))
    assert (response.status_code, response.content) == (429, TOO_MANY.format(1).encode())


def test_counts_equal_rocketchats(workspace: Workspace, fetch: Any, settings: Any) -> None:
    """The simulated Rocket.Chat 8 has the same limit and window."""
    set_rates(settings, "3/min")
    workspace.clock.advance(13.5)
    workspace.limiter = Limiter(3, workspace.clock)
    there = {"X-User-Id": "toooooooooooooool", "X-Auth-Token": "there"}
    workspace.add_user(there["X-User-Id"], there["X-Auth-Token"])
    for path, query in ((PATH, ""), (API + "import.status", ""), (PATH, "a=1")):
        for _ in range(5):
            expected = respond(workspace, "GET", path, query, there)
            response = fetch(f"{path}?{query}")
            assert response.status_code == expected.status
            assert {*LIMIT_HEADERS} <= {*response.headers}, {*LIMIT_HEADERS} <= {*expected.headers}
            for name in LIMIT_HEADERS[:2]:
                assert response[name] == expected.headers[name]
            assert len(response[LIMIT_HEADERS[2]]) == len(expected.headers[LIMIT_HEADERS[2]])
            if expected.status == 429:
                number = re.compile(rb"\d+")
                assert number.sub(b"N", response.content) == number.sub(b"N", expected.body)


def test_users_endpoints_and_workspaces_have_separate_limits(
    client: Client, fetch: Any, settings: Any
) -> None:
    at = "http://127.0.0.1:9"
    workspaces = {"default": workspace_at(at), "acme": workspace_at(at + "/acme")}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": workspaces}
    sync_nothing(alias="acme")
    set_rates(settings, "1/min")
    other = credentials(make_user("other", "run-import", "view-import-operations"))
    names = ("getCurrentImportOperation", "getLatestImportOperations", "import.status")
    paths = [f"{prefix}{API}{name}" for prefix in ("", "/workspaces/acme") for name in names]
    for path in paths:
        assert [fetch(path).status_code for _ in range(2)] == [200, 429]
        assert [client.get(path, headers=other).status_code for _ in range(2)] == [200, 429]
    # The other URL of the same workspace has the same limit.
    assert fetch("/workspaces/default" + PATH).status_code == 429


def test_credentials_of_a_user_share_the_limit(client: Client, fetch: Any, settings: Any) -> None:
    set_rates(settings, "3/min")
    user = User.objects.get(username="tool")
    assert remaining(fetch()) == "2"
    assert remaining(client.get(PATH, headers=credentials(user))) == "1"
    client.force_login(user)
    assert remaining(client.get(PATH)) == "0"
    assert fetch().status_code == 429


def test_limit_can_be_disabled(fetch: Any, settings: Any) -> None:
    set_rates(settings, None)
    for _ in range(30):
        response = fetch()
        assert response.status_code == 200
        assert limits(response) == (None, None, None)
    assert not [name for name in response.headers if "rate" in name.lower()]


def test_no_limit_with_cached_responses(
    fetch: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rates(settings, None)
    with caching(settings, monkeypatch):
        assert [limits(fetch()) for _ in range(3)] == [(None, None, None)] * 3


def test_other_rates_of_the_host_are_ignored(fetch: Any, settings: Any) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"user": "1/day", "anon": "1/day"}}
    assert remaining(fetch()) == "1199"
    assert remaining(fetch()) == "1198"


def test_checks_401_then_429_then_400_then_403(client: Client, fetch: Any, settings: Any) -> None:
    """401 before 429 before 400 before 403, which is Rocket.Chat's."""
    set_rates(settings, "1/min", "100/min")
    stranger = credentials(make_user("stranger"))
    wrong = stranger | {"X-Auth-Token": "wrong"}
    response = client.get(PATH + "?a=1", headers=stranger)
    assert_rocketchat(response, 400, INVALID_PARAMS)
    # The refused request was counted.
    assert (remaining(response), fetch().status_code) == ("0", 200)
    for path in (PATH, PATH + "?a=1"):
        for invalid_headers in ({}, wrong):
            response = client.get(path, headers=invalid_headers)
            assert_rocketchat(response, 401, LOGGED_OUT)
            assert limits(response) == (None, None, None)
        response = client.get(path, headers=stranger)
        assert_rocketchat(response, 429, TOO_MANY.format(47).encode())
        assert fetch(path).status_code == 429
    other = client.get(API + "import.status", headers=stranger)
    assert_rocketchat(other, 403, FORBIDDEN)
    assert remaining(other) == "0"


def test_only_get_and_head_are_counted(
    client: Client, fetch: Any, settings: Any, headers: dict[str, str]
) -> None:
    set_rates(settings, "9/min")
    assert remaining(fetch()) == "8"
    for method in ("POST", "DELETE", "OPTIONS"):
        assert limits(client.generic(method, PATH, headers=headers)) == (None, None, None)
    assert limits(fetch(PATH + "/")) == (None, None, None)
    assert remaining(client.head(PATH, headers=headers)) == "7"
    unchanged = client.get(PATH, headers=headers | {"If-None-Match": "*"})
    assert (unchanged.status_code, remaining(unchanged)) == (304, "6")


@pytest.mark.parametrize("backend", ["dummy.DummyCache", "locmem.LocMemCache"])
def test_cache_without_storage_disables_limits(
    fetch: Any, settings: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    if backend == "locmem.LocMemCache":
        # Evicted between two commands, as by a full cache.
        monkeypatch.setattr(type(cache._connections["default"]), "add", lambda *_, **__: True)  # type: ignore[attr-defined] # a proxy
    set_rates(settings, "2/min", "2/min")
    assert [(fetch().status_code, remaining(fetch())) for _ in range(3)] == [(200, "1")] * 3
    wrong = {"X-User-Id": "1", "X-Auth-Token": "wrong"}
    assert [Client().get(PATH, headers=wrong).status_code for _ in range(4)] == [401] * 4


def test_alias_is_not_used_as_cache_key(client: Client, fetch: Any) -> None:
    """Django warns of keys that not every cache takes, and here a warning is an error."""
    for alias in ("a" * 200, "a%20b", "%00", "%0a", "%ff", "\N{SNOWMAN}"):
        assert fetch(f"/workspaces/{alias}{PATH}").status_code == 404
    assert fetch("/workspaces/1:default" + PATH).status_code == 404
    assert remaining(fetch()) == "1199"


def test_unknown_aliases_share_one_count(fetch: Any, settings: Any) -> None:
    """Counts of their own would evict all others from a small cache."""
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "small",
            "OPTIONS": {"MAX_ENTRIES": 30},
        }
    }
    set_rates(settings, "40/min")
    assert remaining(fetch()) == "39"
    statuses = [fetch(f"/workspaces/unknown{n}{PATH}").status_code for n in range(42)]
    assert statuses == [404] * 40 + [429] * 2
    assert remaining(fetch()) == "38"
    assert fetch("/workspaces/another" + PATH).status_code == 429


def test_addresses_are_counted_in_a_bounded_number_of_groups(
    client: Client, settings: Any, headers: dict[str, str]
) -> None:
    """Whoever has an IPv6 network has an address for each request."""
    set_rates(settings, None, "1000/min")
    wrong = headers | {"X-Auth-Token": "wrong"}
    for number in range(200):
        client.get(PATH, headers=wrong, REMOTE_ADDR=f"2001:db8::{number:x}")
    assert len(cache._connections["default"]._cache) <= ADDRESS_GROUPS  # type: ignore[attr-defined] # a proxy


class TestCachedResponses:
    """Cached responses are counted too."""

    @pytest.fixture
    def clock(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
        with caching(settings, monkeypatch) as clock:
            yield clock

    def test_cached_responses_are_counted(self, clock: Clock, fetch: Any, settings: Any) -> None:
        set_rates(settings, "9/min")
        assert [remaining(fetch()) for _ in range(4)] == ["8", "7", "6", "5"]
        clock.now += 1
        assert [remaining(fetch()) for _ in range(2)] == ["4", "3"]
        clock.now += 1
        assert [remaining(fetch()) for _ in range(4)] == ["2", "1", "0", "0"]
        assert fetch().status_code == 429

    def test_limit_applies_to_cached_responses(
        self, clock: Clock, fetch: Any, settings: Any
    ) -> None:
        set_rates(settings, "3/min")
        all_responses = [fetch() for _ in range(5)]
        assert [response.status_code for response in all_responses] == [200, 200, 200, 429, 429]
        assert [remaining(response) for response in all_responses] == ["2", "1", "0", "0", "0"]
        assert_rocketchat(all_responses[-1], 429)
        assert all_responses[-1]["Vary"] == all_responses[0]["Vary"]

    def test_next_window_has_the_full_limit(
        self, clock: Clock, fetch: Any, settings: Any, traveller: time_machine.Traveller
    ) -> None:
        """Calls at the end of a window do not count for the next one."""
        set_rates(settings, "5/min")
        traveller.shift(46)
        assert [fetch().status_code for _ in range(5)] == [200] * 5
        traveller.shift(0.7)
        clock.now += 0.7
        assert [remaining(fetch()) for _ in range(5)] == ["4", "3", "2", "1", "0"]

    def test_headers_are_of_the_current_window(
        self, clock: Clock, fetch: Any, settings: Any, traveller: time_machine.Traveller
    ) -> None:
        set_rates(settings, "5/min")
        traveller.shift(46)
        fetch()
        traveller.shift(0.7)
        clock.now += 0.7
        assert limits(fetch()) == ("5", "4", milliseconds(NOON + timedelta(minutes=2)))

    def test_evicted_responses_were_counted(self, clock: Clock, fetch: Any, settings: Any) -> None:
        set_rates(settings, "9/min")
        assert [remaining(fetch()) for _ in range(4)] == ["8", "7", "6", "5"]
        clock.now += 1
        for number in range(1_000):
            key = response_cache.Key("default/", "Endpoint", "default", str(number), "token")
            response = response_cache.CachedResponse(clock.now + 1, "", "", 0, {}, b"")
            response_cache.set(key, response)
        assert remaining(fetch()) == "4"
