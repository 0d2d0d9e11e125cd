"""How looks share rows: with those that went alike, but not over a time in which nobody looked."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from importmonitor.charts.scales import seconds
from importmonitor.charts.stretches import GAP, GAP_AFTER, GOOD, stretches
from importmonitor.models import Alert, SyncPeriod
from importmonitor.sync.interval import PollInterval
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.conftest import MONDAY
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

HOUR = 3600
DAY = 24 * HOUR


def look(rocketchat: Workspace, pauses: Iterable[float]) -> None:
    """Look after each of these pauses, in seconds."""
    near: Any = None if rocketchat.outage else FakeClient(rocketchat)
    for pause in pauses:
        rocketchat.clock.advance(pause)
        sync_workspace("default", client=near, now=rocketchat.clock.now)


def periods() -> list[tuple[str, int]]:
    return list(SyncPeriod.objects.order_by("pk").values_list("outcome", "polls"))


def kinds(rocketchat: Workspace) -> list[str]:
    """Return what the strip shows of all the time."""
    rows = SyncPeriod.objects.all()
    found = stretches(rows, seconds(MONDAY), seconds(rocketchat.clock.now()), GAP_AFTER)
    return [each.kind for each in found]


def test_looks_that_go_alike_share_a_period(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", seconds=HOUR)
    look(rocketchat, [60] * 5)
    rocketchat.outage = 503
    look(rocketchat, [60] * 2)
    rocketchat.outage = None
    look(rocketchat, [60])
    assert periods() == [("ok", 5), ("Unreachable", 2), ("ok", 1)]
    failing = SyncPeriod.objects.get(outcome="Unreachable")
    assert failing.last_at - failing.first_at == timedelta(seconds=60)
    assert "503" in failing.message


def test_a_night_in_which_nobody_looked_is_a_gap(rocketchat: Workspace) -> None:
    look(rocketchat, [0, *[300] * 20])
    asleep_at = rocketchat.clock.now()
    look(rocketchat, [8 * HOUR, *[300] * 20])
    assert periods() == [("empty", 21), ("empty", 21)]
    before, after = SyncPeriod.objects.order_by("pk")
    assert (before.last_at, after.first_at) == (asleep_at, asleep_at + timedelta(hours=8))
    assert kinds(rocketchat) == [GOOD, GAP, GOOD]


@pytest.mark.parametrize("every", [30, 60, 300, HOUR])
def test_looks_at_whatever_distance_share_a_period(rocketchat: Workspace, every: int) -> None:
    look(rocketchat, [every] * 50)
    assert periods() == [("empty", 50)]


def test_a_look_or_two_may_be_left_out(rocketchat: Workspace) -> None:
    look(rocketchat, [60, 60, 60, 600, 60, 60])
    look(rocketchat, [HOUR] * 20)
    assert len(periods()) == 2
    look(rocketchat, [3 * HOUR, HOUR, HOUR])
    assert len(periods()) == 2


def test_once_a_day_is_a_look_by_itself(rocketchat: Workspace) -> None:
    look(rocketchat, [0, *[DAY] * 3])
    assert periods() == [("empty", 1)] * 4
    assert kinds(rocketchat) == [GOOD, GAP] * 3


def test_waiting_longer_and_longer_is_no_pause(rocketchat: Workspace) -> None:
    rocketchat.outage = 503
    pace = PollInterval(30.0, 300.0)
    look(rocketchat, [pace.after_failure(None, rocketchat.clock.now()) for _ in range(20)])
    assert periods() == [("Unreachable", 20)]


def test_trouble_on_both_sides_of_a_pause_is_told_once(
    rocketchat: Workspace, settings: Any
) -> None:
    channel = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel}}
    rocketchat.outage = 503
    look(rocketchat, [60] * 10)
    look(rocketchat, [8 * HOUR, *[60] * 10])
    rocketchat.outage = None
    look(rocketchat, [60])
    assert periods() == [("Unreachable", 10), ("Unreachable", 11), ("empty", 1)]
    told = Alert.objects.order_by("pk").values_list("event", flat=True)
    assert list(told) == ["workspace.unreachable", "workspace.recovered"]
