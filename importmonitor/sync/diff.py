"""What a poll changes in a workspace's rows: compared in memory, nothing written."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from importmonitor.choices import Event
from importmonitor.conf.options import Options
from importmonitor.models import EndReason, ImportOperation, StatusTransition
from importmonitor.models.outcomes import PREMATURE_ENDS
from importmonitor.rocketchat import states
from importmonitor.rocketchat.counters import users_counted_twice
from importmonitor.rocketchat.operation import Operation
from importmonitor.rocketchat.states import ImportState
from importmonitor.sync.change import (
    PROGRESS_FIELDS,
    REMOTE_FIELDS,
    Change,
    ChangeEvent,
    Snapshot,
)
from importmonitor.sync.ends import Evidence, end_reason, ended_at
from importmonitor.sync.stalls import track_progress

Reason = StatusTransition.Reason

_TRANSITION_REASONS = {
    EndReason.INTERRUPTED: Reason.INVALIDATED,
    EndReason.SUPERSEDED: Reason.SUPERSEDED,
}
_END_EVENTS = {EndReason.FAILED: Event.FAILED, EndReason.INTERRUPTED: Event.INTERRUPTED}

# A response that was under way before another poll's can arrive after it, at most that much later.
_MAX_DELAY = timedelta(minutes=1)


def diff(
    snapshot: Snapshot, stored: Sequence[ImportOperation], options: Options
) -> tuple[ImportOperation | None, list[Change]]:
    """Return the current operation as it will be, and what a snapshot changes.

    `stored` are the workspace's rows that the snapshot can change: those with an id in it, all
    that have not ended, and the one that was current before. They are modified in place.
    """
    drafts = {row.remote_id: Change(row, created=False) for row in stored}
    received = snapshot.operations
    # Oldest first: so operations that started at the same time are inserted in their order.
    for remote_id, operation in reversed(received.items()):
        if remote_id not in drafts and not _was_pruned(operation, snapshot):
            drafts[remote_id] = Change(_new_operation(snapshot, operation), created=True)
        draft = drafts.get(remote_id)
        if draft and (draft.created or not _is_stale(draft.operation, operation, snapshot)):
            _apply(draft, operation, snapshot)
    current_id = snapshot.current.remote_id if snapshot.current else None
    ordered = sorted(
        drafts.values(),
        key=lambda draft: (draft.operation.started_at, draft.operation.remote_id == current_id),
    )
    current = drafts[current_id].operation if current_id is not None else None
    successors = [*(draft.operation for draft in ordered[1:]), None]
    for draft, successor in zip(ordered, successors, strict=False):
        remote_id = draft.operation.remote_id
        if not draft.operation.gone_at and _is_gone(draft.operation, snapshot):
            draft.set("gone_at", snapshot.at)
        evidence = Evidence(
            at=snapshot.at,
            is_current=remote_id == current_id,
            is_listed=remote_id in received,
            has_list=snapshot.has_list,
            list_refused=bool(snapshot.workspace.list_refused),
            successor=successor,
            offset=snapshot.offset,
            unended_at=_unended_at(draft, snapshot),
        )
        reason = end_reason(draft.operation, evidence)
        _close(draft, reason, evidence, snapshot)
        track_progress(draft, evidence.is_current, reason is not None, snapshot, options)
        _name_user(draft, snapshot)
        # Not for a mere change of `valid`: what happens after the end does not change what it was.
        if draft.created or draft.has_changed((*PROGRESS_FIELDS, "end_reason", "users_twice")):
            draft.set("outcome", draft.operation.end_outcome())
    return current, [draft for draft in ordered if draft.created or draft.updated]


def _name_user(draft: Change, snapshot: Snapshot) -> None:
    """Set the name of the user who started an operation, if it is known now."""
    operation = draft.operation
    if not draft.created and "remote_user_id" in draft.updated:
        draft.set("remote_user_name", None)
    if operation.remote_user_name is None:
        draft.set("remote_user_name", snapshot.user_names.get(operation.remote_user_id))


def _was_pruned(received: Operation, snapshot: Snapshot) -> bool:
    if snapshot.pruned_before is None or received is snapshot.current:
        return False
    started = received.remote_started_at
    has_ended = received.status in states.ENDS or received.valid is False
    return has_ended and started is not None and started < snapshot.pruned_before


def _is_gone(operation: ImportOperation, snapshot: Snapshot) -> bool:
    """Return whether Rocket.Chat no longer has an operation.

    It names the one with the greatest `ts`, where MongoDB sorts numbers, of up to 6.2, before
    dates: what was created after the one that it names was deleted.
    """
    if operation.remote_id in snapshot.operations:
        return False
    current, created = snapshot.current, operation.remote_started_at
    if snapshot.is_complete or current is None:
        return True
    if current.remote_started_at is None or created is None:
        return False
    return operation.is_legacy == current.is_legacy and created > current.remote_started_at


def _new_operation(snapshot: Snapshot, received: Operation) -> ImportOperation:
    return ImportOperation(
        workspace=snapshot.workspace.alias,
        started_at=_started_at(received, snapshot, snapshot.at),
        first_seen_at=snapshot.at,
        last_seen_at=snapshot.at,
        last_progress_at=snapshot.at,
        modified_at=snapshot.at,
        watched_at_progress=snapshot.workspace.watched,
    )


def _started_at(received: Operation, snapshot: Snapshot, first_seen_at: datetime) -> datetime:
    """Return when an operation was created, by our clock: at the latest when it was first seen."""
    if received.remote_started_at is None:
        return first_seen_at
    return min(received.remote_started_at - snapshot.offset, first_seen_at)


def _apply(draft: Change, received: Operation, snapshot: Snapshot) -> None:
    """Set the fields to what was received."""
    operation = draft.operation
    had_started_at = operation.remote_started_at
    for name in REMOTE_FIELDS:
        draft.set(name, getattr(received, name))
    draft.set("gone_at", None)
    if not draft.created and not draft.updated:
        return
    draft.set("state", received.state.value)
    if not draft.created and received.remote_started_at != had_started_at:
        draft.set("started_at", _started_at(received, snapshot, operation.first_seen_at))
    twice = False if received.is_legacy else _users_twice(operation)
    if twice is not None:
        draft.set("users_twice", twice)
    elif operation.users_twice is None:
        draft.set("users_twice", snapshot.workspace.users_twice)
    if draft.has_changed(PROGRESS_FIELDS):
        draft.set("last_progress_at", snapshot.at)
        draft.set("watched_at_progress", snapshot.workspace.watched)
    is_running = (draft.created or draft.was_active) and operation.status not in states.ENDS
    if operation.valid is False and is_running and operation.invalidated_at is None:
        draft.set("invalidated_at", snapshot.at)


def _users_twice(operation: ImportOperation) -> bool | None:
    return users_counted_twice(
        operation.importer_key,
        operation.status,
        handled=operation.progress.handled,
        users=operation.count_users,
        channels=operation.count_channels,
        total=operation.count_total,
    )


def _unended_at(draft: Change, snapshot: Snapshot) -> datetime | None:
    """Return when an operation was last known not to have ended; None if it is new."""
    operation = draft.operation
    if draft.created:
        return None
    was_current = operation.pk == snapshot.workspace.current_operation_id
    if was_current and operation.finished_at is None and snapshot.synced_at is not None:
        return max(operation.last_seen_at, snapshot.synced_at)
    return operation.last_seen_at


def _close(draft: Change, reason: EndReason | None, evidence: Evidence, snapshot: Snapshot) -> None:
    """Add an operation's transition, its end, and their events."""
    operation = draft.operation
    if operation.finished_at is not None and operation.end_reason in PREMATURE_ENDS:
        _revise(draft, reason, evidence, snapshot)
    elif draft.was_active:
        _close_active(draft, reason, evidence, snapshot)
    elif "status" in draft.updated:
        # It had ended. `finished_at` stays what it was, and a mere change of `valid` or
        # `_updatedAt`, which every start of a server rewrites in bulk, is no event.
        left_an_end = draft.from_status in states.ENDS and operation.status not in states.ENDS
        # Reopened, it waits. It can only be importing because it was run again.
        is_running = states.state_of(operation.status, None) == ImportState.IMPORTING
        transition_reason = Reason.REOPENED if left_an_end else Reason.REMOTE
        if is_running and reason in _TRANSITION_REASONS:
            transition_reason = _TRANSITION_REASONS[reason]
        transition = draft.add_transition(transition_reason, snapshot.at)
        if reason and (is_running or reason not in _TRANSITION_REASONS):
            _set_reason(draft, reason, transition)


