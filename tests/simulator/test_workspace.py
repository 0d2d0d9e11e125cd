"""The operations of a workspace as time passes and as users act."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator import kinds
from simulator.clock import Clock, to_iso
from simulator.kinds import KINDS
from simulator.workspace import Workspace
from simulator.writes import ENDINGS

MakeWorkspace = Callable[..., Workspace]


def current_operation(workspace: Workspace) -> dict[str, Any]:
    operation = workspace.current()
    assert operation is not None
    return operation


def test_new_workspace_is_empty(workspace: Workspace) -> None:
    assert workspace.current() is None
    assert workspace.latest() == []
    assert workspace.log == []


def test_document_of_new_operation(workspace: Workspace) -> None:
    operation_id = workspace.start_import("slack-users", user="someone")
    assert current_operation(workspace) == {
        "_id": operation_id,
        "type": "Slack_Users",
        "importerKey": "slack-users",
        "ts": "2026-01-05T09:03:07.250Z",
        "status": "importer_new",
        "valid": True,
        "user": "someone",
        "_updatedAt": "2026-01-05T09:03:07.250Z",
    }


def test_ids_and_times_by_version(make_workspace: MakeWorkspace) -> None:
    new, old = make_workspace(era="8"), make_workspace(era="5")
    assert re.fullmatch(r"[0-9a-f]{24}", new.start_import("csv"))
    assert re.fullmatch(r"[0-9A-Za-z]{17}", old.start_import("csv"))
    assert current_operation(old)["ts"] == 1767603787250
    assert current_operation(old)["_updatedAt"] == "2026-01-05T09:03:07.250Z"
    with pytest.raises(ValueError, match="Era"):
        make_workspace(era="9")


def test_file_name_has_unpadded_date_with_month_from_zero(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.start_import("csv", user="d26x6zSkaPSe5gCyy", file_name="my team.zip")
    assert "file" not in current_operation(workspace)
    clock.advance(600)
    assert current_operation(workspace)["file"] == "202605937_d26x6zSkaPSe5gCyy_my team.zip"
    assert current_operation(workspace)["contentType"] == "application/zip"
    workspace.start_import("pending-files")
    clock.advance(600)
    assert "file" not in current_operation(workspace)


@pytest.mark.parametrize("kind", KINDS)
def test_operations_depend_on_clock_alone(kind: str) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    clocks = Clock(start), Clock(start)
    often, once = (Workspace(clock, seed=3) for clock in clocks)
    for workspace in (often, once):
        workspace.start_import(kind, "done-with-errors", 900)
    for _ in range(300):
        clocks[0].advance(3)
        often.latest()
    clocks[1].advance(900)
    assert often.latest() == once.latest()
    assert often.log == once.log
    assert current_operation(often)["status"] == kinds.DONE


def test_seed_determines_workspace(make_workspace: MakeWorkspace, clock: Clock) -> None:
    first, same, other = make_workspace(seed=1), make_workspace(seed=1), make_workspace(seed=2)
    for workspace in (first, same, other):
        workspace.start_import("csv")
    clock.advance(700)
    assert first.current() == same.current()
    assert current_operation(first)["_id"] != current_operation(other)["_id"]
    assert current_operation(first)["count"] != current_operation(other)["count"]


def test_log_has_exact_times(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", seconds=60)
    clock.advance(3600)
    log = workspace.log
    assert (log[0].event, log[0].status) == ("started", kinds.NEW)
    assert {entry.operation_id for entry in log} == {operation_id}
    assert [entry.at for entry in log] == sorted(entry.at for entry in log)
    assert log[-1].status == kinds.DONE
    assert log[-1].at == datetime(2026, 1, 5, 9, 4, 7, 250_000, tzinfo=UTC)
    assert current_operation(workspace)["_updatedAt"] == to_iso(log[-1].at)
    assert log[-1].count == current_operation(workspace)["count"]


def test_latest_operations_are_newest_twenty(workspace: Workspace, clock: Clock) -> None:
    started = []
    for _ in range(23):
        started.append(workspace.start_import("pending-avatars", "instant"))
        clock.advance(60)
    assert [operation["_id"] for operation in workspace.latest()] == started[:2:-1]


def test_new_import_supersedes_previous_one(workspace: Workspace, clock: Clock) -> None:
    first = workspace.start_import("csv")
    clock.advance(300)
    status = current_operation(workspace)["status"]
    second = workspace.start_import("slack")
    newer, older = workspace.latest()
    assert (newer["_id"], newer["status"], newer["valid"]) == (second, kinds.NEW, True)
    assert (older["_id"], older["status"], older["valid"]) == (first, status, False)
    assert older["_updatedAt"] == newer["ts"]
    clock.advance(5000)
    assert workspace.latest()[0]["_id"] == second
    assert {(row["status"], row["valid"]) for row in workspace.latest()} == {
        (kinds.DONE, True),
        (kinds.DONE, False),
    }
    assert [e.operation_id for e in workspace.log if e.event == "invalidated"] == [first]


def test_restart_interrupts_running_import_and_updates_all(
    workspace: Workspace, clock: Clock
) -> None:
    for _ in range(6):
        workspace.start_import("csv")
        clock.advance(400)
    before = current_operation(workspace)
    assert before["status"].startswith("importer_importing_")
    workspace.restart()
    restarted_at = to_iso(clock.now())
    clock.advance(5000)
    rows = workspace.latest()
    assert {row["_updatedAt"] for row in rows} == {restarted_at}
    assert not any(row["valid"] for row in rows)
    assert rows[0] == {**before, "valid": False, "_updatedAt": restarted_at}
    assert [entry.event for entry in workspace.log[-2:]] == ["invalidated", "restarted"]


def test_restart_spares_last_operation_waiting_for_selection(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.start_import("csv")
    clock.advance(900)
    waiting = workspace.start_import("csv", "waiting")
    clock.advance(900)
    before = current_operation(workspace)
    assert before["status"] == kinds.USER_SELECTION
    workspace.restart()
    assert current_operation(workspace) == before
    assert workspace.latest()[0]["valid"] is False
    workspace.select(waiting)
    clock.advance(900)
    assert current_operation(workspace)["status"] == kinds.DONE


def test_selection_can_come_early(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", seconds=1000)
    clock.advance(300)
    assert current_operation(workspace)["status"] == kinds.USER_SELECTION
    workspace.select(operation_id)
    assert current_operation(workspace)["status"] == kinds.IMPORTING_STARTED
    clock.advance(1000)
    assert current_operation(workspace)["status"] == kinds.DONE
    assert sum(entry.status == kinds.DONE for entry in workspace.log) == 1


def test_cancelled_operation_is_invalid(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", "cancelled")
    clock.advance(600)
    assert (current_operation(workspace)["status"], current_operation(workspace)["valid"]) == (
        kinds.CANCELLED,
        False,
    )
    with pytest.raises(ValueError, match="has finished"):
        workspace.cancel(operation_id)
    other = workspace.start_import("csv")
    workspace.cancel(other)
    clock.advance(5000)
    assert (current_operation(workspace)["status"], current_operation(workspace)["valid"]) == (
        kinds.CANCELLED,
        False,
    )


def test_clear_invalidates_everything(workspace: Workspace, clock: Clock) -> None:
    workspace.start_import("csv", "waiting")
    clock.advance(700)
    workspace.clear()
    assert (current_operation(workspace)["status"], current_operation(workspace)["valid"]) == (
        kinds.USER_SELECTION,
        False,
    )
    with pytest.raises(ValueError, match="does not wait"):
        workspace.select(current_operation(workspace)["_id"])


def test_prepare_page_resets_finished_operation(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", records=1000)
    with pytest.raises(ValueError, match="not finished"):
        workspace.prepare(operation_id)
    clock.advance(600)
    workspace.prepare(operation_id)
    assert (current_operation(workspace)["status"], current_operation(workspace)["valid"]) == (
        kinds.USER_SELECTION,
        True,
    )
    workspace.select(operation_id)
    clock.advance(600)
    assert current_operation(workspace)["status"] == kinds.DONE
    # Nothing was staged any more.
    assert current_operation(workspace)["count"]["completed"] == 1100


def test_unknown_operations_and_kinds_are_rejected(workspace: Workspace) -> None:
    for act in (workspace.select, workspace.cancel, workspace.prepare):
        with pytest.raises(KeyError):
            act("unknown")
    with pytest.raises(ValueError, match="unknown kind"):
        workspace.start_import("usenet")
    with pytest.raises(ValueError, match="never waits"):
        workspace.start_import("pending-files", "waiting")
    assert workspace.log == []


def test_put_operation_is_returned_unchanged(make_workspace: MakeWorkspace, clock: Clock) -> None:
    workspace = make_workspace(hostile=True)
    workspace.start_import("csv")
    odd = {"ts": "soon", "status": ["?"], "count": "0[object Promise]", "\x00": "\ud800"}
    clock.advance(1)
    workspace.put_operation(odd)
    assert current_operation(workspace) == odd
    old = {"_id": "old", "ts": "1635337234169", "_updatedAt": "2021-10-27T12:20:34.184Z"}
    workspace.put_operation(old)
    assert current_operation(workspace) == odd
    assert workspace.latest()[-1] == old
    workspace.restart()
    assert current_operation(workspace) == {
        **odd,
        "valid": False,
        "_updatedAt": to_iso(clock.now()),
    }


def test_hostile_workspace_returns_oddities_and_logs_truth(
    make_workspace: MakeWorkspace, clock: Clock
) -> None:
    hostile, plain = make_workspace(hostile=True), make_workspace()
    for _ in range(20):
        for workspace in (hostile, plain):
            workspace.start_import("csv")
        clock.advance(700)
    assert hostile.log == plain.log
    odd = [a != b for a, b in zip(hostile.latest(), plain.latest(), strict=True)]
    assert sum(odd) > 15
    assert [a["_id"] for a in hostile.latest()] == [b["_id"] for b in plain.latest()]
    assert hostile.latest() == hostile.latest()
    text = json.dumps(hostile.latest())
    assert all(word in text for word in ("0[object Promise]", "<script>", "fileData", "\\u0000"))


def test_returned_documents_are_copies(workspace: Workspace, clock: Clock) -> None:
    workspace.start_import("csv")
    clock.advance(600)
    current_operation(workspace)["count"]["total"] = -1
    workspace.latest()[0].clear()
    assert current_operation(workspace)["count"]["total"] > 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_counters_never_decrease(workspace: Workspace, clock: Clock, ending: Any) -> None:
    workspace.start_import("csv", ending, 300, stuck_for=100)
    previous: dict[str, int] = {}
    for _ in range(100):
        clock.advance(5)
        count = current_operation(workspace).get("count", {})
        assert all(count[key] >= number for key, number in previous.items())
        previous = count
    assert previous["total"] > 0


def test_import_does_not_run_ahead_of_clock(workspace: Workspace, clock: Clock) -> None:
    workspace.start_import("csv")
    now = clock.now()
    clock.advance(120)
    assert all(entry.at <= now + timedelta(seconds=120) for entry in workspace.log)
