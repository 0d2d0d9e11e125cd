"""What a look at a workspace changes in its rows: compared in memory, nothing written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from importmonitor import outcomes
from importmonitor.events import Event
from importmonitor.models import EndReason, ImportOperation, StatusTransition
from importmonitor.options import Options
from importmonitor.rocketchat import states
from importmonitor.rocketchat.operation import COUNTS, Operation
from importmonitor.rocketchat.states import ImportState

REMOTE_FIELDS = tuple(each.name for each in fields(Operation))
COUNT_FIELDS = tuple(f"count_{name}" for name in COUNTS)
PROGRESS_FIELDS = ("status", *COUNT_FIELDS)
SAMPLED_FIELDS = ("count_completed", "count_error", "count_total")
WAITING_STATES = ("new", "ready")

Reason = StatusTransition.Reason

_WHY = {EndReason.INTERRUPTED: Reason.INVALIDATED, EndReason.SUPERSEDED: Reason.SUPERSEDED}
_TOLD = {EndReason.FAILED: Event.FAILED, EndReason.INTERRUPTED: Event.INTERRUPTED}


@dataclass(frozen=True)
class Look:
    """What was seen of a workspace at a time.

    `listed` tells whether Rocket.Chat's list was asked for, and `latest` is what it held: nothing,
    where it was refused. `watched` is for how long the workspace has been watched in all;
    `known_since` is when it was first looked at, None when that is now; what began before
    `pruned_before` and is over was deleted on purpose.
    """

    workspace: str
    at: datetime
    current: Operation | None
    latest: Sequence[Operation] = ()
    listed: bool = False
    watched: timedelta = timedelta(0)
    known_since: datetime | None = None
    pruned_before: datetime | None = None

    @property
    def snapshots(self) -> dict[str, Operation]:
        """The operations that were seen, each as it was last seen, by id."""
        seen: dict[str, Operation] = {}
        # The list was asked for after the current one, and so comes second.
        for each in (*filter(None, [self.current]), *self.latest):
            before = seen.get(each.remote_id)
            if before is None or not _is_older(before, each):
                seen[each.remote_id] = each
        return seen


class Told(NamedTuple):
    """An event of an operation, and the transition that it tells of, if there is one."""

    event: Event
    transition: StatusTransition | None


@dataclass
class Change:
    """An operation with its new values, not yet saved, and the rows that go with them.

    `updated` holds the changed fields, each with its old and its new value; for an operation that
    was not known, those that are not empty, from None. `is_sampled` is whether its counters, as
    they are now, are a sample.
    """

    operation: ImportOperation
    created: bool
    updated: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    transitions: list[StatusTransition] = field(default_factory=list)
    is_sampled: bool = False
    events: list[Told] = field(default_factory=list)
    from_status: str = field(init=False)
    from_state: str = field(init=False)
    #: Whether it had not ended, or had been opened again and was at work.
    was_going: bool = field(init=False)

    def __post_init__(self) -> None:
        operation = self.operation
        self.from_status, self.from_state = operation.status, operation.state
        self.was_going = outcomes.is_active(operation)

    def set(self, name: str, value: Any) -> None:
        """Give a field of the operation another value, and remember the one that it had."""
        old = getattr(self.operation, name)
        if old != value:
            setattr(self.operation, name, value)
            first = self.updated[name][0] if name in self.updated else old
            self.updated[name] = (None if self.created else first, value)

    def moved(self, names: Iterable[str]) -> bool:
        """Tell whether one of these fields has another value than before."""
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
        # What comes after it begins where it ended.
        self.from_status, self.from_state = operation.status, operation.state
        return transition


def compare(
    look: Look, stored: Sequence[ImportOperation], options: Options
) -> tuple[ImportOperation | None, list[Change]]:
    """Return the current operation as it will be, and what a look changes.

    `stored` are the workspace's rows that the look can touch: those with an id in it, all that
    are open, and the newest; they are changed in place.
    """
    drafts = {row.remote_id: Change(row, created=False) for row in stored}
    # The oldest first: of several that started at once, the order in which they are kept.
    for remote_id, received in reversed(look.snapshots.items()):
        if remote_id not in drafts and not _was_pruned(received, look):
            drafts[remote_id] = Change(_unknown(look, received), created=True)
        draft = drafts.get(remote_id)
        if draft and (draft.created or not _is_older(draft.operation, received)):
            _receive(draft, received, look.at)
    # By Rocket.Chat's own rule, and not by what came last: a look can be late. Of two that
    # started at once, the one that was received should be the current one.
    current_id = look.current.remote_id if look.current else ""
    ordered = sorted(
        drafts.values(),
        key=lambda draft: (draft.operation.started_at, draft.operation.remote_id == current_id),
    )
    newest = ordered[-1].operation if ordered and look.current else None
    following = [*(draft.operation for draft in ordered[1:]), None]
    for draft, successor in zip(ordered, following, strict=False):
        is_newest = draft.operation is newest
        _conclude(draft, None if is_newest else successor, is_newest, look)
        _follow(draft, is_newest, look, options)
    return newest, [draft for draft in ordered if draft.created or draft.updated]


def _was_pruned(received: Operation, look: Look) -> bool:
    if look.pruned_before is None or received is look.current:
        return False
    started = received.remote_started_at
    ended = outcomes.end_reason(received.status, received.valid)
    return ended is not None and started is not None and started < look.pruned_before


def _unknown(look: Look, received: Operation) -> ImportOperation:
    return ImportOperation(
        workspace=look.workspace,
        started_at=received.remote_started_at or look.at,
        first_seen_at=look.at,
        last_seen_at=look.at,
        last_progress_at=look.at,
        modified_at=look.at,
        watched_at_progress=look.watched,
    )


def _receive(draft: Change, received: Operation, at: datetime) -> None:
    """Take over what was received."""
    for name in REMOTE_FIELDS:
        draft.set(name, getattr(received, name))
    if draft.created or draft.updated:
        draft.set("state", received.state.value)
        draft.set("started_at", received.remote_started_at or draft.operation.first_seen_at)


def _conclude(
    draft: Change, successor: ImportOperation | None, is_newest: bool, look: Look
) -> None:
    """Tell what became of an operation: its transition, its end, and what is worth a message."""
    operation = draft.operation
    reason = outcomes.end_reason(operation.status, operation.valid)
    if not is_newest and reason in (None, EndReason.INTERRUPTED):
        # A new import makes all others invalid as a restart does; there it is, so it was that.
        reason = EndReason.SUPERSEDED
    if draft.was_going:
        _conclude_going(draft, reason, successor, look)
    elif "status" in draft.updated:
        # It had ended. `finished_at` stays what it was, and a mere `valid` or `_updatedAt`, which
        # every start of a server rewrites in bulk, is no event at all.
        left_an_end = draft.from_status in states.ENDS and operation.status not in states.ENDS
        # Opened again it waits. It can only be importing because it was run again.
        ran = states.state_of(operation.status, None) == ImportState.IMPORTING
        before = operation.end_reason
        why = Reason.REOPENED if left_an_end else Reason.REMOTE
        if ran and reason in _WHY and reason != before:
            why = _WHY[reason]
        transition = draft.add_transition(why, look.at)
        if reason and (ran or reason not in _WHY):
            draft.set("end_reason", reason.value)
            if _told(reason) != _told(before):
                draft.events.append(Told(_told(reason), transition))


def _conclude_going(
    draft: Change, reason: EndReason | None, successor: ImportOperation | None, look: Look
) -> None:
    operation = draft.operation
    had_ended, before = operation.finished_at is not None, operation.end_reason
    moved = draft.created or draft.moved(("status", "state"))
    if not moved and (reason is None or reason == before):
        return
    why = _WHY.get(reason, Reason.REMOTE) if reason else Reason.REMOTE
    transition = draft.add_transition(why, look.at)
    if reason:
        if not had_ended:
            draft.set("finished_at", _ended_at(draft, reason, successor, look.at))
        draft.set("end_reason", reason.value)
    quiet = look.known_since is None or operation.started_at < look.known_since
    if draft.created and quiet:
        # It began before anybody looked: the past, of which nobody is to be told.
        return
    if reason and not (had_ended and _told(reason) == _told(before)):
        draft.events.append(Told(_told(reason), transition))
    elif draft.created:
        draft.events.append(Told(Event.STARTED, transition))


def _told(reason: EndReason | str) -> Event:
    return _TOLD.get(EndReason(reason), Event.FINISHED)


def _ended_at(
    draft: Change, reason: EndReason, successor: ImportOperation | None, now: datetime
) -> datetime:
    """Return when an operation ended, as exactly as can be told: by what wrote to it last.

    What was written last can be a server's start long after. But Rocket.Chat runs one import at a
    time: it was over when the next began.
    """
    operation = draft.operation
    earliest = operation.started_at if draft.created else operation.last_seen_at
    began = successor.started_at if successor else None
    touched = operation.remote_updated_at if reason != EndReason.SUPERSEDED else None
    evidence = min(filter(None, (touched, began)), default=now)
    return evidence if earliest <= evidence <= now else now


def _follow(draft: Change, is_newest: bool, look: Look, options: Options) -> None:
    """Tell whether an operation moves: samples, and whether it stalled, resumed or waits."""
    operation = draft.operation
    going = is_newest and outcomes.end_reason(operation.status, operation.valid) is None
    if draft.created or draft.moved(SAMPLED_FIELDS):
        counted = (operation.count_completed, operation.count_total)
        draft.is_sampled = counted != (None, None)
    # Of what is over, `_updatedAt` and `valid` are rewritten by every start of a server or import.
    if draft.moved(REMOTE_FIELDS if draft.was_going else PROGRESS_FIELDS):
        draft.set("last_seen_at", look.at)
    if draft.moved(PROGRESS_FIELDS):
        draft.set("last_progress_at", look.at)
        draft.set("watched_at_progress", look.watched)
        draft.set("waiting_since", None)
        if operation.stalled_since and going:
            resumed = draft.add_transition(Reason.RESUMED, look.at)
            draft.events.append(Told(Event.RESUMED, resumed))
        draft.set("stalled_since", None)
    if not going:
        # Told of its end, nobody wants to hear that it moves.
        draft.set("stalled_since", None)
        draft.set("waiting_since", None)
        draft.set("rate", None)
        return
    stalled_after = options.stalled_after.get(operation.state)
    if stalled_after is not None:
        unmoved_for = look.watched - operation.watched_at_progress
        if not operation.stalled_since and unmoved_for >= stalled_after:
            draft.set("stalled_since", operation.last_progress_at)
            draft.events.append(Told(Event.STALLED, draft.add_transition(Reason.STALLED, look.at)))
        return
    # People forget by the clock, whether anybody looked or not.
    waits = operation.state in WAITING_STATES and operation.finished_at is None
    unmoved_for = look.at - operation.last_progress_at
    if waits and not operation.waiting_since and unmoved_for >= options.waiting_after:
        draft.set("waiting_since", operation.last_progress_at)
        draft.events.append(Told(Event.WAITING, None))


def _is_older(stored: ImportOperation | Operation, received: Operation) -> bool:
    """Tell whether a snapshot shows an operation as it was before what is known of it."""
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
