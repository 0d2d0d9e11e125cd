"""Whether an operation has ended, why, and when: what happened to its data, not a word for it.

Section 3 of the sheet of facts has the rules, which Rocket.Chat's own importers were seen to
follow (`tests/recordings`). `valid: false` with `importer_done` is both the resting state of an old
success and the end of every aborted import since 6.3.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from importmonitor.models import EndReason, ImportOperation
from importmonitor.models.outcomes import PREMATURE_ENDS
from importmonitor.rocketchat import states

#: Between invalidating the old operation and inserting the new one, Rocket.Chat deletes all staged
#: data, which takes long with 100,000 records.
SUPERSESSION_PAUSE = timedelta(minutes=2)
#: Pending files are done in Rocket.Chat's words while up to ten downloads are under way. They have
#: arrived when the counters are full, or have rested for this long.
SETTLING_TIME = timedelta(minutes=5)
#: Pending files and avatars do not notice that they are invalid, and count every 500th record. One
#: that was killed can only be recognized by its silence.
MAX_SILENCE = timedelta(hours=12)

# A response can be older than the poll's time by as long as the poll takes, and the clocks are
# compared by a header without fractions of seconds.
_MAX_ERROR = timedelta(minutes=1)

_END_REASONS = {
    states.DONE: EndReason.DONE,
    states.FAILED: EndReason.FAILED,
    states.CANCELLED: EndReason.CANCELED,
}


@dataclass(frozen=True)
class Evidence:
    """What a poll knows of an operation besides its row.

    Attributes:
        at: the time of the poll.
        is_current: whether Rocket.Chat called it current.
        is_listed: whether it was in a response of this poll.
        has_list: whether this poll has Rocket.Chat's list of operations.
        list_refused: whether Rocket.Chat refuses the list, so that nothing more can be known.
        successor: the operation that started next, if there is one.
        offset: how far Rocket.Chat's clock is ahead of ours.
        unended_at: when it was last known not to have ended; None if it is new.
    """

    at: datetime
    is_current: bool
    is_listed: bool
    has_list: bool
    list_refused: bool
    successor: ImportOperation | None
    offset: timedelta
    unended_at: datetime | None

    def remote_update(self, operation: ImportOperation) -> datetime:
        """Return when Rocket.Chat last wrote an operation, by our clock; if unknown, now."""
        if operation.remote_updated_at is None:
            return self.at
        return min(operation.remote_updated_at - self.offset, self.at)

    def silence(self, operation: ImportOperation) -> timedelta:
        """Return for how long neither the status nor a counter has changed."""
        is_new = self.unended_at is None
        return self.at - (self.remote_update(operation) if is_new else operation.last_progress_at)

    def is_silent(self, operation: ImportOperation) -> bool:
        """Return whether an operation has been silent for so long that it seems to be killed."""
        if operation.finished_at is not None and operation.end_reason in PREMATURE_ENDS:
            # That was concluded before. Only progress refutes it.
            return operation.last_progress_at < self.at
        if not self.is_current and not self.has_list:
            # Only the list would show that it moves.
            return False
        return self.silence(operation) >= MAX_SILENCE


def end_reason(operation: ImportOperation, evidence: Evidence) -> EndReason | None:
    """Return why an operation is over, None if it is not.

    `operation` has the values of this poll.
    """
    if operation.status in _END_REASONS:
        return _reason_of_end(operation, evidence)
    if operation.gone_at is not None:
        return _put_aside(operation, evidence)
    if operation.valid is False:
        return _reason_of_invalid(operation, evidence)
    return None if evidence.is_current else _reason_of_hidden(operation, evidence)


def _reason_of_end(operation: ImportOperation, evidence: Evidence) -> EndReason | None:
    reason = _END_REASONS[operation.status]
    was_aborted = operation.invalidated_at is not None and operation.stops_when_invalid
    if was_aborted and reason != EndReason.CANCELED:
        # Rocket.Chat noticed, skipped what was left, and wrote its usual word.
        return _put_aside(operation, evidence)
    is_settling = (
        operation.importer_key == "pending-files"
        and reason == EndReason.DONE
        and not operation.progress.is_full
        and evidence.silence(operation) < SETTLING_TIME
    )
    return None if is_settling else reason


def _reason_of_invalid(operation: ImportOperation, evidence: Evidence) -> EndReason | None:
    if operation.stops_when_invalid:
        return _put_aside(operation, evidence)
    if operation.is_pending_download:
        if evidence.list_refused and not evidence.is_current and operation.finished_at is None:
            # Only the list shows any operation but the current one.
            return EndReason.SUPERSEDED
        return EndReason.INTERRUPTED if evidence.is_silent(operation) else None
    if operation.end_reason == EndReason.SUPERSEDED:
        return EndReason.SUPERSEDED
    # Up to 6.2 only a server's start invalidates: that of this server, which killed the import, or
    # of another one, and then it runs on. What is only prepared cannot be continued any more.
    has_moved = operation.last_progress_at > (operation.invalidated_at or evidence.at)
    if has_moved and _is_importing(operation) and not evidence.is_silent(operation):
        return None
    return EndReason.INTERRUPTED


def _reason_of_hidden(operation: ImportOperation, evidence: Evidence) -> EndReason | None:
    """Return the end of an operation that is no longer current, and was valid when last shown."""
    if evidence.successor is None:
        # It started after the first response: the list has it, and it is current by now.
        return None
    if evidence.list_refused:
        # Only the list shows any operation but the current one.
        return EndReason.SUPERSEDED
    if not evidence.has_list:
        # The list, when it comes, will show its end. If it always fails, nothing will.
        is_long_hidden = evidence.at - evidence.successor.first_seen_at >= MAX_SILENCE
        return EndReason.SUPERSEDED if is_long_hidden else None
    if evidence.is_silent(operation) or operation.status in states.RESTING_STEPS:
        # Only the current operation can be continued.
        return EndReason.SUPERSEDED
    if evidence.is_listed:
        # It is still valid, and so runs on.
        return None
    # Twenty others were updated since: its end will not be known.
    return EndReason.SUPERSEDED if operation.stops_when_invalid else None


def _is_importing(operation: ImportOperation) -> bool:
    return states.state_of(operation.status, None) == states.ImportState.IMPORTING


def _put_aside(operation: ImportOperation, evidence: Evidence) -> EndReason:
    """Return whether an invalid operation was superseded by a newer one, or interrupted.

    Rocket.Chat does not say. A new operation follows its invalidation of the old one at once.
    """
    if operation.end_reason == EndReason.SUPERSEDED:
        return EndReason.SUPERSEDED
    successor = evidence.successor
    if successor is None or evidence.is_current:
        return EndReason.INTERRUPTED
    if operation.end_reason == EndReason.INTERRUPTED and operation.finished_at is not None:
        invalidated_at = operation.finished_at
    else:
        invalidated_at = _between(evidence.unended_at, evidence.remote_update(operation))
    was_soon = successor.started_at - invalidated_at <= SUPERSESSION_PAUSE
    return EndReason.SUPERSEDED if was_soon else EndReason.INTERRUPTED


def ended_at(operation: ImportOperation, reason: EndReason, evidence: Evidence) -> datetime:
    """Return when an operation ended, as exactly as possible: by the last write to it.

    The last write can be a server's start long after. It lies between the last time at which the
    operation was known not to have ended and now, or nothing better than now is known.
    """
    earliest = evidence.unended_at or operation.started_at
    moment, successor = evidence.remote_update(operation), evidence.successor
    if operation.is_pending_download and operation.gone_at is None:
        # It was known not to have ended, and has: its last files arrived before, or it was killed.
        earliest = operation.started_at
        moment = min(moment, max(operation.last_progress_at, earliest))
    elif (
        successor is not None
        and not evidence.is_current
        and (operation.stops_when_invalid or operation.status in states.RESTING_STEPS)
    ):
        # Rocket.Chat runs one import at a time: it was over when the next one started.
        is_superseded = reason == EndReason.SUPERSEDED
        moment = successor.started_at if is_superseded else min(moment, successor.started_at)
    if earliest - _MAX_ERROR <= moment <= evidence.at:
        return max(moment, earliest)
    return evidence.at


def may_be_superseded(operation: ImportOperation, at: datetime) -> bool:
    """Return whether an interruption is so recent that it can turn out to be a supersession."""
    if operation.outcome != EndReason.INTERRUPTED or operation.finished_at is None:
        return False
    return operation.gone_at is None and at - operation.finished_at < SUPERSESSION_PAUSE


def may_run_on(operation: ImportOperation, at: datetime) -> bool:
    """Return whether an operation that is no longer current may still come to an end.

    Up to 6.2 also one that another server's start made invalid.
    """
    if operation.finished_at is None:
        return True
    if operation.end_reason != EndReason.INTERRUPTED or operation.gone_at is not None:
        return False
    was_silent = at - operation.last_progress_at >= MAX_SILENCE
    return operation.is_legacy and _is_importing(operation) and not was_silent


def is_settled(operation: ImportOperation | None, at: datetime) -> bool:
    """Return whether the current operation has ended, and that is certain."""
    if operation is None:
        return True
    return not operation.is_active and not may_be_superseded(operation, at)


def _between(earliest: datetime | None, moment: datetime) -> datetime:
    return moment if earliest is None else max(earliest, moment)
