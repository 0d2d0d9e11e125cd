"""Imports that do not move: told once, and only by time in which somebody could look."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

MINUTE = 60.0
STUCK_AT = 300.0


@pytest.fixture
def rocketchat(workspace: Workspace) -> Workspace:
    """What is asked without a network: here it is how often that matters."""
    return workspace


@pytest.fixture
def stuck(rocketchat: Workspace) -> Workspace:
    """An import that stops moving in its middle, after five minutes, for two hours."""
    rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=7200, records=4000)
    return rocketchat


def look(rocketchat: Workspace, *, every: float, times: int = 1) -> ImportOperation:
    client: Any = FakeClient(rocketchat)
    if rocketchat.outage:
        client.trouble = Unreachable("down")
    for _ in range(times):
        rocketchat.clock.advance(every)
        sync_workspace("default", client=client, now=rocketchat.clock.now)
    return ImportOperation.objects.get()


def reasons() -> list[str]:
    told = StatusTransition.objects.filter(reason__in=["stalled", "resumed"]).order_by("pk")
    return [str(each.reason) for each in told]


def stand_still(rocketchat: Workspace) -> ImportOperation:
    """Look every minute until the import has stopped moving."""
    before = look(rocketchat, every=MINUTE)
    while True:
        after = look(rocketchat, every=MINUTE)
        if after.state == "importing" and after.last_progress_at == before.last_progress_at:
            return after
        before = after


def test_stalled_and_resumed_once_each(stuck: Workspace) -> None:
    still = stand_still(stuck)
    look(stuck, every=MINUTE, times=12)
    assert reasons() == []
    operation = look(stuck, every=MINUTE, times=3)
    assert reasons() == ["stalled"]
    assert operation.stalled_since == still.last_progress_at
    look(stuck, every=5 * MINUTE, times=12)
    assert reasons() == ["stalled"]
    operation = look(stuck, every=5 * MINUTE, times=10)
    assert reasons() == ["stalled", "resumed"]
    assert operation.stalled_since is None
    operation = look(stuck, every=5 * MINUTE, times=4)
    assert operation.state == "done"
    assert reasons() == ["stalled", "resumed"]


def test_an_outage_does_not_count(stuck: Workspace) -> None:
    stand_still(stuck)
    look(stuck, every=MINUTE, times=10)
    stuck.outage = 503
    look(stuck, every=MINUTE, times=30)
    stuck.outage = None
    look(stuck, every=MINUTE, times=3)
    assert reasons() == []
    look(stuck, every=MINUTE, times=3)
    assert reasons() == ["stalled"]


def test_a_monitor_that_was_away_tells_nothing_by_its_first_look(stuck: Workspace) -> None:
    stand_still(stuck)
    look(stuck, every=3600)
    assert reasons() == []
    look(stuck, every=MINUTE, times=7)
    assert reasons() == ["stalled"]


def test_rare_looks_tell_by_the_second(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=20_000, records=4000)
    look(rocketchat, every=400)
    assert look(rocketchat, every=3600).state == "importing"
    assert reasons() == []
    look(rocketchat, every=3600)
    assert reasons() == ["stalled"]


def test_thresholds_by_phase(stuck: Workspace, settings: Any) -> None:
    by_phase = {"importing": timedelta(hours=1), "loading": timedelta(minutes=5)}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"STALLED_AFTER": by_phase}
    stand_still(stuck)
    look(stuck, every=2 * MINUTE, times=27)
    assert reasons() == []
    look(stuck, every=2 * MINUTE, times=3)
    assert reasons() == ["stalled"]


def test_what_ends_while_it_is_stalled_has_not_resumed(stuck: Workspace) -> None:
    stand_still(stuck)
    look(stuck, every=MINUTE, times=20)
    stuck.restart()
    operation = look(stuck, every=MINUTE)
    assert operation.end_reason == "interrupted"
    assert operation.stalled_since is None
    assert reasons() == ["stalled"]


def test_waiting_for_somebody_is_no_stall(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", "waiting", seconds=60)
    operation = look(rocketchat, every=5 * MINUTE, times=11)
    assert (operation.state, operation.waiting_since) == ("ready", None)
    operation = look(rocketchat, every=5 * MINUTE, times=3)
    assert operation.waiting_since == operation.last_progress_at
    assert reasons() == []
    rocketchat.select(operation.remote_id)
    operation = look(rocketchat, every=1)
    assert operation.waiting_since is None


def test_looking_is_not_moving(stuck: Workspace) -> None:
    """A stalled import costs a counter and nothing more."""
    stand_still(stuck)
    look(stuck, every=MINUTE, times=16)
    before = (StatusTransition.objects.count(), ProgressSample.objects.count())
    period = SyncPeriod.objects.get()
    look(stuck, every=MINUTE, times=20)
    assert (StatusTransition.objects.count(), ProgressSample.objects.count()) == before
    assert SyncPeriod.objects.get().polls == period.polls + 20
