"""What a snapshot changes: the rules, one by one, and any order of snapshots."""

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


def snapshot(remote_id: str = "A", minute: int = 0, **keys: Any) -> Operation:
    """An operation as it stood so many minutes past noon."""
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
    """Return the rows and the changes after a snapshot has been compared."""
    taken = Snapshot("default", NOON + timedelta(minutes=minute), received, known_since=NOON)
    _current, changes = diff(taken, stored, conf.options())
    created = [change.operation for change in changes if change.created]
    for row in created:
        row.pk = len(stored) + 1
    return [*stored, *created], changes


def seen(*snapshots: Operation) -> ImportOperation:
    """The row after these snapshots of one operation, a minute apart."""
    rows: list[ImportOperation] = []
    for minute, received in enumerate(snapshots):
        rows, _ = apply(rows, received, minute)
    (row,) = rows
    return row


def test_what_is_the_same_changes_nothing() -> None:
    row = seen(snapshot())
    _, changes = apply([row], snapshot(), 5)
    assert changes == []
    assert row.last_seen_at == NOON


def test_a_bump_of_updated_at_alone_is_stored_and_is_no_event() -> None:
    row = seen(snapshot())
    _, [change] = apply([row], snapshot(minute=3), 5)
    assert set(change.updated) == {"remote_updated_at", "payload", "last_seen_at"}
    assert change.transitions == []
    assert row.last_progress_at == NOON


def test_counters_are_progress_and_no_transition() -> None:
    row = seen(snapshot())
    _, [change] = apply([row], snapshot(minute=3, count={"completed": 50, "total": 100}), 5)
    assert change.updated["count_completed"] == (None, 50)
    assert change.transitions == []
    assert row.last_progress_at == NOON + timedelta(minutes=5)


def test_an_older_snapshot_is_ignored() -> None:
    row = seen(snapshot(minute=9, status="importer_done"))
    _, changes = apply([row], snapshot(minute=5), 10)
    assert changes == []
    assert row.status == "importer_done"


def test_of_two_with_one_stamp_the_further_step_is_newer() -> None:
    row = seen(snapshot(status="importer_importing_messages"))
    _, changes = apply([row], snapshot(status="importer_importing_users"), 1)
    assert changes == []
    _, changes = apply([row], snapshot(status="importer_finishing"), 2)
    assert [change.operation.status for change in changes] == ["importer_finishing"]


def test_without_stamps_an_unknown_step_is_believed() -> None:
    row = seen(snapshot(_updatedAt=None))
    _, changes = apply([row], snapshot(_updatedAt=None, status="importer_dreaming"), 1)
    assert [change.operation.state for change in changes] == ["unknown"]


def test_invalidation_is_news_even_from_a_clock_that_is_behind() -> None:
    row = seen(snapshot(minute=9))
    _, [change] = apply([row], snapshot(minute=8, valid=False), 10)
    assert row.end_reason == EndReason.INTERRUPTED
    assert [each.reason for each in change.transitions] == ["invalidated"]


def test_a_canceled_import_that_becomes_invalid_stays_canceled() -> None:
    row = seen(snapshot(), snapshot(minute=1, status="importer_import_cancelled"))
    finished_at = row.finished_at
    _, [change] = apply([row], snapshot(minute=2, status=row.status, valid=False), 5)
    assert (row.end_reason, row.finished_at) == (EndReason.CANCELED, finished_at)
    # Rocket.Chat's own word does change (its table says so), and stays visible beside ours.
    assert row.state == "error"
    assert change.transitions == []


def test_an_unspoken_valid_is_no_interruption() -> None:
    row = seen(snapshot(valid=None))
    assert (row.valid, row.state, row.finished_at) == (None, "importing", None)


def test_interrupted_and_done_after_all() -> None:
    row = seen(snapshot(), snapshot(minute=1, valid=False))
    finished_at = row.finished_at
    assert row.end_reason == EndReason.INTERRUPTED
    apply([row], snapshot(minute=2, valid=False, status="importer_done"), 3)
    assert (row.end_reason, row.finished_at) == (EndReason.DONE, finished_at)


def test_superseded_and_seen_to_fail_after_all() -> None:
    old = seen(snapshot())
    rows, _ = apply([old], snapshot("B", ts=(NOON + timedelta(minutes=1)).isoformat()), 2)
    assert old.end_reason == EndReason.SUPERSEDED
    failed = snapshot(minute=3, valid=False, status="importer_import_failed")
    apply(rows, failed, 4)
    assert old.end_reason == EndReason.FAILED
    assert rows[1].finished_at is None


def test_a_late_snapshot_of_an_older_operation_supersedes_nothing_newer() -> None:
    new = seen(snapshot("B", ts=(NOON + timedelta(minutes=5)).isoformat()))
    taken = Snapshot("default", NOON + timedelta(minutes=6), snapshot("A"))
    current, changes = diff(taken, [new], conf.options())
    assert current is new
    assert new.finished_at is None
    (change,) = changes
    assert (change.operation.remote_id, change.operation.end_reason) == ("A", "superseded")
    assert change.operation.finished_at == new.started_at
    assert [each.reason for each in change.transitions] == ["superseded"]


def test_when_rocketchat_knows_of_none_what_was_open_is_over() -> None:
    row = seen(snapshot())
    taken = Snapshot("default", NOON + timedelta(hours=1), None)
    current, [change] = diff(taken, [row], conf.options())
    assert current is None
    assert row.end_reason == EndReason.SUPERSEDED
    assert change.updated["finished_at"] == (None, NOON + timedelta(hours=1))


@pytest.mark.parametrize("started", [None, "nonsense", 9_999_999_999_999_999])
def test_without_a_readable_ts_an_operation_starts_when_first_seen(started: Any) -> None:
    row = seen(snapshot(ts=started))
    assert row.remote_started_at is None
    assert row.started_at == NOON


def course() -> st.SearchStrategy[list[Operation]]:
    """Snapshots of one import as it really goes: steps and counters forward, then an end."""

    def build(parts: list[tuple[int, int]], end: str | None, invalid: bool) -> list[Operation]:
        parts = sorted(parts)
        told = [
            snapshot(minute=minute, status=STEPS[step], count={"completed": minute, "total": 99})
            for minute, (step, _) in enumerate(parts)
        ]
        if end:
            told.append(snapshot(minute=len(parts), status=end, count={"completed": 99}))
        if invalid:
            last = told[-1].payload | {
                "valid": False,
                "_updatedAt": (NOON + timedelta(minutes=len(told))).isoformat(),
            }
            told.append(parse_operation(last))
        return told

    running = STEPS.index("importer_finishing")
    return st.builds(
        build,
        st.lists(st.tuples(st.integers(0, running), st.integers()), min_size=1, max_size=6),
        st.sampled_from([None, "importer_done", "importer_import_failed"]),
        st.booleans(),
    )


@given(course(), st.data())
def test_any_order_and_repetition_ends_in_the_same_row(told: list[Operation], data: Any) -> None:
    """Repeated and late snapshots leave no trace in what is told of an operation."""
    disordered = data.draw(st.lists(st.sampled_from(told), max_size=12))
    clean = seen(*told)
    mixed: list[ImportOperation] = []
    ends = 0
    for minute, received in enumerate([*disordered, *told]):
        mixed, changes = apply(mixed, received, minute)
        ends += sum("finished_at" in change.updated for change in changes)
    (row,) = mixed
    for name in ("status", "state", "valid", "count_completed", "remote_updated_at", "end_reason"):
        assert getattr(row, name) == getattr(clean, name), name
    assert ends == (1 if clean.finished_at else 0)
