"""When a watch ends although imports are active."""

import math
from datetime import timedelta

import pytest

from importmonitor.management.limits import WatchLimits
from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    PermissionMissing,
    RocketChatError,
    TwoFactorRequired,
    Unauthenticated,
    Unreachable,
)
from importmonitor.sync.poll import SyncResult
from tests.conftest import MONDAY

WATCHED = {"a", "b"}
REFUSALS = [
    Unauthenticated("401"),
    PermissionMissing("403", permission="run-import"),
    TwoFactorRequired("2FA"),
]


class Clock:
    """A clock that only the test moves."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> WatchLimits:
    return WatchLimits(WATCHED, None, timedelta(minutes=5), clock)


def result(error: RocketChatError | None = None, skipped: str | None = None) -> SyncResult:
    return SyncResult("a", MONDAY, error=error, skipped=skipped)


def test_timeout_counts_from_the_start(clock: Clock) -> None:
    limits = WatchLimits(WATCHED, 90.0, None, clock)
    clock.seconds += 30
    limits.note("a", result(REFUSALS[0]))
    assert limits.ends_at() == 1090.0
    assert limits.reason() == "The timeout of 90 s is over."


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.kind)
def test_refused_token_ends_the_watch(
    limits: WatchLimits, clock: Clock, error: RocketChatError
) -> None:
    for _ in range(3):
        limits.note("a", result(error))
        clock.seconds += 30
    assert limits.ends_at() == 1300.0
    assert "refused the token of a for 5 min" in limits.reason()


@pytest.mark.parametrize("error", [Unreachable("502"), BadAnswer("?"), NotRocketChat("404")])
def test_other_failures_keep_the_watch_waiting(limits: WatchLimits, error: RocketChatError) -> None:
    for last in (result(error), None, result(skipped="leased")):
        limits.note("a", result(REFUSALS[0]))
        limits.note("a", last)
        assert limits.ends_at() == math.inf


def test_refusals_count_from_the_first_since_the_token_worked(
    limits: WatchLimits, clock: Clock
) -> None:
    limits.note("a", result(REFUSALS[0]))
    clock.seconds += 60
    # This says nothing about the token.
    limits.note("a", result(Unreachable("502")))
    limits.note("a", result(REFUSALS[1]))
    assert limits.ends_at() == 1300.0
    limits.note("a", result())
    assert limits.ends_at() == math.inf
    limits.note("a", result(REFUSALS[0]))
    assert limits.ends_at() == 1360.0


def test_removed_workspace_does_not_end_the_watch(limits: WatchLimits) -> None:
    limits.note("a", result(REFUSALS[0]))
    limits.watched = {"b"}
    assert limits.ends_at() == math.inf
