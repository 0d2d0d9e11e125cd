"""Whether an operation stalled, resumed or waits, and what else depends on its progress."""

from datetime import timedelta

from importmonitor.choices import Event
from importmonitor.conf.options import Options
from importmonitor.models import StatusTransition
from importmonitor.rocketchat import states
from importmonitor.sync.change import (
    PROGRESS_FIELDS,
    REMOTE_FIELDS,
    SAMPLED_FIELDS,
    Change,
    ChangeEvent,
    Snapshot,
)

Reason = StatusTransition.Reason


def track_progress(
    draft: Change, is_current: bool, has_ended: bool, snapshot: Snapshot, options: Options
) -> None:
    """Set what depends on progress: samples, and whether it stalled, resumed or waits."""
    operation, watched = draft.operation, snapshot.workspace.watched
    if draft.created or draft.has_changed(SAMPLED_FIELDS):
        counters = (operation.count_completed, operation.count_total)
        draft.is_sampled = counters != (None, None)
    # After the end, every start of a server or import rewrites `_updatedAt` and `valid`.
    if draft.has_changed(REMOTE_FIELDS if draft.was_active else PROGRESS_FIELDS):
        draft.set("last_seen_at", snapshot.at)
    if draft.has_changed(PROGRESS_FIELDS):
        draft.set("waiting_since", None)
        if operation.stalled_since and is_current and not has_ended:
            resumed = draft.add_transition(Reason.RESUMED, snapshot.at)
            draft.events.append(ChangeEvent(Event.RESUMED, resumed))
        draft.set("stalled_since", None)
    if has_ended or not is_current:
        # An alert about the end makes one about resuming pointless.
        draft.set("stalled_since", None)
        draft.set("waiting_since", None)
        draft.set("rate", None)
        return
    _track_duration(draft, snapshot)
    stalled_after = options.stalled_after.threshold(
        operation.importer_key, operation.status, operation.rate
    )
    if stalled_after is not None:
        idle_for = watched - operation.watched_at_progress
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


def _track_duration(draft: Change, snapshot: Snapshot) -> None:
    """Note when a current operation has taken unusually long; waiting for input does not count."""
    operation, at = draft.operation, snapshot.at
    limit = operation.unusual_at
    if limit is None:
        return
    step_before, _now = draft.updated.get("status", (operation.status, None))
    if step_before in states.RESTING_STEPS:
        # It may go on to wait for something else.
        began, _now = draft.updated.get("last_progress_at", (at, None))
        limit += max(at - began, timedelta(0))
        draft.set("unusual_at", limit)
    if operation.status not in states.RESTING_STEPS and limit <= at:
        draft.set("unusual_at", None)
        draft.events.append(ChangeEvent(Event.UNUSUAL, None))
