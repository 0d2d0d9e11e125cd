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

Make = Callable[..., Workspace]


def shown(workspace: Workspace) -> dict[str, Any]:
    operation = workspace.current()
    assert operation is not None
    return operation


def test_nothing_was_ever_imported(workspace: Workspace) -> None:
    assert workspace.current() is None
    assert workspace.latest() == []
    assert workspace.log == []


def test_a_new_operation_as_it_goes_over_the_wire(workspace: Workspace) -> None:
    operation_id = workspace.start_import("slack-users", user="someone")
    assert shown(workspace) == {
        "_id": operation_id,
        "type": "Slack_Users",
        "importerKey": "slack-users",
        "ts": "2026-01-05T09:03:07.250Z",
        "status": "importer_new",
        "valid": True,
        "user": "someone",
        "_updatedAt": "2026-01-05T09:03:07.250Z",
    }


def test_ids_and_times_of_each_era(make: Make) -> None:
    new, old = make(era=8), make(era=5, iso_ts=False)
    assert re.fullmatch(r"[0-9a-f]{24}", new.start_import("csv"))
    assert re.fullmatch(r"[0-9A-Za-z]{17}", old.start_import("csv"))
    assert shown(old)["ts"] == 1767603787250
    assert shown(old)["_updatedAt"] == "2026-01-05T09:03:07.250Z"
    with pytest.raises(ValueError, match="era"):
        make(era=9)


