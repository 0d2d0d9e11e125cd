"""What a poll changes in a workspace's rows: compared in memory, nothing written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from importmonitor.choices import Event
from importmonitor.conf.options import Options
from importmonitor.models import EndReason, ImportOperation, StatusTransition
from importmonitor.rocketchat import states
from importmonitor.rocketchat.operation import COUNTS, Operation
from importmonitor.rocketchat.states import ImportState

REMOTE_FIELDS = tuple(remote_field.name for remote_field in fields(Operation))
COUNT_FIELDS = tuple(f"count_{name}" for name in COUNTS)
PROGRESS_FIELDS = ("status", *COUNT_FIELDS)
SAMPLED_FIELDS = ("count_completed", "count_error", "count_total")

Reason = StatusTransition.Reason

_TRANSITION_REASONS = {
    EndReason.INTERRUPTED: Reason.INVALIDATED,
    EndReason.SUPERSEDED: Reason.SUPERSEDED,
}
_END_EVENTS = {EndReason.FAILED: Event.FAILED, EndReason.INTERRUPTED: Event.INTERRUPTED}


@dataclass(frozen=True)
class Snapshot:
    """A workspace's operations as Rocket.Chat returned them at a time.

    `has_list` is whether the list of operations was requested, and `latest` its content: empty if
    it was refused. `watched` is the total time in which the workspace has been watched;
    `known_since` is the time of its first successful poll, None if this is the first; operations
    that started before `pruned_before` and are over were deleted on purpose.
    """

    workspace: str
    at: datetime
    current: Operation | None
    latest: Sequence[Operation] = ()
    has_list: bool = False
    watched: timedelta = timedelta(0)
    known_since: datetime | None = None
    pruned_before: datetime | None = None

    @property
    def operations(self) -> dict[str, Operation]:
        """The latest version of each operation, by its id."""
        operations: dict[str, Operation] = {}
        # The list was requested after the current operation, and so comes second.
        for operation in (*filter(None, [self.current]), *self.latest):
            before = operations.get(operation.remote_id)
            if before is None or not _is_older(before, operation):
                operations[operation.remote_id] = operation
        return operations


class ChangeEvent(NamedTuple):
    """An event of an operation, and the transition that it belongs to, if any."""

    event: Event
    transition: StatusTransition | None


@dataclass
class Change:
    """An operation with its new values, unsaved, and the rows that go with them.

    `updated` maps the names of the changed fields to their old and new values; for a new
    operation, those of the fields that are not empty, with None as the old value. `is_sampled` is
    whether its counters, as they are now, make a sample.
    """

    operation: ImportOperation
    created: bool
    updated: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    transitions: list[StatusTransition] = field(default_factory=list)
    is_sampled: bool = False
    events: list[ChangeEvent] = field(default_factory=list)
    from_status: str = field(init=False)
    from_state: str = field(init=False)
    #: Whether it had not ended, or had been reopened and was running.
    was_active: bool = field(init=False)

    def __post_init__(self) -> None:
        operation = self.operation
        self.from_status, self.from_state = operation.status, operation.state
        self.was_active = operation.is_active

    @property
    def has_ended(self) -> bool:
        """Whether this is an end of the operation, the first or another."""
        return self.was_active and not self.operation.is_active

    def set(self, name: str, value: Any) -> None:
        """Set a field of the operation, and record its old value."""
        old = getattr(self.operation, name)
        if old != value:
            setattr(self.operation, name, value)
            first = self.updated[name][0] if name in self.updated else old
            self.updated[name] = (None if self.created else first, value)

    def has_changed(self, names: Iterable[str]) -> bool:
        """Return whether one of these fields has another value than before."""
        return any(name in self.updated for name in names)

    def add_transition(self, reason: StatusTransition.Reason, at: datetime) -> StatusTransition:
        """Add the transition from what the operation was to what it is."""
        operation = self.operation
        transition = StatusTransition(
            operation=operation,
            from_status=self.from_status,
            to_status=operation.status,
            from_state=self.from_state,
            to_state=operation.state,
            valid=operation.valid,
            count_total=operation.count_total,
            count_completed=operation.count_completed,
            count_error=operation.count_error,
            reason=reason,
            observed_at=at,
        )
        self.transitions.append(transition)
        # The next transition starts where this one ends.
        self.from_status, self.from_state = operation.status, operation.state
        return transition


def diff(
    snapshot: Snapshot, stored: Sequence[ImportOperation], options: Options
) -> tuple[ImportOperation | None, list[Change]]:
    """Return the current operation as it will be, and what a snapshot changes.

    `stored` are the workspace's rows that the snapshot can change: those with an id in it, all
    that have not ended, and the newest. They are modified in place.
    """
    drafts = {row.remote_id: Change(row, created=False) for row in stored}
    # Oldest first: so operations that started at the same time are inserted in their order.
    for remote_id, received in reversed(snapshot.operations.items()):
        if remote_id not in drafts and not _was_pruned(received, snapshot):
            drafts[remote_id] = Change(_new_operation(snapshot, received), created=True)
        draft = drafts.get(remote_id)
        if draft and (draft.created or not _is_older(draft.operation, received)):
            _apply(draft, received, snapshot.at)
    # By Rocket.Chat's own rule, not by the order of arrival: a response can be late. Of two that
    # started at the same time, the one that Rocket.Chat named is the current one.
    current_id = snapshot.current.remote_id if snapshot.current else ""
    ordered = sorted(
        drafts.values(),
        key=lambda draft: (draft.operation.started_at, draft.operation.remote_id == current_id),
    )
    newest = ordered[-1].operation if ordered and snapshot.current else None
    successors = [*(draft.operation for draft in ordered[1:]), None]
    for draft, successor in zip(ordered, successors, strict=False):
        is_newest = draft.operation is newest
        _close(draft, None if is_newest else successor, is_newest, snapshot)
        _track_progress(draft, is_newest, snapshot, options)
        draft.set("outcome", draft.operation.end_outcome())
    return newest, [draft for draft in ordered if draft.created or draft.updated]


def _was_pruned(received: Operation, snapshot: Snapshot) -> bool:
    if snapshot.pruned_before is None or received is snapshot.current:
        return False
    started = received.remote_started_at
    ended = EndReason.from_remote(received.status, received.valid) is not None
    return ended and started is not None and started < snapshot.pruned_before


def _new_operation(snapshot: Snapshot, received: Operation) -> ImportOperation:
    return ImportOperation(
        workspace=snapshot.workspace,
        started_at=received.remote_started_at or snapshot.at,
        first_seen_at=snapshot.at,
        last_seen_at=snapshot.at,
        last_progress_at=snapshot.at,
        modified_at=snapshot.at,
        watched_at_progress=snapshot.watched,
    )


def _apply(draft: Change, received: Operation, at: datetime) -> None:
    """Set the fields to what was received."""
    for name in REMOTE_FIELDS:
        draft.set(name, getattr(received, name))
    if draft.created or draft.updated:
        draft.set("state", received.state.value)
        draft.set("started_at", received.remote_started_at or draft.operation.first_seen_at)


def _close(
    draft: Change, successor: ImportOperation | None, is_newest: bool, snapshot: Snapshot
) -> None:
    """Add an operation's transition, its end, and their events."""
    operation = draft.operation
    reason = EndReason.from_remote(operation.status, operation.valid)
    if not is_newest and reason in (None, EndReason.INTERRUPTED):
        # A new import invalidates all others as a restart does. There is one, so that was it.
        reason = EndReason.SUPERSEDED
    if draft.was_active:
        _close_active(draft, reason, successor, snapshot)
    elif "status" in draft.updated:
        # It had ended. `finished_at` stays what it was, and a mere change of `valid` or
        # `_updatedAt`, which every start of a server rewrites in bulk, is no event.
        left_an_end = draft.from_status in states.ENDS and operation.status not in states.ENDS
        # Reopened, it waits. It can only be importing because it was run again.
        is_running = states.state_of(operation.status, None) == ImportState.IMPORTING
        before = operation.end_reason
        transition_reason = Reason.REOPENED if left_an_end else Reason.REMOTE
        if is_running and reason in _TRANSITION_REASONS and reason != before:
            transition_reason = _TRANSITION_REASONS[reason]
        transition = draft.add_transition(transition_reason, snapshot.at)
        if reason and (is_running or reason not in _TRANSITION_REASONS):
            draft.set("end_reason", reason.value)
            if _end_event(reason) != _end_event(before):
                draft.events.append(ChangeEvent(_end_event(reason), transition))


