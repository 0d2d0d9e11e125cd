"""What a snapshot changes in the rows of its workspace: compared in memory, nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from importmonitor import outcomes
from importmonitor.models import EndReason, ImportOperation, StatusTransition
from importmonitor.rocketchat import states
from importmonitor.rocketchat.operation import COUNTS, Operation

REMOTE_FIELDS = tuple(each.name for each in fields(Operation))
PROGRESS_FIELDS = ("status", *(f"count_{name}" for name in COUNTS))

Reason = StatusTransition.Reason


@dataclass
class Change:
    """An operation with its new values, not yet saved, and the transitions that go with them.

    `updated` holds the changed fields, each with its old and its new value; for an operation that
    was not known, those that are not empty, from None.
    """

    operation: ImportOperation
    created: bool
    updated: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    transitions: list[StatusTransition] = field(default_factory=list)

    def set(self, name: str, value: Any) -> None:
        """Give a field of the operation another value, and remember the one that it had."""
        old = getattr(self.operation, name)
        if old != value:
            setattr(self.operation, name, value)
            self.updated[name] = (None if self.created else old, value)


def compare(
    workspace: str,
    stored: Sequence[ImportOperation],
    received: Operation | None,
    now: datetime,
) -> tuple[ImportOperation | None, list[Change]]:
    """Return the current operation as it will be, and what a snapshot changes.

    `stored` are the workspace's rows that a snapshot can touch: the one with its id, all that are
    open, and the newest. `received` is None when Rocket.Chat said that there is no operation.
    The rows in `stored` are changed in place.
    """
    changes: list[Change] = []
    operations = list(stored)
    newest: ImportOperation | None = None
    if received is not None:
        known = next((row for row in stored if row.remote_id == received.remote_id), None)
        if known is None:
            discovery = _discover(workspace, received, now)
            operations.append(discovery.operation)
            changes.append(discovery)
        elif not _is_older(known, received):
            changes.extend(_update(known, received, now))
        # By Rocket.Chat's own rule, and not by what came last: a snapshot can be late. Of two
        # that started at once, max takes the first, and the one received should win.
        newest = max(reversed(operations), key=lambda row: row.started_at)
    for row in operations:
        if row.finished_at is None and row is not newest:
            change = next((each for each in changes if each.operation is row), None)
            if change is None:
                change = Change(row, created=False)
                changes.append(change)
            _supersede(change, newest, now)
    return newest, changes


def _discover(workspace: str, received: Operation, now: datetime) -> Change:
    operation = ImportOperation(
        workspace=workspace,
        started_at=received.remote_started_at or now,
        first_seen_at=now,
        last_seen_at=now,
        last_progress_at=now,
    )
    change = Change(operation, created=True)
    for name in REMOTE_FIELDS:
        change.set(name, getattr(received, name))
    change.set("state", received.state.value)
    change.transitions.append(_transition(operation, "", "", Reason.REMOTE, now))
    reason = outcomes.end_reason(operation.status, operation.valid)
    if reason:
        # Nobody saw it end, but the end came before the last time that it was touched.
        touched = operation.remote_updated_at
        seen = touched if touched and operation.started_at <= touched <= now else now
        change.set("finished_at", seen)
        change.set("end_reason", reason.value)
    return change


def _update(operation: ImportOperation, received: Operation, now: datetime) -> list[Change]:
    change = Change(operation, created=False)
    from_status, from_state = operation.status, operation.state
    for name in REMOTE_FIELDS:
        change.set(name, getattr(received, name))
    if not change.updated:
        return []
    change.set("state", received.state.value)
    change.set("started_at", received.remote_started_at or operation.first_seen_at)
    change.set("last_seen_at", now)
    if any(name in change.updated for name in PROGRESS_FIELDS):
        change.set("last_progress_at", now)
    reason = outcomes.end_reason(operation.status, operation.valid)
    moved = "status" in change.updated
    if operation.finished_at is None:
        if moved or "state" in change.updated:
            why = Reason.INVALIDATED if reason == EndReason.INTERRUPTED else Reason.REMOTE
            change.transitions.append(_transition(operation, from_status, from_state, why, now))
        if reason:
            change.set("finished_at", now)
            change.set("end_reason", reason.value)
    elif moved:
        # It had ended. Its `finished_at` stays what it was, and a mere `valid` or `_updatedAt`,
        # which every start of a server rewrites in bulk, is no event at all.
        left_an_end = from_status in states.ENDS and operation.status not in states.ENDS
        why = Reason.REOPENED if left_an_end else Reason.REMOTE
        change.transitions.append(_transition(operation, from_status, from_state, why, now))
        if reason and reason != EndReason.INTERRUPTED:
            change.set("end_reason", reason.value)
    return [change]


def _supersede(change: Change, newest: ImportOperation | None, now: datetime) -> None:
    operation = change.operation
    began = newest.remote_started_at if newest else None
    change.set("finished_at", began if began and operation.last_seen_at <= began <= now else now)
    change.set("end_reason", EndReason.SUPERSEDED.value)
    change.transitions.append(
        _transition(operation, operation.status, operation.state, Reason.SUPERSEDED, now)
    )


def _transition(
    operation: ImportOperation,
    from_status: str,
    from_state: str,
    reason: StatusTransition.Reason,
    now: datetime,
) -> StatusTransition:
    return StatusTransition(
        operation=operation,
        from_status=from_status,
        to_status=operation.status,
        from_state=from_state,
        to_state=operation.state,
        valid=operation.valid,
        count_total=operation.count_total,
        count_completed=operation.count_completed,
        count_error=operation.count_error,
        reason=reason,
        observed_at=now,
    )


def _is_older(operation: ImportOperation, received: Operation) -> bool:
    """Tell whether a snapshot shows an operation as it was before what is stored."""
    stored_at, received_at = operation.remote_updated_at, received.remote_updated_at
    if stored_at and received_at and stored_at != received_at:
        # `valid` only ever turns false. When it has, the news is real, even if the server that
        # wrote it (each of several stamps with its own clock) is a little behind.
        invalidated = operation.valid is not False and received.valid is False
        return received_at < stored_at and not invalidated
    stored_rank, received_rank = states.rank(operation.status), states.rank(received.status)
    if stored_rank is None or received_rank is None:
        return False
    return received_rank < stored_rank