def test_the_file_bears_an_unpadded_date_with_a_month_from_zero(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.start_import("csv", user="d26x6zSkaPSe5gCyy", file_name="my team.zip")
    assert "file" not in shown(workspace)
    clock.advance(600)
    assert shown(workspace)["file"] == "202605937_d26x6zSkaPSe5gCyy_my team.zip"
    assert shown(workspace)["contentType"] == "application/zip"
    workspace.start_import("pending-files")
    clock.advance(600)
    assert "file" not in shown(workspace)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_poll_sees_depends_on_the_clock_alone(kind: str) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    clocks = Clock(start), Clock(start)
    often, seldom = (Workspace(clock, seed=3) for clock in clocks)
    for workspace in (often, seldom):
        workspace.start_import(kind, "done-with-errors", 900)
    for _ in range(300):
        clocks[0].advance(3)
        often.latest()
    clocks[1].advance(900)
    assert often.latest() == seldom.latest()
    assert often.log == seldom.log
    assert shown(often)["status"] == kinds.DONE


def test_another_seed_is_another_workspace(make: Make, clock: Clock) -> None:
    first, same, other = make(seed=1), make(seed=1), make(seed=2)
    for workspace in (first, same, other):
        workspace.start_import("csv")
    clock.advance(700)
    assert first.current() == same.current()
    assert shown(first)["_id"] != shown(other)["_id"]
    assert shown(first)["count"] != shown(other)["count"]


def test_the_log_has_every_event_at_its_exact_time(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", seconds=60)
    clock.advance(3600)
    log = workspace.log
    assert (log[0].event, log[0].status) == ("started", kinds.NEW)
    assert {entry.operation_id for entry in log} == {operation_id}
    assert [entry.at for entry in log] == sorted(entry.at for entry in log)
    assert log[-1].status == kinds.DONE
    assert log[-1].at == datetime(2026, 1, 5, 9, 4, 7, 250_000, tzinfo=UTC)
    assert shown(workspace)["_updatedAt"] == to_iso(log[-1].at)
    assert log[-1].count == shown(workspace)["count"]


def test_the_latest_operations_are_at_most_twenty_newest_first(
    workspace: Workspace, clock: Clock
) -> None:
    started = []
    for _ in range(23):
        started.append(workspace.start_import("pending-avatars", "instant"))
        clock.advance(60)
    assert [operation["_id"] for operation in workspace.latest()] == started[:2:-1]


def test_a_new_import_supersedes_the_one_before(workspace: Workspace, clock: Clock) -> None:
    first = workspace.start_import("csv")
    clock.advance(300)
    status = shown(workspace)["status"]
    second = workspace.start_import("slack")
    clock.advance(5000)
    newer, older = workspace.latest()
    assert (newer["_id"], newer["status"], newer["valid"]) == (second, kinds.DONE, True)
    assert (older["_id"], older["status"], older["valid"]) == (first, status, False)
    assert older["_updatedAt"] == newer["ts"]
    assert [e.operation_id for e in workspace.log if e.event == "invalidated"] == [first]


def test_a_restart_interrupts_and_rewrites_all_rows_at_once(
    workspace: Workspace, clock: Clock
) -> None:
    for _ in range(6):
        workspace.start_import("csv")
        clock.advance(400)
    before = shown(workspace)
    assert before["status"].startswith("importer_importing_")
    workspace.restart()
    restarted_at = to_iso(clock.now())
    clock.advance(5000)
    rows = workspace.latest()
    assert {row["_updatedAt"] for row in rows} == {restarted_at}
    assert not any(row["valid"] for row in rows)
    assert rows[0] == {**before, "valid": False, "_updatedAt": restarted_at}
    assert [entry.event for entry in workspace.log[-2:]] == ["invalidated", "restarted"]


def test_a_restart_spares_a_last_operation_that_waits_for_a_selection(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.start_import("csv")
    clock.advance(900)
    waiting = workspace.start_import("csv", "waiting")
    clock.advance(900)
    before = shown(workspace)
    assert before["status"] == kinds.USER_SELECTION
    workspace.restart()
    assert shown(workspace) == before
    assert workspace.latest()[0]["valid"] is False
    workspace.select(waiting)
    clock.advance(900)
    assert shown(workspace)["status"] == kinds.DONE


def test_a_selection_can_come_before_its_time(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", seconds=1000)
    clock.advance(300)
    assert shown(workspace)["status"] == kinds.USER_SELECTION
    workspace.select(operation_id)
    assert shown(workspace)["status"] == kinds.IMPORTING_STARTED
    clock.advance(1000)
    assert shown(workspace)["status"] == kinds.DONE
    assert sum(entry.status == kinds.DONE for entry in workspace.log) == 1


def test_a_cancelled_operation_is_no_longer_valid(workspace: Workspace, clock: Clock) -> None:
    operation_id = workspace.start_import("csv", "cancelled")
    clock.advance(600)
    assert (shown(workspace)["status"], shown(workspace)["valid"]) == (kinds.CANCELLED, False)
    with pytest.raises(ValueError, match="has finished"):
        workspace.cancel(operation_id)
    other = workspace.start_import("csv")
    workspace.cancel(other)
    clock.advance(5000)
    assert (shown(workspace)["status"], shown(workspace)["valid"]) == (kinds.CANCELLED, False)


def test_a_clear_invalidates_everything(workspace: Workspace, clock: Clock) -> None:
    workspace.start_import("csv", "waiting")
    clock.advance(700)
    workspace.clear()
    assert (shown(workspace)["status"], shown(workspace)["valid"]) == (kinds.USER_SELECTION, False)
    with pytest.raises(ValueError, match="does not wait"):
        workspace.select(shown(workspace)["_id"])


def test_the_prepare_page_sets_a_finished_operation_back(
    workspace: Workspace, clock: Clock
) -> None:
    operation_id = workspace.start_import("csv", records=1000)
    with pytest.raises(ValueError, match="not finished"):
        workspace.prepare(operation_id)
    clock.advance(600)
    workspace.prepare(operation_id)
    assert (shown(workspace)["status"], shown(workspace)["valid"]) == (kinds.USER_SELECTION, True)
    workspace.select(operation_id)
    clock.advance(600)
    assert shown(workspace)["status"] == kinds.DONE
    assert shown(workspace)["count"]["completed"] == 2000


def test_unknown_operations_and_kinds_are_refused(workspace: Workspace) -> None:
    for act in (workspace.select, workspace.cancel, workspace.prepare):
        with pytest.raises(KeyError):
            act("nobody")
    with pytest.raises(ValueError, match="no such kind"):
        workspace.start_import("usenet")
    with pytest.raises(ValueError, match="never waits"):
        workspace.start_import("pending-files", "waiting")
    assert workspace.log == []


def test_a_placed_operation_is_shown_as_it_is(make: Make, clock: Clock) -> None:
    workspace = make(hostile=True)
    workspace.start_import("csv")
    odd = {"ts": "soon", "status": ["?"], "count": "0[object Promise]", "\x00": "\ud800"}
    clock.advance(1)
    workspace.put_operation(odd)
    assert shown(workspace) == odd
    old = {"_id": "old", "ts": "1635337234169", "_updatedAt": "2021-10-27T12:20:34.184Z"}
    workspace.put_operation(old)
    assert shown(workspace) == odd
    assert workspace.latest()[-1] == old
    workspace.restart()
    assert shown(workspace) == {**odd, "valid": False, "_updatedAt": to_iso(clock.now())}


def test_a_hostile_workspace_shows_oddities_and_logs_the_truth(make: Make, clock: Clock) -> None:
    hostile, plain = make(hostile=True), make()
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


def test_nobody_can_change_a_workspace_through_what_it_shows(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.start_import("csv")
    clock.advance(600)
    shown(workspace)["count"]["total"] = -1
    workspace.latest()[0].clear()
    assert shown(workspace)["count"]["total"] > 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_counters_are_monotone_however_it_ends(
    workspace: Workspace, clock: Clock, ending: Any
) -> None:
    workspace.start_import("csv", ending, 300, stuck_for=100)
    seen: dict[str, int] = {}
    for _ in range(100):
        clock.advance(5)
        count = shown(workspace).get("count", {})
        assert all(count[key] >= number for key, number in seen.items())
        seen = count
    assert seen["total"] > 0


def test_an_import_that_was_drawn_up_does_not_run_ahead_of_the_clock(
    workspace: Workspace, clock: Clock
) -> None:
    workspace.start_import("csv")
    now = clock.now()
    clock.advance(120)
    assert all(entry.at <= now + timedelta(seconds=120) for entry in workspace.log)