def _close_active(
    draft: Change,
    reason: EndReason | None,
    successor: ImportOperation | None,
    snapshot: Snapshot,
) -> None:
    operation = draft.operation
    had_ended, before = operation.finished_at is not None, operation.end_reason
    moved = draft.created or draft.has_changed(("status", "state"))
    if not moved and (reason is None or reason == before):
        return
    transition_reason = _TRANSITION_REASONS.get(reason, Reason.REMOTE) if reason else Reason.REMOTE
    transition = draft.add_transition(transition_reason, snapshot.at)
    if reason:
        if not had_ended:
            draft.set("finished_at", _ended_at(draft, reason, successor, snapshot.at))
        draft.set("end_reason", reason.value)
    is_past = snapshot.known_since is None or operation.started_at < snapshot.known_since
    if draft.created and is_past:
        # It started before the workspace was monitored: history, and no reason for an alert.
        return
    if reason and not (had_ended and _end_event(reason) == _end_event(before)):
        draft.events.append(ChangeEvent(_end_event(reason), transition))
    elif draft.created:
        draft.events.append(ChangeEvent(Event.STARTED, transition))


def _end_event(reason: EndReason | str) -> Event:
    return _END_EVENTS.get(EndReason(reason), Event.FINISHED)


def _ended_at(
    draft: Change, reason: EndReason, successor: ImportOperation | None, now: datetime
) -> datetime:
    """Return when an operation ended, as exactly as possible: by the last write to it.

    The last write can be a server's start long after. But Rocket.Chat runs one import at a time:
    this one was over when the next one started.
    """
    operation = draft.operation
    earliest = operation.started_at if draft.created else operation.last_seen_at
    next_started_at = successor.started_at if successor else None
    updated_at = operation.remote_updated_at if reason != EndReason.SUPERSEDED else None
    evidence = min(filter(None, (updated_at, next_started_at)), default=now)
    return evidence if earliest <= evidence <= now else now


