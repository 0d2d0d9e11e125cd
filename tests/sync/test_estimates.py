"""The rate and the forecast of an import, as the sync stores them."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import ImportOperation, TimeLeft
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db


def poll_for(rocketchat: Workspace, seconds: float, every: float = 30) -> ImportOperation:
    """Poll regularly for some time; return the newest operation."""
    client: Any = FakeClient(rocketchat)
    for _ in range(int(seconds / every)):
        rocketchat.clock.advance(every)
        sync_workspace("default", client=client, now=rocketchat.clock.now)
    return ImportOperation.objects.latest("started_at")


def time_left(rocketchat: Workspace, operation: ImportOperation) -> TimeLeft:
    left = operation.time_left(rocketchat.clock.now())
    assert left is not None
    return left


def import_to_the_end(rocketchat: Workspace, **options: Any) -> ImportOperation:
    rocketchat.start_import("csv", seconds=3600, records=9000, **options)
    operation = poll_for(rocketchat, 3700)
    assert operation.outcome == "done"
    return operation


def test_running_import_has_a_rate_and_a_time_left(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=3600, records=9000)
    operation = poll_for(rocketchat, 2400)
    assert operation.rate is not None
    expected, low, high = time_left(rocketchat, operation)
    assert timedelta(minutes=14) < expected < timedelta(minutes=26)
    assert timedelta(0) <= low <= expected <= high
    ended = poll_for(rocketchat, 1300)
    assert ended.outcome == "done"
    assert ended.time_left(rocketchat.clock.now()) is None


def test_finished_import_teaches_its_speeds(rocketchat: Workspace) -> None:
    operation = import_to_the_end(rocketchat)
    assert operation.speeds is not None
    steps = {step: (records, seconds) for step, records, seconds, _ in operation.speeds["steps"]}
    records, seconds = steps["importer_importing_messages"]
    assert operation.count_messages is not None
    assert abs(records - operation.count_messages) <= 500
    assert 600 < seconds < 3600


def test_waiting_import_has_an_expected_duration(rocketchat: Workspace) -> None:
    import_to_the_end(rocketchat)
    rocketchat.start_import("csv", "waiting", seconds=600, records=9000)
    operation = poll_for(rocketchat, 900)
    assert operation.state == "ready"
    expected = time_left(rocketchat, operation).expected
    assert timedelta(minutes=25) < expected < timedelta(minutes=60)
    # Nothing runs, so nothing gets less.
    assert time_left(rocketchat, poll_for(rocketchat, 3600, every=300)).expected == expected


def test_first_import_of_its_kind_has_no_expected_duration(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", "waiting", seconds=600)
    operation = poll_for(rocketchat, 900)
    assert operation.state == "ready"
    assert operation.time_left(rocketchat.clock.now()) is None


def test_import_learns_from_other_workspaces(rocketchat: Workspace, settings: Any) -> None:
    taught = import_to_the_end(rocketchat)
    ImportOperation.objects.filter(pk=taught.pk).update(workspace="other")
    rocketchat.start_import("csv", "waiting", seconds=600, records=9000)
    operation = poll_for(rocketchat, 900)
    assert time_left(rocketchat, operation).expected > timedelta(minutes=25)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("speeds", [None, {}, [], {"steps": 1, "growth": 1}, {"steps": [["a"]]}])
def test_unreadable_lessons_are_skipped(rocketchat: Workspace, speeds: Any) -> None:
    """Another release can have written them."""
    taught = import_to_the_end(rocketchat)
    ImportOperation.objects.filter(pk=taught.pk).update(speeds=speeds)
    rocketchat.start_import("csv", "waiting", seconds=600)
    assert poll_for(rocketchat, 900).time_left(rocketchat.clock.now()) is None


def test_stalled_import_has_no_time_left(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", "stuck", seconds=600, records=4000, stuck_for=20_000)
    operation = poll_for(rocketchat, 6000, every=60)
    assert operation.is_stalled
    assert operation.time_left(rocketchat.clock.now()) is None