def _close_active(
    draft: Change, reason: EndReason | None, evidence: Evidence, snapshot: Snapshot
) -> None:
    operation = draft.operation
    before = operation.end_reason
    moved = draft.created or draft.has_changed(("status", "state"))
    if not moved and (reason is None or reason == before):
        return
    transition_reason = _TRANSITION_REASONS.get(reason, Reason.REMOTE) if reason else Reason.REMOTE
    if reason and operation.gone_at == snapshot.at:
        transition_reason = Reason.GONE
    transition = draft.add_transition(transition_reason, snapshot.at)
    if reason and operation.finished_at is None:
        draft.set("finished_at", ended_at(operation, reason, evidence))
    is_past = snapshot.known_since is None or operation.started_at < snapshot.known_since
    if draft.created and is_past:
        # It started before the workspace was monitored: history, and no reason for an alert.
        if reason:
            draft.set("end_reason", reason.value)
        return
    if reason:
        _set_reason(draft, reason, transition)
    elif draft.created:
        draft.events.append(ChangeEvent(Event.STARTED, transition))


def _revise(
    draft: Change, reason: EndReason | None, evidence: Evidence, snapshot: Snapshot
) -> None:
    """Correct an end that was concluded before Rocket.Chat wrote one."""
    operation = draft.operation
    before = EndReason(operation.end_reason)
    if reason is None:
        # It moves after all. Its real end is yet to come, and will be the one that counts.
        draft.add_transition(Reason.CONTINUED, snapshot.at)
        draft.set("finished_at", None)
        draft.set("end_reason", "")
        return
    if reason == before:
        if "status" in draft.updated:
            draft.add_transition(Reason.REMOTE, snapshot.at)
        return
    transition = draft.add_transition(_TRANSITION_REASONS.get(reason, Reason.REMOTE), snapshot.at)
    if reason == EndReason.SUPERSEDED:
        # The same end, and now it is known why: `sync.alerts` corrects an alert that is not sent.
        draft.set("end_reason", reason.value)
        draft.superseded_by = transition
        return
    draft.set("finished_at", ended_at(operation, reason, evidence))
    _set_reason(draft, reason, transition, is_correction=True)


