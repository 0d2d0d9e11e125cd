"""When a workspace is asked again: the budget is kept, and who fails is left alone for longer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import RateLimited, Unreachable
from importmonitor.rocketchat.rate_limit import RateLimit, parse_rate_limit
from importmonitor.sync.interval import MAX_BACKOFF, PollInterval
from importmonitor.sync.poll import SyncResult
from importmonitor.sync.pool import Pool
from importmonitor.sync.watch import watch
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID

ENDPOINT = "/api/v1/getCurrentImportOperation"
HOUR = 3600.0


class Running:
    """An operation that is not over, as far as a watch asks."""

    is_active = True


@pytest.fixture
def limited() -> Workspace:
    clock = Clock(MONDAY)
    workspace = Workspace(clock, rate_limit=10, limiter_clock=clock)
    workspace.add_user(USER_ID, AUTH_TOKEN)
    return workspace


def hour_of_polls(workspace: Workspace, others: list[float], interval: float) -> list[datetime]:
    """Watch for an hour of the workspace's time while another client calls at these seconds."""
    calls: list[datetime] = []
    due = sorted(others)
    clock = workspace.clock

    def seconds() -> float:
        return (clock.now() - MONDAY).total_seconds()

    def call_of_another() -> None:
        assert workspace.limiter is not None
        due.pop(0)
        verdict = workspace.limiter.take("127.0.0.1", ENDPOINT)
        assert verdict.allowed, f"we took the budget of another at {seconds()}"

    def sleep(pause: float) -> None:
        ends_at = seconds() + pause
        while due and due[0] <= ends_at:
            clock.advance(max(0.0, due[0] - seconds()))
            call_of_another()
        clock.advance(max(0.001, ends_at - seconds()))

    def poll(_configured: WorkspaceConfig, client: Client) -> SyncResult:
        calls.append(clock.now())
        client.current_operation()
        return SyncResult("default", clock.now(), operation=Running())  # type: ignore[arg-type]

    with Server(workspace) as server:
        configured = WorkspaceConfig("default", server.url, USER_ID, AUTH_TOKEN)
        outcomes = watch(
            lambda: [configured],
            Pool(poll),
            interval=interval,
            idle_interval=300.0,
            now=clock.now,
            clock=seconds,
            sleep=sleep,
        )
        for outcome in outcomes:
            assert isinstance(outcome, SyncResult), outcome.error
            if seconds() >= HOUR:
                break
        outcomes.close()
    assert workspace.requests[ENDPOINT, 429] == 0
    return calls


def every(pause: float, *, beginning: float = 1.0) -> list[float]:
    return [beginning + pause * number for number in range(int(HOUR // pause))]


def bursts(size: int, *, at: float) -> list[float]:
    return [60 * minute + at + number for minute in range(60) for number in range(size)]


@pytest.mark.parametrize(
    ("others", "interval", "at_least"),
    [
        pytest.param([], 30.0, 115, id="alone"),
        pytest.param(every(60), 30.0, 110, id="one a minute"),
        pytest.param(every(10), 30.0, 100, id="six a minute"),
        pytest.param(every(60 / 8), 30.0, 55, id="eight a minute"),
        pytest.param(every(60 / 9 + 0.1), 30.0, 38, id="nearly nine a minute"),
        pytest.param(bursts(8, at=40.0), 30.0, 38, id="eight at once"),
        pytest.param([], 1.0, 300, id="alone and in a hurry"),
        pytest.param(every(20), 5.0, 200, id="in a hurry beside another"),
    ],
)
@pytest.mark.thorough(one_in=3)
def test_an_hour_within_the_budget(
    limited: Workspace, others: list[float], interval: float, at_least: int
) -> None:
    """Neither we nor another client is refused, as long as the other could live by itself."""
    calls = hour_of_polls(limited, others, interval)
    assert len(calls) >= at_least


def test_an_import_that_runs_is_looked_at_more_often_than_one_that_is_over() -> None:
    pace = PollInterval(interval=30.0, idle_interval=300.0)
    assert pace.after_success(active=True, rate_limit=None, at=0.0) == 30.0
    assert pace.after_success(active=False, rate_limit=None, at=0.0) == 300.0


def test_failures_double_the_pause_up_to_ten_minutes() -> None:
    error = Unreachable("down")
    pauses = [list(islice(failing(error), 12)) for _ in range(50)]
    for number, (shortest, longest) in enumerate(
        [(24, 36), (48, 72), (96, 144), (192, 288), (384, 576)]
    ):
        column = [each[number] for each in pauses]
        assert all(shortest <= pause <= longest for pause in column)
        # Not all at once, of those that failed together.
        assert len(set(column)) > 40
    assert all(0.8 * MAX_BACKOFF <= each[-1] <= MAX_BACKOFF for each in pauses)


def failing(error: Unreachable) -> Iterator[float]:
    pace = PollInterval(30.0, 300.0)
    while True:
        yield pace.after_failure(error, MONDAY)


def test_one_good_look_ends_the_long_pauses() -> None:
    pace = PollInterval(30.0, 300.0)
    for _ in range(6):
        pace.after_failure(None, MONDAY)
    pace.after_success(active=True, rate_limit=None, at=0.0)
    assert pace.after_failure(None, MONDAY) <= 36


def test_a_refusal_is_waited_for_as_long_as_it_says() -> None:
    pace = PollInterval(30.0, 300.0)
    refused = RateLimited("wait", until=MONDAY + timedelta(seconds=42))
    assert 42 < pace.after_failure(refused, MONDAY) <= 47


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
def test_a_budget_that_is_not_announced(headers: dict[str, str]) -> None:
    assert parse_rate_limit(headers, MONDAY) is None


def announced(**more: str) -> dict[str, str]:
    reset = int((MONDAY + timedelta(seconds=20)).timestamp() * 1000)
    return {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": str(reset),
    } | more


def test_a_budget_by_the_servers_own_clock() -> None:
    assert parse_rate_limit(announced(), MONDAY) == RateLimit(10, 7, 20.0)
    # Ours is an hour behind, and it does not matter.
    date = "Mon, 05 Jan 2026 08:59:50 GMT"
    assert parse_rate_limit(announced(Date=date), datetime(2026, 1, 5, 8, tzinfo=UTC)) == RateLimit(
        10, 7, 30.0
    )
    assert parse_rate_limit(announced(Date="yesterday"), MONDAY) == RateLimit(10, 7, 20.0)
