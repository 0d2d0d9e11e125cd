"""The interval between polls: within the rate limit, and longer after failures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice

import pytest

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import RateLimited, Unreachable
from importmonitor.rocketchat.rate_limit import RateLimit, parse_rate_limit
from importmonitor.sync.interval import MAX_BACKOFF, PollInterval, after_failure
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID

ENDPOINT = "/api/v1/getCurrentImportOperation"
HOUR = 3600.0


@pytest.fixture
def limited() -> Workspace:
    clock = Clock(MONDAY)
    workspace = Workspace(clock, rate_limit=10, limiter_clock=clock)
    workspace.add_user(USER_ID, AUTH_TOKEN)
    return workspace


def poll_for_an_hour(workspace: Workspace, others: list[float], interval: float) -> list[datetime]:
    """Poll for an hour of the workspace's time while another client calls at these seconds.

    Return the times of the polls.
    """
    calls: list[datetime] = []
    due = sorted(others)
    clock = workspace.clock

    def seconds() -> float:
        return (clock.now() - MONDAY).total_seconds()

    def call_by_another() -> None:
        assert workspace.limiter is not None
        due.pop(0)
        verdict = workspace.limiter.take("127.0.0.1", ENDPOINT)
        assert verdict.allowed, f"the other client is rate limited at {seconds()}"

    def sleep(pause: float) -> None:
        ends_at = seconds() + pause
        while due and due[0] <= ends_at:
            clock.advance(max(0.0, due[0] - seconds()))
            call_by_another()
        clock.advance(max(0.001, ends_at - seconds()))

    with Server(workspace) as server:
        configured = WorkspaceConfig("default", server.url, USER_ID, AUTH_TOKEN)
        poll_interval = PollInterval(interval, idle_interval=300.0)
        with Client(configured, now=clock.now) as client:
            while seconds() < HOUR:
                calls.append(clock.now())
                client.current_operation()
                sleep(
                    poll_interval.after_success(
                        active=True, rate_limit=client.rate_limit, at=seconds()
                    )
                )
    assert workspace.requests[ENDPOINT, 429] == 0
    return calls


def every(pause: float) -> list[float]:
    return [1.0 + pause * number for number in range(int(HOUR // pause))]


def bursts(size: int, *, at: float) -> list[float]:
    return [60 * minute + at + number for minute in range(60) for number in range(size)]


@pytest.mark.parametrize(
    ("others", "interval", "min_calls"),
    [
        pytest.param([], 30.0, 115, id="alone"),
        pytest.param(every(60), 30.0, 110, id="one a minute"),
        pytest.param(every(10), 30.0, 100, id="six a minute"),
        pytest.param(every(60 / 8), 30.0, 55, id="eight a minute"),
        pytest.param(every(60 / 9 + 0.1), 30.0, 38, id="nearly nine a minute"),
        pytest.param(bursts(8, at=40.0), 30.0, 38, id="eight at once"),
        pytest.param([], 1.0, 300, id="alone, every second"),
        pytest.param(every(20), 5.0, 200, id="every 5 seconds beside another"),
    ],
)
@pytest.mark.thorough(one_in=3)
def test_an_hour_of_polls_stays_within_the_rate_limit(
    limited: Workspace, others: list[float], interval: float, min_calls: int
) -> None:
    """Neither the monitor nor another client that respects the limit is refused."""
    calls = poll_for_an_hour(limited, others, interval)
    assert len(calls) >= min_calls


def test_active_import_uses_the_short_interval() -> None:
    interval = PollInterval(interval=30.0, idle_interval=300.0)
    assert interval.after_success(active=True, rate_limit=None, at=0.0) == 30.0
    assert interval.after_success(active=False, rate_limit=None, at=0.0) == 300.0


def test_failures_double_the_backoff_up_to_ten_minutes() -> None:
    workspaces = [list(islice(backoffs(Unreachable("down")), 12)) for _ in range(50)]
    for number, (shortest, longest) in enumerate(
        [(24, 36), (48, 72), (96, 144), (192, 288), (384, 576)]
    ):
        column = [pauses[number] for pauses in workspaces]
        assert all(shortest <= pause <= longest for pause in column)
        # Workspaces that failed together are not retried together.
        assert len(set(column)) > 40
    assert all(0.8 * MAX_BACKOFF <= pauses[-1] <= MAX_BACKOFF for pauses in workspaces)


def backoffs(error: Unreachable) -> Iterator[float]:
    for failures in count(1):
        yield after_failure(error, failures, MONDAY)


def test_rate_limited_poll_waits_until_the_reset() -> None:
    error = RateLimited("wait", until=MONDAY + timedelta(seconds=42))
    assert 42 < after_failure(error, 1, MONDAY) <= 47


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9"},
        {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"},
        {"X-RateLimit-Limit": "9" * 99, "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "1"},
    ],
)
def test_missing_or_invalid_rate_limit_headers_are_ignored(headers: dict[str, str]) -> None:
    assert parse_rate_limit(headers, MONDAY) is None


def rate_limit_headers(**more: str) -> dict[str, str]:
    reset = int((MONDAY + timedelta(seconds=20)).timestamp() * 1000)
    return {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": str(reset),
    } | more


def test_rate_limit_reset_is_corrected_by_the_servers_clock() -> None:
    assert parse_rate_limit(rate_limit_headers(), MONDAY) == RateLimit(10, 7, 20.0)
    # The monitor's clock is an hour behind.
    date = "Mon, 05 Jan 2026 08:59:50 GMT"
    assert parse_rate_limit(
        rate_limit_headers(Date=date), datetime(2026, 1, 5, 8, tzinfo=UTC)
    ) == RateLimit(10, 7, 30.0)
    assert parse_rate_limit(rate_limit_headers(Date="yesterday"), MONDAY) == RateLimit(10, 7, 20.0)
