"""Rocket.Chat's clock can be wrong, and can be stepped."""

from datetime import timedelta

import pytest

from importmonitor.models import ImportOperation
from importmonitor.models import Workspace as Monitored
from importmonitor.sync.clock import measure_offset
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.conftest import MONDAY

HOUR = timedelta(hours=1)


def poll(rocketchat: Workspace, *pauses: float) -> None:
    for pause in pauses:
        rocketchat.clock.advance(pause)
        sync_workspace("default", now=rocketchat.clock.now)


def measure(*seconds: float) -> timedelta | None:
    """Return the offset after polls that measured these."""
    workspace = Monitored()
    for minute, value in enumerate(seconds):
        at = MONDAY + timedelta(minutes=minute)
        measure_offset(workspace, timedelta(seconds=value), at)
        workspace.last_polled_at = at
    return workspace.clock_offset


@pytest.mark.parametrize(
    ("measured", "offset"),
    [
        ((), None),
        ((3600,), None),
        ((3600.4, 3599.8), 3600),
        # A network that is slow now and then.
        ((3600, 3601, 3599, 3600, 3598.5), 3600),
        # A single wrong header changes nothing.
        ((0, 0, 0, 80_000, 0.3, 0.2), 0),
        ((0, 0, -40), 0),
        ((0, 0, -40, -40.5, -39.5), -40),
        # Headers that agree with none before are no clock's.
        ((0, 60, 120, 180, 240), None),
    ],
)
def test_offset_is_measured_over_several_polls(
    measured: tuple[float, ...], offset: float | None
) -> None:
    assert measure(*measured) == (None if offset is None else timedelta(seconds=offset))


def test_poll_without_a_date_keeps_the_offset() -> None:
    workspace = Monitored(clock_offset=HOUR)
    measure_offset(workspace, None, MONDAY)
    assert workspace.clock_offset == HOUR


def test_polls_at_the_same_time_establish_no_offset() -> None:
    workspace = Monitored()
    for _ in range(5):
        measure_offset(workspace, HOUR, MONDAY)
        workspace.last_polled_at = MONDAY
    assert workspace.clock_offset is None


@pytest.mark.django_db
@pytest.mark.parametrize("offset", [-HOUR, HOUR, timedelta(hours=-13), timedelta(seconds=90)])
def test_times_are_right_in_spite_of_the_offset(rocketchat: Workspace, offset: timedelta) -> None:
    rocketchat.clock_offset = offset
    poll(rocketchat, 0, 60, 53)
    started_at = rocketchat.clock.now()
    rocketchat.start_import("csv", seconds=7, records=40)
    poll(rocketchat, 60)
    operation = ImportOperation.objects.get()
    assert Monitored.objects.get().clock_offset == offset
    assert abs(operation.started_at - started_at) <= timedelta(seconds=1)
    assert operation.finished_at is not None
    duration = operation.duration(rocketchat.clock.now())
    assert abs(duration - timedelta(seconds=7)) <= timedelta(seconds=1)
    # The raw times stay as they came.
    assert operation.remote_started_at is not None
    assert operation.remote_started_at - operation.started_at == offset


@pytest.mark.thorough(one_in=3)
@pytest.mark.django_db
@pytest.mark.parametrize("step", [timedelta(seconds=-40), -HOUR, HOUR])
def test_import_goes_on_when_the_clock_is_stepped(rocketchat: Workspace, step: timedelta) -> None:
    poll(rocketchat, 0, 60, 60)
    started_at = rocketchat.clock.now()
    rocketchat.start_import("csv", seconds=1800, records=9000)
    poll(rocketchat, *[60] * 15)
    before = ImportOperation.objects.get()
    rocketchat.clock_offset = step
    poll(rocketchat, 60, 60)
    assert ImportOperation.objects.get().last_progress_at > before.last_progress_at
    poll(rocketchat, *[60] * 20)
    operation = ImportOperation.objects.get()
    assert (operation.outcome, operation.started_at) == ("done", started_at)
    assert operation.finished_at is not None
    assert abs(operation.finished_at - started_at - timedelta(minutes=30)) <= timedelta(minutes=1)
    assert Monitored.objects.get().clock_offset == step
