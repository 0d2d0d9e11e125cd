"""What a snapshot changes: every rule, and any order of snapshots."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importmonitor import conf
from importmonitor.models import EndReason, ImportOperation, Workspace
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.rocketchat.states import STEPS
from importmonitor.sync.change import Change, Snapshot
from importmonitor.sync.diff import diff

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def version(remote_id: str = "A", minute: int = 0, **keys: Any) -> Operation:
    """Return an operation as Rocket.Chat updated it some minutes past noon."""
    updated = NOON + timedelta(minutes=minute)
    document = {
        "_id": remote_id,
        "ts": NOON.isoformat(),
        "status": "importer_importing_users",
        "valid": True,
        "_updatedAt": updated.isoformat(),
    }
    return parse_operation(document | keys)


def snapshot_of(
    stored: Sequence[ImportOperation], received: Operation | None, minute: int, **values: Any
) -> Snapshot:
    """Return a snapshot some minutes past noon; the last of the rows was current until then."""
    workspace = Workspace(
        alias="default", current_operation_id=stored[-1].pk if stored else None, sync_status="ok"
    )
    at = NOON + timedelta(minutes=minute)
    return Snapshot(workspace, at, received, known_since=NOON, **values)


def apply(
    stored: Sequence[ImportOperation], received: Operation | None, minute: int
) -> tuple[list[ImportOperation], list[Change]]:
    """Return the rows and the changes after a snapshot some minutes past noon."""
    snapshot = snapshot_of(stored, received, minute)
    _current, changes = diff(snapshot, stored, conf.get_options())
    created = [change.operation for change in changes if change.created]
    for row in created:
        row.pk = len(stored) + 1
    return [*stored, *created], changes


def row_after(*versions: Operation) -> ImportOperation:
    """Return the row after snapshots with these versions of an operation, a minute apart."""
    rows: list[ImportOperation] = []
    for minute, received in enumerate(versions):
        rows, _ = apply(rows, received, minute)
    (row,) = rows
    return row


def test_same_snapshot_changes_nothing() -> None:
    row = row_after(version())
    _, changes = apply([row], version(), 5)
    assert changes == []
    assert row.last_seen_at == NOON


def test_change_of_updated_at_alone_is_stored_without_event() -> None:
    row = row_after(version())
    _, [change] = apply([row], version(minute=3), 5)
    assert set(change.updated) == {"remote_updated_at", "payload", "last_seen_at"}
    assert change.transitions == []
    assert row.last_progress_at == NOON


def test_change_of_counters_is_progress_without_transition() -> None:
    row = row_after(version())
    _, [change] = apply([row], version(minute=3, count={"completed": 50, "total": 100}), 5)
    assert change.updated["count_completed"] == (None, 50)
    assert change.transitions == []
    assert row.last_progress_at == NOON + timedelta(minutes=5)


def test_response_that_was_overtaken_is_ignored() -> None:
    row = row_after(version(minute=9, status="importer_done"))
    _, changes = apply([row], version(minute=5), 0)
    assert changes == []
    assert row.status == "importer_done"


def test_earlier_updated_at_alone_is_not_older() -> None:
    """Rocket.Chat's clock can be stepped back in the middle of an import."""
    row = row_after(version(minute=60, count={"completed": 50, "total": 500}))
    apply([row], version(minute=1, count={"completed": 100, "total": 500}), 0)
    assert row.count_completed == 100
    apply([row], version(minute=2, status="importer_user_selection"), 5)
    assert row.status == "importer_user_selection"


def test_unknown_step_without_timestamps_is_accepted() -> None:
    row = row_after(version(_updatedAt=None))
    _, changes = apply([row], version(_updatedAt=None, status="importer_dreaming"), 1)
    assert [change.operation.state for change in changes] == ["unknown"]


def test_invalidation_is_accepted_with_an_earlier_timestamp() -> None:
    row = row_after(version(minute=9))
    _, [change] = apply([row], version(minute=8, valid=False), 10)
    assert row.end_reason == EndReason.INTERRUPTED
    assert [transition.reason for transition in change.transitions] == ["invalidated"]


def test_canceled_import_that_becomes_invalid_stays_canceled() -> None:
    row = row_after(version(), version(minute=1, status="importer_import_cancelled"))
    finished_at = row.finished_at
    _, [change] = apply([row], version(minute=2, status=row.status, valid=False), 5)
    assert (row.end_reason, row.finished_at) == (EndReason.CANCELED, finished_at)
    # Rocket.Chat's state does change, by its own rules, and is shown beside the outcome.
    assert row.state == "error"
    assert change.transitions == []


