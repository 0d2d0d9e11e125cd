"""Periods: successive polls with the same result share a row, but not across a gap."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from importmonitor.charts.scales import seconds
from importmonitor.charts.stretches import GAP, GAP_AFTER, GOOD, stretches
from importmonitor.models import Alert, SyncPeriod
from importmonitor.models import Workspace as Monitored
from importmonitor.sync.interval import after_failure
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.conftest import MONDAY
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

HOUR = 3600
DAY = 24 * HOUR


def poll(rocketchat: Workspace, pauses: Iterable[float]) -> None:
    """Poll after each of these pauses, in seconds."""
    client: Any = None if rocketchat.outage else FakeClient(rocketchat)
    for pause in pauses:
        rocketchat.clock.advance(pause)
        sync_workspace("default", client=client, now=rocketchat.clock.now)


def periods() -> list[tuple[str, int]]:
    return [(period.outcome, period.polls) for period in stored_periods()]


def stored_periods() -> list[SyncPeriod]:
    """Return all periods, oldest first."""
    return Monitored.objects.periods(MONDAY, MONDAY + timedelta(days=1000))


def kinds(rocketchat: Workspace) -> list[str]:
    """Return the kinds of the stretches that the availability chart draws."""
    rows = stored_periods()
    now = seconds(rocketchat.clock.now())
    return [stretch.kind for stretch in stretches(rows, seconds(MONDAY), now, GAP_AFTER)]


def test_polls_with_the_same_result_share_a_period(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", seconds=HOUR)
    poll(rocketchat, [60] * 5)
    rocketchat.outage = 503
    poll(rocketchat, [60] * 2)
    rocketchat.outage = None
    poll(rocketchat, [60])
    assert periods() == [("ok", 5), ("Unreachable", 2), ("ok", 1)]
    failing = SyncPeriod.objects.get(outcome="Unreachable")
    assert failing.last_at - failing.first_at == timedelta(seconds=60)
    assert "503" in failing.message


def test_night_without_polls_is_a_gap(rocketchat: Workspace) -> None:
    poll(rocketchat, [0, *[300] * 20])
    paused_at = rocketchat.clock.now()
    poll(rocketchat, [8 * HOUR, *[300] * 20])
    assert periods() == [("empty", 21), ("empty", 21)]
    before, after = stored_periods()
    assert (before.last_at, after.first_at) == (paused_at, paused_at + timedelta(hours=8))
    assert kinds(rocketchat) == [GOOD, GAP, GOOD]


@pytest.mark.parametrize("every", [30, 60, 300, HOUR])
def test_regular_polls_share_a_period_at_any_interval(rocketchat: Workspace, every: int) -> None:
    poll(rocketchat, [every] * 50)
    assert periods() == [("empty", 50)]


def test_one_or_two_missing_polls_do_not_end_a_period(rocketchat: Workspace) -> None:
    poll(rocketchat, [60, 60, 60, 600, 60, 60])
    poll(rocketchat, [HOUR] * 20)
    assert len(periods()) == 2
    poll(rocketchat, [3 * HOUR, HOUR, HOUR])
    assert len(periods()) == 2


def test_daily_polls_have_a_period_each(rocketchat: Workspace) -> None:
    poll(rocketchat, [0, *[DAY] * 3])
    assert periods() == [("empty", 1)] * 4
    assert kinds(rocketchat) == [GOOD, GAP] * 3


def test_backoff_does_not_end_a_period(rocketchat: Workspace) -> None:
    rocketchat.outage = 503
    poll(rocketchat, [after_failure(None, count, rocketchat.clock.now()) for count in range(20)])
    assert periods() == [("Unreachable", 20)]


def test_outage_across_a_gap_is_alerted_once(rocketchat: Workspace, settings: Any) -> None:
    channel = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel}}
    rocketchat.outage = 503
    poll(rocketchat, [60] * 10)
    poll(rocketchat, [8 * HOUR, *[60] * 10])
    rocketchat.outage = None
    poll(rocketchat, [60])
    assert periods() == [("Unreachable", 10), ("Unreachable", 11), ("empty", 1)]
    events = Alert.objects.order_by("pk").values_list("event", flat=True)
    assert list(events) == ["workspace.unreachable", "workspace.recovered"]
