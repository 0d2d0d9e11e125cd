"""What an operation's row means to people: pure functions, no queries."""

from datetime import datetime, timedelta

from importmonitor.models import EndReason, ImportOperation, Outcome
from importmonitor.options import ACTIVE
from importmonitor.rocketchat import states

#: The outcomes after which somebody should look.
TROUBLE = frozenset({Outcome.FAILED, Outcome.INTERRUPTED})

_ENDS = {
    states.DONE: EndReason.DONE,
    states.FAILED: EndReason.FAILED,
    states.CANCELLED: EndReason.CANCELED,
}

#: In seconds, a year: longer than any import, and what is longer was no estimate.
_LONGEST_LEFT = 365 * 86_400.0


def end_reason(status: str, valid: bool | None) -> EndReason | None:
    """Return why an operation of this status and `valid` is over, or None while it is not.

    Not `valid` and in the middle of its steps, it was interrupted: nothing in Rocket.Chat will
    move it again, though its page goes on showing a progress bar.
    """
    if status in _ENDS:
        return _ENDS[status]
    return EndReason.INTERRUPTED if valid is False else None


def is_active(operation: ImportOperation) -> bool:
    """Tell whether more is to be expected of an operation: it runs, or waits for somebody.

    That can be so after its end: Rocket.Chat's prepare page opens it again. While only that page
    was opened, it waits for nobody.
    """
    if end_reason(operation.status, operation.valid):
        return False
    if operation.finished_at is None:
        return True
    # What a newer import hid may have been at work when it was last seen.
    return operation.state in ACTIVE and operation.end_reason != EndReason.SUPERSEDED


def outcome(operation: ImportOperation) -> Outcome | None:
    """Return how an operation ended, or None while it has not."""
    if not operation.end_reason:
        return None
    if operation.end_reason == EndReason.DONE:
        if (operation.count_error or 0) > 0:
            return Outcome.DONE_WITH_ERRORS
        total, completed = operation.count_total, operation.count_completed
        if total is not None and completed is not None and completed < total:
            return Outcome.DONE_SHORT
    return Outcome(operation.end_reason)


def present_outcome(operation: ImportOperation) -> Outcome | None:
    """Return how an operation ended, or None while it runs, be it for a second time."""
    return None if is_active(operation) else outcome(operation)


def percent(operation: ImportOperation) -> int | None:
    """Return how much is completed, 0 to 100, or None where that cannot be said.

    Rounded down, so that 100 means all; clamped, since Rocket.Chat can count 179 of 135.
    """
    total, completed = operation.count_total, operation.count_completed
    if total is None or completed is None or total <= 0:
        return None
    return max(0, min(100, completed * 100 // total))


def duration(operation: ImportOperation, now: datetime) -> timedelta:
    """Return how long an operation took, or has been taking; never less than nothing."""
    return max((operation.finished_at or now) - operation.started_at, timedelta(0))


def time_left(operation: ImportOperation, now: datetime) -> timedelta | None:
    """Return how long an operation will yet take, or None where that cannot be said.

    From its rate at its last progress; once that time is over, there is nothing to say any more.
    """
    total, completed = operation.count_total, operation.count_completed
    if operation.rate is None or total is None or completed is None or stalled(operation):
        return None
    remaining = total - completed - (operation.count_error or 0)
    seconds = remaining / operation.rate - (now - operation.last_progress_at).total_seconds()
    return timedelta(seconds=seconds) if 0 < seconds < _LONGEST_LEFT else None


def stalled(operation: ImportOperation) -> bool:
    """Tell whether an operation that should be moving is not."""
    return operation.stalled_since is not None


def file_name(operation: ImportOperation) -> str:
    """Return the file's own name, without what Rocket.Chat puts before it (`…_<user id>_`)."""
    if operation.remote_user_id:
        _prefix, found, own = operation.file.partition(f"_{operation.remote_user_id}_")
        if found and own:
            return own
    return operation.file
