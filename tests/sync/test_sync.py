"""One poll of one workspace, against the simulator."""

from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from importmonitor.models import (
    EndReason,
    ImportOperation,
    Outcome,
    ProgressSample,
    StatusTransition,
)
from importmonitor.models import (
    Workspace as Monitored,
)
from simulator.workspace import Workspace
from tests.conftest import MONDAY
from tests.fake_client import FakeClient
from tests.sync.polling import poll

pytestmark = pytest.mark.django_db


def poll_for(rocketchat: Workspace, seconds: int, every: int) -> None:
    client: Any = None if rocketchat.outage else FakeClient(rocketchat)
    for _ in range(0, seconds, every):
        rocketchat.clock.advance(every)
        poll(rocketchat, client=client)


def transitions() -> list[tuple[str, str, str]]:
    return list(StatusTransition.objects.values_list("from_status", "to_status", "reason"))


def test_poll_of_empty_workspace(rocketchat: Workspace) -> None:
    result = poll(rocketchat)
    assert (result.ok, result.skipped, result.operation, result.changes) == (True, None, None, [])
    workspace = Monitored.objects.get()
    assert (workspace.sync_status, workspace.period_started_at) == ("empty", MONDAY)
    assert (workspace.last_synced_at, workspace.period_polls) == (MONDAY, 1)


def test_new_operation_is_stored(rocketchat: Workspace) -> None:
    remote_id = rocketchat.start_import("slack", seconds=600, file_name="acme.zip")
    rocketchat.clock.advance(1)
    result = poll(rocketchat)
    operation = ImportOperation.objects.get()
    assert result.operation == operation
    assert operation.remote_id == remote_id
    assert operation.importer_key == "slack"
    assert operation.started_at == operation.remote_started_at == MONDAY
    polled_at = MONDAY + timedelta(seconds=1)
    assert operation.first_seen_at == operation.last_seen_at == polled_at
    assert operation.last_progress_at == polled_at
    assert operation.finished_at is None
    assert operation.payload["_id"] == remote_id
    assert operation.unreadable == []
    assert transitions() == [("", operation.status, "remote")]


def test_import_is_followed_to_its_end(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=600)
    poll_for(rocketchat, 900, 15)
    operation = ImportOperation.objects.get()
    assert (operation.status, operation.state) == ("importer_done", "done")
    assert operation.end_reason == EndReason.DONE
    assert operation.outcome == Outcome.DONE
    ended = next(e.at for e in rocketchat.log if e.status == "importer_done")
    assert operation.finished_at is not None
    assert timedelta(0) <= operation.finished_at - ended <= timedelta(seconds=15)
    steps = list(StatusTransition.objects.values_list("from_status", "to_status"))
    assert steps[0][0] == ""
    assert all(before[1] == after[0] for before, after in pairwise(steps))
    assert len(steps) == len(set(steps))


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("done", Outcome.DONE),
        ("done-with-errors", Outcome.DONE_WITH_ERRORS),
        ("done-short", Outcome.INCOMPLETE),
        ("failed", Outcome.FAILED),
        ("cancelled", Outcome.CANCELED),
        ("instant", Outcome.DONE),
        ("overshoot", Outcome.DONE),
    ],
)
def test_every_ending_has_its_outcome(
    rocketchat: Workspace, ending: Any, expected: Outcome
) -> None:
    rocketchat.start_import("csv", ending, seconds=600)
    poll_for(rocketchat, 700, 60)
    operation = ImportOperation.objects.get()
    assert operation.outcome == expected
    assert operation.finished_at is not None


