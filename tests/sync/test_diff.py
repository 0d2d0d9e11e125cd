"""What a snapshot changes: every rule, and any order of snapshots."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importmonitor import conf
from importmonitor.models import EndReason, ImportOperation
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.rocketchat.states import STEPS
from importmonitor.sync.diff import Change, Snapshot, diff

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


def apply(
    stored: Sequence[ImportOperation], received: Operation | None, minute: int
) -> tuple[list[ImportOperation], list[Change]]:
    """Return the rows and the changes after a snapshot some minutes past noon."""
    at = NOON + timedelta(minutes=minute)
    snapshot = Snapshot("default", at, received, known_since=NOON)
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


def test_older_snapshot_is_ignored() -> None:
    row = row_after(version(minute=9, status="importer_done"))
    _, changes = apply([row], version(minute=5), 10)
    assert changes == []
    assert row.status == "importer_done"


def test_same_timestamp_orders_by_step() -> None:
    row = row_after(version(status="importer_importing_messages"))
    _, changes = apply([row], version(status="importer_importing_users"), 1)
    assert changes == []
    _, changes = apply([row], version(status="importer_finishing"), 2)
    assert [change.operation.status for change in changes] == ["importer_finishing"]


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


def test_interrupted_operation_can_still_be_done() -> None:
    row = row_after(version(), version(minute=1, valid=False))
    finished_at = row.finished_at
    assert row.end_reason == EndReason.INTERRUPTED
    apply([row], version(minute=2, valid=False, status="importer_done"), 3)
    assert (row.end_reason, row.finished_at) == (EndReason.DONE, finished_at)


def test_superseded_operation_can_still_fail() -> None:
    old = row_after(version())
    rows, _ = apply([old], version("B", ts=(NOON + timedelta(minutes=1)).isoformat()), 2)
    assert old.end_reason == EndReason.SUPERSEDED
    failed = version(minute=3, valid=False, status="importer_import_failed")
    apply(rows, failed, 4)
    assert old.end_reason == EndReason.FAILED
    assert rows[1].finished_at is None


def test_late_snapshot_of_older_operation_supersedes_nothing() -> None:
    new = row_after(version("B", ts=(NOON + timedelta(minutes=5)).isoformat()))
    late = Snapshot("default", NOON + timedelta(minutes=6), version("A"))
    current, changes = diff(late, [new], conf.get_options())
    assert current is new
    assert new.finished_at is None
    (change,) = changes
    assert (change.operation.remote_id, change.operation.end_reason) == ("A", "superseded")
    assert change.operation.finished_at == new.started_at
    assert [transition.reason for transition in change.transitions] == ["superseded"]


def test_active_operation_is_superseded_if_rocketchat_has_none() -> None:
    row = row_after(version())
    empty = Snapshot("default", NOON + timedelta(hours=1), None)
    current, [change] = diff(empty, [row], conf.get_options())
    assert current is None
    assert row.end_reason == EndReason.SUPERSEDED
    assert change.updated["finished_at"] == (None, NOON + timedelta(hours=1))


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
def test_any_order_of_snapshots_results_in_the_same_row(
    versions: list[Operation], data: Any
) -> None:
    """Repeated and late snapshots do not change the result."""
    disordered = data.draw(st.lists(st.sampled_from(versions), max_size=12))
    clean = row_after(*versions)
    rows: list[ImportOperation] = []
    ends = 0
    for minute, received in enumerate([*disordered, *versions]):
        rows, changes = apply(rows, received, minute)
        ends += sum("finished_at" in change.updated for change in changes)
    (row,) = rows
    for name in ("status", "state", "valid", "count_completed", "remote_updated_at", "end_reason"):
        assert getattr(row, name) == getattr(clean, name), name
    assert ends == (1 if clean.finished_at else 0)