def test_missing_valid_is_no_interruption() -> None:
    row = row_after(version(valid=None))
    assert (row.valid, row.state, row.finished_at) == (None, "importing", None)


def test_aborted_import_is_interrupted_whatever_rocketchat_calls_it() -> None:
    row = row_after(version(), version(minute=1, valid=False))
    finished_at = row.finished_at
    assert row.end_reason == EndReason.INTERRUPTED
    for status in ("importer_done", "importer_import_failed"):
        _, [change] = apply([row], version(minute=2, valid=False, status=status), 3)
        assert (row.end_reason, row.finished_at) == (EndReason.INTERRUPTED, finished_at)
        assert change.events == []


def test_import_up_to_6_2_goes_on_when_another_server_starts() -> None:
    started = round(NOON.timestamp() * 1000)
    row = row_after(version(ts=started), version(ts=started, minute=1, valid=False))
    assert row.end_reason == EndReason.INTERRUPTED
    moving = version(ts=started, minute=2, valid=False, count={"completed": 500})
    _, [change] = apply([row], moving, 2)
    assert (row.end_reason, row.finished_at, row.is_active) == ("", None, True)
    assert change.events == []
    _, [change] = apply(
        [row], version(ts=started, minute=3, valid=False, status="importer_done"), 3
    )
    assert row.end_reason == EndReason.DONE
    assert [event for event, _ in change.events] == ["import.finished"]


@pytest.mark.parametrize("importer", ["pending-files", "pending-avatars"])
def test_pending_download_runs_on_when_invalid(importer: str) -> None:
    row = row_after(version(importerKey=importer), version(importerKey=importer, valid=False))
    assert (row.end_reason, row.is_active) == ("", True)
    done = version(importerKey=importer, minute=9, valid=False, status="importer_done")
    apply([row], done, 9)
    assert (row.end_reason, row.outcome) == (EndReason.DONE, "done")


def test_silent_pending_download_was_killed_and_can_be_reopened() -> None:
    invalid = version(importerKey="pending-files", minute=1, valid=False)
    row = row_after(version(importerKey="pending-files"), invalid)
    apply([row], invalid, 11 * 60)
    assert row.is_active
    apply([row], invalid, 13 * 60)
    assert row.end_reason == EndReason.INTERRUPTED
    moving = version(importerKey="pending-files", valid=False, count={"completed": 50})
    _, [change] = apply([row], moving, 14 * 60)
    assert (row.end_reason, row.is_active, change.events) == ("", True, [])


def test_pending_files_end_when_the_last_have_arrived() -> None:
    keys = {"importerKey": "pending-files", "status": "importer_done"}
    row = row_after(version(importerKey="pending-files"))
    apply([row], version(minute=1, count={"total": 20, "completed": 12}, **keys), 1)
    apply([row], version(minute=4, count={"total": 20, "completed": 17}, **keys), 4)
    assert row.is_active
    last = version(minute=5, count={"total": 20, "completed": 18, "error": 2}, **keys)
    _, [change] = apply([row], last, 5)
    assert (row.outcome, row.finished_at) == ("done_with_errors", NOON + timedelta(minutes=5))
    assert [event for event, _ in change.events] == ["import.finished"]


def test_invalid_import_behind_a_newer_one_is_superseded() -> None:
    old = row_after(version())
    newer = version("B", ts=(NOON + timedelta(minutes=1)).isoformat())
    latest = [newer, version(minute=1, valid=False)]
    snapshot = snapshot_of([old], newer, 2, latest=latest, has_list=True)
    _, [change, _created] = diff(snapshot, [old], conf.get_options())
    assert (old.end_reason, old.finished_at) == ("superseded", NOON + timedelta(minutes=1))
    assert [transition.reason for transition in change.transitions] == ["superseded"]


def test_import_behind_a_newer_one_waits_for_the_list() -> None:
    old = row_after(version())
    rows, _ = apply([old], version("B", ts=(NOON + timedelta(minutes=1)).isoformat()), 2)
    assert old.is_active
    refused = snapshot_of(rows, version("B", ts=(NOON + timedelta(minutes=1)).isoformat()), 3)
    refused.workspace.list_refused = "The permission is missing."
    diff(refused, rows, conf.get_options())
    assert old.end_reason == EndReason.SUPERSEDED


def test_interruption_becomes_a_supersession_within_the_pause() -> None:
    old = row_after(version(), version(minute=1, valid=False))
    newer = version("B", ts=(NOON + timedelta(minutes=2)).isoformat())
    _, [change, _created] = diff(snapshot_of([old], newer, 3), [old], conf.get_options())
    assert (old.outcome, change.events) == ("superseded", [])
    assert change.superseded_by is not None