def test_restart_interrupts_at_the_time_of_the_restart(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", seconds=3600)
    poll_for(rocketchat, 1800, 60)
    before = ImportOperation.objects.get()
    assert before.state == "importing"
    rocketchat.restart()
    rocketchat.clock.advance(1)
    poll(rocketchat)
    operation = ImportOperation.objects.get()
    assert (operation.status, operation.valid, operation.state) == (before.status, False, "error")
    assert operation.outcome == Outcome.INTERRUPTED
    # The restart's own write dates it exactly.
    assert operation.finished_at == MONDAY + timedelta(seconds=1800)
    last = StatusTransition.objects.latest("pk")
    assert (last.from_status, last.to_status) == (before.status, before.status)
    assert (last.from_state, last.to_state, last.reason) == ("importing", "error", "invalidated")
    assert last.count_completed == operation.count_completed


def test_restart_after_the_end_changes_no_outcome(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=60)
    poll_for(rocketchat, 120, 30)
    before = ImportOperation.objects.get()
    before_restart = transitions()
    rocketchat.clock.advance(86_400)
    rocketchat.restart()
    poll(rocketchat)
    after = ImportOperation.objects.get()
    assert (before.valid, after.valid) == (True, False)
    assert after.remote_updated_at != before.remote_updated_at
    assert after.last_seen_at == before.last_seen_at
    assert after.finished_at == before.finished_at
    assert after.outcome == Outcome.DONE
    assert after.state == "done"
    assert transitions() == before_restart


def test_new_import_supersedes_running_one(rocketchat: Workspace) -> None:
    first = rocketchat.start_import("slack", seconds=3600)
    poll_for(rocketchat, 600, 60)
    rocketchat.clock.advance(30)
    started_at = rocketchat.clock.now()
    second = rocketchat.start_import("csv", seconds=600)
    rocketchat.clock.advance(30)
    result = poll(rocketchat)
    assert result.operation is not None
    assert result.operation.remote_id == second
    old = ImportOperation.objects.get(remote_id=first)
    assert old.outcome == Outcome.SUPERSEDED
    assert old.finished_at == started_at
    assert old.transitions.latest("pk").reason == "superseded"
    assert ImportOperation.objects.get(remote_id=second).finished_at is None


def test_finished_import_is_not_superseded(rocketchat: Workspace) -> None:
    first = rocketchat.start_import("csv", seconds=60)
    poll_for(rocketchat, 120, 30)
    rocketchat.start_import("csv", seconds=60)
    poll(rocketchat)
    assert ImportOperation.objects.get(remote_id=first).outcome == Outcome.DONE


def test_missed_end_is_dated_by_the_last_update(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=60)
    rocketchat.clock.advance(60)
    ended = next(e.at for e in rocketchat.log if e.status == "importer_done")
    rocketchat.clock.advance(86_400)
    poll(rocketchat)
    operation = ImportOperation.objects.get()
    assert operation.finished_at is not None
    assert abs(operation.finished_at - ended) < timedelta(seconds=1)


def test_leaving_done_is_reopened(rocketchat: Workspace) -> None:
    remote_id = rocketchat.start_import("csv", seconds=60)
    poll_for(rocketchat, 120, 30)
    finished_at = ImportOperation.objects.get().finished_at
    rocketchat.prepare(remote_id)
    rocketchat.clock.advance(10)
    poll(rocketchat)
    operation = ImportOperation.objects.get()
    assert (operation.state, operation.finished_at) == ("ready", finished_at)
    assert transitions()[-1] == ("importer_done", "importer_user_selection", "reopened")
    rocketchat.select(remote_id)
    poll_for(rocketchat, 120, 5)
    operation.refresh_from_db()
    assert operation.status == "importer_done"
    assert operation.finished_at == finished_at
    assert [reason for _, _, reason in transitions()].count("reopened") == 1


def test_reopened_running_import_has_no_present_outcome(rocketchat: Workspace) -> None:
    remote_id = rocketchat.start_import("csv", "done-with-errors", seconds=60)
    poll_for(rocketchat, 120, 30)
    assert ImportOperation.objects.get().present_outcome == Outcome.DONE_WITH_ERRORS
    rocketchat.prepare(remote_id)
    rocketchat.select(remote_id)
    poll(rocketchat)
    operation = ImportOperation.objects.get()
    assert (operation.state, operation.present_outcome) == ("importing", None)
    assert operation.outcome == Outcome.DONE_WITH_ERRORS


def test_samples_are_thinned_at_every_end(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProgressSample, "MAX", 5)
    remote_id = rocketchat.start_import("csv", seconds=600, records=4000)
    poll_for(rocketchat, 700, 20)
    assert ProgressSample.objects.count() == 5
    rocketchat.prepare(remote_id)
    rocketchat.select(remote_id)
    poll_for(rocketchat, 700, 20)
    assert ImportOperation.objects.get().status == "importer_done"
    samples = list(ProgressSample.objects.all())
    assert len(samples) == 5
    assert samples[-1].completed == ImportOperation.objects.get().count_completed


@pytest.mark.skipif(connection.vendor != "sqlite", reason="counts SQLite's own steps")
def test_cost_of_idle_poll_does_not_depend_on_the_history(rocketchat: Workspace) -> None:
    def steps() -> int:
        calls: list[int] = []
        # A handler that returns anything but None or 0 interrupts the query.
        connection.connection.set_progress_handler(partial(calls.append, 1), 20)
        try:
            poll(rocketchat)
        finally:
            connection.connection.set_progress_handler(None, 0)
        return len(calls)

    rocketchat.start_import("slack", seconds=3600)
    rocketchat.clock.advance(1800)
    poll(rocketchat)
    steps()
    few = steps()
    current = ImportOperation.objects.get()
    for number in range(2000):
        current.pk, current.remote_id = None, f"old{number}"
        current.started_at -= timedelta(minutes=1)
        current.finished_at = current.started_at
        current.save(force_insert=True)
    assert steps() < 2 * few


def test_failed_poll_does_not_change_the_operation(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", seconds=3600)
    poll_for(rocketchat, 600, 60)
    before = ImportOperation.objects.values().get()
    before_restart = transitions()
    rocketchat.outage = 502
    rocketchat.clock.advance(60)
    result = poll(rocketchat)
    assert not result.ok
    assert result.error is not None
    assert result.error.kind == "Unreachable"
    assert ImportOperation.objects.values().get() == before
    assert transitions() == before_restart
    assert Monitored.objects.get().holder == ""


def test_ids_that_differ_by_case_are_two_operations(rocketchat: Workspace) -> None:
    common = {"type": "CSV", "importerKey": "csv", "status": "importer_done", "valid": True}
    for hour, remote_id in enumerate(("7PbvsnKJD9ZAqw38C", "7pbvsnKJD9ZAqw38C")):
        document = common | {"_id": remote_id, "ts": f"2026-01-05T1{hour}:00:00.000Z"}
        rocketchat.put_operation(document | {"_updatedAt": document["ts"]})
        rocketchat.clock.advance(7200)
        poll(rocketchat)
    assert ImportOperation.objects.count() == 2


def test_ids_that_differ_by_case_in_one_list_are_kept_apart(rocketchat: Workspace) -> None:
    """Their rows are inserted together."""
    ids = ("7PbvsnKJD9ZAqw38C", "7pbvsnKJD9ZAqw38C", "7PBVSNKJD9ZAQW38C")
    common = {"type": "CSV", "importerKey": "csv", "status": "importer_importing_users"}
    for hour, remote_id in enumerate(ids):
        document = common | {"_id": remote_id, "ts": f"2026-01-05T1{hour}:00:00.000Z"}
        is_last = remote_id == ids[-1]
        rocketchat.put_operation(document | {"valid": is_last, "_updatedAt": document["ts"]})
    rocketchat.clock.advance(7200)
    poll(rocketchat)
    rows = ImportOperation.objects.order_by("started_at").values_list("remote_id", "end_reason")
    assert list(rows) == [(ids[0], "interrupted"), (ids[1], "superseded"), (ids[2], "")]
    transitions = StatusTransition.objects.order_by("pk")
    assert [transition.operation.remote_id for transition in transitions] == list(ids)
