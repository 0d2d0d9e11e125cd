"""What a poll received, and what it changes: in memory, nothing written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from importmonitor.choices import Event
from importmonitor.models import ImportOperation, StatusTransition, Workspace
from importmonitor.rocketchat.operation import COUNTS, Operation

REMOTE_FIELDS = tuple(remote_field.name for remote_field in fields(Operation))
COUNT_FIELDS = tuple(f"count_{name}" for name in COUNTS)
PROGRESS_FIELDS = ("status", *COUNT_FIELDS)
SAMPLED_FIELDS = ("count_completed", "count_error", "count_total")


#: Rocket.Chat's list of operations is complete if it has fewer.
MAX_LISTED = 20


@dataclass(frozen=True)
class Snapshot:
    """A workspace's operations as Rocket.Chat returned them at a time.

    `workspace` is its row, as of this poll but for what the comparison decides; `synced_at` and
    `known_since` are the times of the last and the first successful poll before this one, None if
    there was none. `has_list` is whether the list of operations was received, and `latest` its
    content. Operations that started before `pruned_before` and are over were deleted on purpose.
    `user_names` are names by the ids of users who started operations.
    """

    workspace: Workspace
    at: datetime
    current: Operation | None
    latest: Sequence[Operation] = ()
    has_list: bool = False
    synced_at: datetime | None = None
    known_since: datetime | None = None
    pruned_before: datetime | None = None
    user_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_first(self) -> bool:
        """Whether no poll has succeeded before, so that nothing of the workspace is stored."""
        return self.synced_at is None

    @property
    def operations(self) -> dict[str, Operation]:
        """The latest version of each operation, by its id."""
        operations = {operation.remote_id: operation for operation in filter(None, [self.current])}
        # The list was requested after the current operation, and so its version is newer.
        return operations | {operation.remote_id: operation for operation in self.latest}

    @property
    def is_complete(self) -> bool:
        """Whether Rocket.Chat has no other operations than these."""
        return self.current is None or (self.has_list and len(self.latest) < MAX_LISTED)

    @property
    def offset(self) -> timedelta:
        """How far Rocket.Chat's clock is ahead of ours, as far as that is known."""
        return self.workspace.clock_offset or timedelta(0)


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
    #: The transition at which an interruption turned out to be a supersession.
    superseded_by: StatusTransition | None = None
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