def _track_progress(draft: Change, is_newest: bool, snapshot: Snapshot, options: Options) -> None:
    """Set what depends on progress: samples, and whether it stalled, resumed or waits."""
    operation = draft.operation
    has_ended = EndReason.from_remote(operation.status, operation.valid) is not None
    if draft.created or draft.has_changed(SAMPLED_FIELDS):
        counters = (operation.count_completed, operation.count_total)
        draft.is_sampled = counters != (None, None)
    # After the end, every start of a server or import rewrites `_updatedAt` and `valid`.
    if draft.has_changed(REMOTE_FIELDS if draft.was_active else PROGRESS_FIELDS):
        draft.set("last_seen_at", snapshot.at)
    if draft.has_changed(PROGRESS_FIELDS):
        draft.set("last_progress_at", snapshot.at)
        draft.set("watched_at_progress", snapshot.watched)
        draft.set("waiting_since", None)
        if operation.stalled_since and is_newest and not has_ended:
            resumed = draft.add_transition(Reason.RESUMED, snapshot.at)
            draft.events.append(ChangeEvent(Event.RESUMED, resumed))
        draft.set("stalled_since", None)
    if has_ended or not is_newest:
        # An alert about the end makes one about resuming pointless.
        draft.set("stalled_since", None)
        draft.set("waiting_since", None)
        draft.set("rate", None)
        return
    stalled_after = options.stalled_after.get(operation.state)
    if stalled_after is not None:
        idle_for = snapshot.watched - operation.watched_at_progress
        if not operation.stalled_since and idle_for >= stalled_after:
            draft.set("stalled_since", operation.last_progress_at)
            stalled = draft.add_transition(Reason.STALLED, snapshot.at)
            draft.events.append(ChangeEvent(Event.STALLED, stalled))
        return
    # People forget by the clock, whether anything was polled or not.
    is_waiting = operation.status in states.RESTING_STEPS and operation.finished_at is None
    idle_for = snapshot.at - operation.last_progress_at
    if is_waiting and not operation.waiting_since and idle_for >= options.waiting_after:
        draft.set("waiting_since", operation.last_progress_at)
        draft.events.append(ChangeEvent(Event.WAITING, None))


def _is_older(stored: ImportOperation | Operation, received: Operation) -> bool:
    """Return whether what was received is an earlier version of an operation than `stored`."""
    stored_at, received_at = stored.remote_updated_at, received.remote_updated_at
    if stored_at and received_at and stored_at != received_at:
        # `valid` only ever turns false. When it has, the news is real, even if the server that
        # wrote it (each of several stamps with its own clock) is a little behind.
        invalidated = stored.valid is not False and received.valid is False
        return received_at < stored_at and not invalidated
    stored_rank, received_rank = states.rank(stored.status), states.rank(received.status)
    if stored_rank is None or received_rank is None:
        return False
    return received_rank < stored_rank