def test_import_after_the_pause_supersedes_nothing() -> None:
    old = row_after(version(), version(minute=1, valid=False))
    newer = version("B", ts=(NOON + timedelta(minutes=9)).isoformat())
    diff(snapshot_of([old], newer, 9), [old], conf.get_options())
    assert old.outcome == "interrupted"


def test_outcome_does_not_change_when_an_old_success_becomes_invalid() -> None:
    """A later import invalidates it, and `importer_done` with `valid: false` can be an abort."""
    count = {"total": 100, "completed": 50, "error": 3}
    row = row_after(version(), version(minute=1, status="importer_done", count=count))
    assert row.outcome == "done_with_errors"
    apply([row], version(minute=9, status="importer_done", valid=False, count=count), 9)
    assert row.outcome == "done_with_errors"


def test_operation_that_rocketchat_names_is_current_however_old() -> None:
    """Rocket.Chat was restored from a backup: it no longer has the newer operation."""
    [new], _ = apply([], version("B", ts=(NOON + timedelta(minutes=5)).isoformat()), 5)
    named = version("A")
    snapshot = snapshot_of([new], named, 6, latest=[named], has_list=True)
    current, changes = diff(snapshot, [new], conf.get_options())
    assert current is not None
    assert (current.remote_id, current.is_active) == ("A", True)
    assert new.gone_at == NOON + timedelta(minutes=6)
    assert new.outcome == "interrupted"
    reasons = [transition.reason for change in changes for transition in change.transitions]
    assert reasons == ["remote", "gone"]


def test_operation_after_the_current_one_is_gone_without_a_list() -> None:
    [new], _ = apply([], version("B", ts=(NOON + timedelta(minutes=5)).isoformat()), 5)
    rows, _ = apply([new], version("A"), 6)
    assert new.gone_at == NOON + timedelta(minutes=6)
    old_and_number = version("C", ts=round(NOON.timestamp() * 1000) + 600_000)
    rows, _ = apply([], old_and_number, 11)
    # MongoDB sorts numbers before dates, so this one can still be there.
    apply(rows, version("A"), 12)
    assert rows[0].gone_at is None


def test_operation_that_returns_is_not_gone() -> None:
    row = row_after(version())
    diff(snapshot_of([row], None, 1), [row], conf.get_options())
    assert (row.end_reason, row.is_active) == (EndReason.INTERRUPTED, False)
    apply([row], version(), 2)
    assert (row.gone_at, row.is_active) == (None, True)


@pytest.mark.parametrize("started", [None, "nonsense", 9_999_999_999_999_999])
def test_operation_without_readable_ts_starts_when_first_seen(started: Any) -> None:
    row = row_after(version(ts=started))
    assert row.remote_started_at is None
    assert row.started_at == NOON


def courses() -> st.SearchStrategy[list[Operation]]:
    """Versions of an import as it really runs: steps and counters increase, then it ends."""

    def build(parts: list[tuple[int, int]], end: str | None, invalid: bool) -> list[Operation]:
        parts = sorted(parts)
        versions = [
            version(minute=minute, status=STEPS[step], count={"completed": minute, "total": 99})
            for minute, (step, _) in enumerate(parts)
        ]
        if end:
            versions.append(version(minute=len(parts), status=end, count={"completed": 99}))
        if invalid:
            last = versions[-1].payload | {
                "valid": False,
                "_updatedAt": (NOON + timedelta(minutes=len(versions))).isoformat(),
            }
            versions.append(parse_operation(last))
        return versions

    running = STEPS.index("importer_finishing")
    return st.builds(
        build,
        st.lists(st.tuples(st.integers(0, running), st.integers()), min_size=1, max_size=6),
        st.sampled_from([None, "importer_done", "importer_import_failed"]),
        st.booleans(),
    )


@given(courses(), st.data())
def test_repeated_snapshots_result_in_the_same_row(versions: list[Operation], data: Any) -> None:
    repeated = [received for received in versions for _ in range(data.draw(st.integers(1, 3)))]
    clean = row_after(*versions)
    rows: list[ImportOperation] = []
    ends = 0
    for minute, received in enumerate(repeated):
        rows, changes = apply(rows, received, minute)
        ends += sum("finished_at" in change.updated for change in changes)
    (row,) = rows
    for name in ("status", "state", "valid", "count_completed", "remote_updated_at", "end_reason"):
        assert getattr(row, name) == getattr(clean, name), name
    assert ends == (1 if clean.finished_at else 0)