def _set_reason(
    draft: Change,
    reason: EndReason,
    transition: StatusTransition,
    *,
    is_correction: bool = False,
) -> None:
    """Set why an operation ended, and add the event unless it was reported before."""
    before = draft.operation.end_reason
    draft.set("end_reason", reason.value)
    is_news = is_correction or not before or end_event(reason) != end_event(before)
    if is_news:
        draft.events.append(ChangeEvent(end_event(reason), transition))


def end_event(reason: EndReason | str) -> Event:
    """Return the event of an end with this reason."""
    return _END_EVENTS.get(EndReason(reason), Event.FINISHED)


def _is_stale(stored: ImportOperation, received: Operation, snapshot: Snapshot) -> bool:
    """Return whether what was received is an earlier version of an operation than `stored`.

    `_updatedAt` alone does not show that: Rocket.Chat's clock can be stepped back. Polls are
    serialized by the lease, so only what was written just now can be overtaken; and `valid` only
    ever turns false.
    """
    stored_at, received_at = stored.remote_updated_at, received.remote_updated_at
    if snapshot.at - stored.last_seen_at > _MAX_DELAY:
        return False
    if stored_at is None or received_at is None or received_at >= stored_at:
        return False
    if received.valid is False and stored.valid is not False:
        return False
    before, after = _position(stored), _position(received)
    return after != before and all(new <= old for new, old in zip(after, before, strict=True))


def _position(operation: ImportOperation | Operation) -> tuple[int, int]:
    """Return how far an operation has come: its step, and the records that were handled."""
    rank = states.rank(operation.status)
    handled = (operation.count_completed or 0) + (operation.count_error or 0)
    return -1 if rank is None else rank, handled
