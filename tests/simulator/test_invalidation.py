"""What still happens to an import after its operation has become invalid, and what the log says."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from simulator import kinds
from simulator.clock import Clock, to_iso
from simulator.workspace import Workspace

MakeWorkspace = Callable[..., Workspace]

RECORDS = {"users": 200, "channels": 4, "messages": 3000}
IN_MESSAGES = 400


def entries(workspace: Workspace, operation_id: str) -> list[tuple[str, str | None, bool | None]]:
    return [
        (entry.event, entry.status, entry.valid)
        for entry in workspace.log
        if entry.operation_id == operation_id
    ]


def document(workspace: Workspace, operation_id: str) -> dict[str, Any]:
    return next(one for one in workspace.latest() if one["_id"] == operation_id)


@pytest.fixture
def running(workspace: Workspace, clock: Clock) -> str:
    """A CSV import that is importing messages."""
    operation_id = workspace.start_import("csv", records=RECORDS)
    clock.advance(IN_MESSAGES)
    assert document(workspace, operation_id)["status"] == "importer_importing_messages"
    return operation_id


@pytest.mark.parametrize("act", [Workspace.clear, Workspace.start_instance])
def test_running_import_notices_at_its_next_write_and_ends_as_done(
    workspace: Workspace, clock: Clock, running: str, act: Callable[[Workspace], None]
) -> None:
    before = document(workspace, running)["count"]["completed"]
    act(workspace)
    assert document(workspace, running)["count"]["completed"] == before
    clock.advance(3600)
    after = document(workspace, running)
    assert (after["status"], after["valid"]) == (kinds.DONE, False)
    assert after["count"]["completed"] == before + 500
    aborted = next(entry for entry in workspace.log if entry.event == "aborted")
    assert aborted.imported["messages"] == before + 500 - 404
    assert workspace.log[-1].imported == aborted.imported
    assert workspace.log[-1].at - aborted.at < timedelta(seconds=1)


def test_killed_import_stays_at_its_step_for_ever(
    workspace: Workspace, clock: Clock, running: str
) -> None:
    before = document(workspace, running)
    clock.advance(1)
    workspace.restart()
    clock.advance(3600)
    after = document(workspace, running)
    assert {**after, "valid": True, "_updatedAt": ""} == {**before, "_updatedAt": ""}
    assert after["valid"] is False
    log = workspace.log
    assert [entry.event for entry in log[-3:]] == ["killed", "invalidated", "restarted"]
    # Records are imported between two writes too.
    assert log[-3].imported["messages"] > log[-4].imported["messages"]


def test_kill_leaves_the_document_valid_until_a_server_starts(
    workspace: Workspace, clock: Clock, running: str
) -> None:
    workspace.kill()
    clock.advance(3600)
    assert document(workspace, running)["valid"] is True
    assert document(workspace, running)["status"] == "importer_importing_messages"
    workspace.start_instance()
    assert document(workspace, running)["valid"] is False
    workspace.kill()
    assert sum(entry.event == "killed" and bool(entry.operation_id) for entry in workspace.log) == 1


def test_import_that_hangs_is_killed_once(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", "stuck", stuck_for=math.inf)
    clock.advance(3600)
    workspace.restart()
    workspace.restart()
    assert [event for event, *_ in entries(workspace, operation_id)][-2:] == [
        "killed",
        "invalidated",
    ]


@pytest.mark.parametrize("kind", ["pending-avatars", "pending-files"])
@pytest.mark.parametrize("act", [Workspace.clear, Workspace.start_instance])
def test_pending_avatars_and_files_run_on_to_their_end(
    workspace: Workspace, clock: Clock, kind: str, act: Callable[[Workspace], None]
) -> None:
    operation_id = workspace.start_import(kind, records=200)
    clock.advance(200)
    act(workspace)
    clock.advance(200)
    assert document(workspace, operation_id)["status"] == "importer_importing_files"
    clock.advance(200)
    after = document(workspace, operation_id)
    assert (after["status"], after["valid"]) == (kinds.DONE, False)
    assert after["count"]["completed"] == 200
    assert not any(entry.event == "aborted" for entry in workspace.log)


def test_pending_files_that_still_arrive_can_be_killed(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("pending-files", records=8)
    clock.advance(590)
    assert document(workspace, operation_id)["status"] == kinds.DONE
    workspace.restart()
    clock.advance(600)
    assert "completed" not in document(workspace, operation_id)["count"]
    assert ("killed", kinds.DONE, True) in entries(workspace, operation_id)


def test_invalid_import_stops_where_it_needs_input(workspace: Workspace, clock: Clock) -> None:
    for seconds, status in ((1, kinds.FILE_LOADED), (60, kinds.USER_SELECTION)):
        operation_id = workspace.start_import("csv", seconds=600)
        clock.advance(seconds)
        workspace.clear()
        clock.advance(3600)
        assert document(workspace, operation_id)["status"] == status
        assert document(workspace, operation_id)["valid"] is False


def test_invalid_import_that_starts_imports_nothing(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", "waiting", records=RECORDS)
    clock.advance(900)
    workspace.select(operation_id)
    assert document(workspace, operation_id)["status"] == kinds.IMPORTING_STARTED
    workspace.clear()
    clock.advance(900)
    after = document(workspace, operation_id)
    assert (after["status"], after["valid"]) == (kinds.DONE, False)
    assert "completed" not in after["count"]
    assert workspace.log[-1].imported == {}


def test_api_import_counts_errors_that_never_were(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("api", records=400)
    clock.advance(400)
    before = document(workspace, operation_id)["count"]
    workspace.start_instance()
    clock.advance(600)
    after = document(workspace, operation_id)
    assert after["status"] == kinds.DONE
    assert after["count"] == {**before, "error": 50}
    assert workspace.log[-1].imported == {"users": before["completed"]}


@pytest.mark.parametrize("era", ["5", "6.2"])
def test_up_to_6_2_new_import_leaves_older_one_valid(
    make_workspace: MakeWorkspace, clock: Clock, era: str
) -> None:
    workspace = make_workspace(era=era)
    first = workspace.start_import("slack", records=RECORDS)
    clock.advance(IN_MESSAGES)
    workspace.start_import("pending-avatars", "instant")
    clock.advance(600)
    after = document(workspace, first)
    assert (after["status"], after["valid"]) == (kinds.DONE, True)
    assert after["count"]["completed"] == 3204
    assert "invalidated" not in {entry.event for entry in workspace.log}


@pytest.mark.parametrize("era", ["5", "6.2"])
def test_up_to_6_2_invalid_import_runs_on_to_its_end(
    make_workspace: MakeWorkspace, clock: Clock, era: str
) -> None:
    workspace = make_workspace(era=era)
    first = workspace.start_import("slack", records=RECORDS)
    clock.advance(IN_MESSAGES)
    workspace.start_instance()
    clock.advance(600)
    after = document(workspace, first)
    assert (after["status"], after["valid"]) == (kinds.DONE, False)
    assert after["count"]["completed"] == 3204


@pytest.mark.parametrize(("era", "is_kept"), [("6.2", True), ("6.14", False)])
def test_up_to_6_2_start_keeps_a_last_failed_operation(
    make_workspace: MakeWorkspace, clock: Clock, era: str, is_kept: bool
) -> None:
    workspace = make_workspace(era=era)
    operation_id = workspace.start_import("slack", "failed")
    clock.advance(600)
    workspace.restart()
    assert document(workspace, operation_id)["valid"] is is_kept


def test_other_instance_keeps_last_operation_waiting_for_selection(
    workspace: Workspace, clock: Clock
) -> None:
    operation_id = workspace.start_import("csv", "waiting")
    clock.advance(900)
    workspace.start_instance()
    assert document(workspace, operation_id)["valid"] is True
    workspace.select(operation_id)
    clock.advance(900)
    assert document(workspace, operation_id)["status"] == kinds.DONE


def test_invalid_operation_is_current_until_new_one_is_inserted(
    workspace: Workspace, clock: Clock, running: str
) -> None:
    second = workspace.start_import("csv", insert_after=90)
    current = workspace.current()
    assert current is not None
    assert (current["_id"], current["valid"]) == (running, False)
    clock.advance(89)
    assert [one["_id"] for one in workspace.latest()] == [running]
    clock.advance(1)
    current = workspace.current()
    assert current is not None
    assert (current["_id"], current["ts"]) == (second, to_iso(clock.now()))
    clock.advance(600)
    assert document(workspace, second)["status"] == kinds.DONE
    assert workspace.log[-1].operation_id == second


def test_kill_prevents_the_insertion_of_a_new_operation(
    workspace: Workspace, clock: Clock, running: str
) -> None:
    workspace.start_import("csv", insert_after=90)
    workspace.restart()
    clock.advance(600)
    assert [one["_id"] for one in workspace.latest()] == [running]


def test_selection_of_fewer_records_leaves_the_total(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", "waiting", records=RECORDS)
    clock.advance(900)
    with pytest.raises(ValueError, match="cannot choose"):
        workspace.select(operation_id, 5000)
    workspace.select(operation_id, {"users": 70, "channels": 4})
    clock.advance(900)
    after = document(workspace, operation_id)
    assert after["status"] == kinds.DONE
    assert (after["count"]["total"], after["count"]["completed"]) == (3204, 140)
    assert workspace.log[-1].imported == {"users": 70, "channels": 4}
    assert document(workspace, operation_id)["valid"] is True


def test_removed_operation_is_gone(workspace: Workspace, clock: Clock, running: str) -> None:
    workspace.put_operation({"_id": "old", "ts": "2021-10-27T12:20:34.184Z"})
    workspace.remove_operation(running)
    clock.advance(600)
    assert [one["_id"] for one in workspace.latest()] == ["old"]
    assert entries(workspace, running)[-1][0] == "removed"
    with pytest.raises(KeyError):
        workspace.remove_operation(running)


def test_restored_backup_replaces_all_operations(
    workspace: Workspace, clock: Clock, running: str
) -> None:
    backup = workspace.backup()
    clock.advance(600)
    newer = workspace.start_import("csv")
    clock.advance(10)
    workspace.restore_backup(backup)
    clock.advance(3600)
    assert workspace.latest() == backup
    assert entries(workspace, newer)[-1][0] == "removed"
    assert workspace.log[-1].event == "restored"


def test_rocketchats_clock_can_be_wrong_and_be_stepped(workspace: Workspace, clock: Clock) -> None:
    workspace.clock_offset = timedelta(hours=1)
    operation_id = workspace.start_import("csv", seconds=600)
    hour = timedelta(hours=1)
    assert document(workspace, operation_id)["ts"] == to_iso(clock.now() + hour)
    clock.advance(300)
    before = workspace.log[-1].at
    workspace.clock_offset = -hour
    assert document(workspace, operation_id)["_updatedAt"] == to_iso(before + hour)
    clock.advance(300)
    assert document(workspace, operation_id)["_updatedAt"] == to_iso(clock.now() - hour)
    assert workspace.server_time() == clock.now() - hour
    assert workspace.log[-1].at == workspace.clock.now().replace(microsecond=250_000)
