"""The operations of a workspace, which change with the clock, and the log of their changes."""

import heapq
import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from simulator import kinds
from simulator.clock import Clock, to_iso, to_milliseconds, whole_milliseconds
from simulator.imports import Event

# Meteor's Random.id() leaves out letters and digits that are easily confused.
_ID_CHARACTERS = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz"
_USER_IDS = ("d26x6zSkaPSe5gCyy", "Hb7kQm3ZtYwN9xRfs", "qW4eRt8yKpLs2dFgh")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event, and the operation right after it.

    Attributes:
        at: the time of the event, in whole milliseconds.
        event: `started`, `placed`, `moved` (an import's own write), `selected`, `cancelled`,
            `prepared`, `invalidated`; without an operation: `restarted`, `cleared`.
        operation_id: its `_id`; None if the event concerns the workspace.
        status: its raw step.
        valid: its `valid`.
        count: its counters.
    """

    at: datetime
    event: str
    operation_id: str | None = None
    status: str | None = None
    valid: bool | None = None
    count: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Operation:
    """One operation: its document, and its future events.

    Attributes:
        document: what Rocket.Chat stores of it.
        created_at: the key of the current operation, which has the greatest.
        updated_at: the sort key of the latest operations.
        upload: the fields that the upload adds to the document.
        pending: its scheduled events, with their times.
        rest: the events after a selection.
        number: the number of imports started before it; None if it was put in as it is.
    """

    document: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    upload: Mapping[str, str] = field(default_factory=dict)
    pending: deque[tuple[datetime, Event]] = field(default_factory=deque)
    rest: tuple[Event, ...] = ()
    number: int | None = None

    @property
    def status(self) -> object:
        """The document's raw step; None if it has none."""
        return self.document.get("status")

    @property
    def count(self) -> dict[str, Any]:
        """The document's counters; empty if it has none."""
        count = self.document.get("count")
        return count if isinstance(count, dict) else {}

    def events_after_selection(self) -> list[Event]:
        """Return the events that a selection now causes.

        Rocket.Chat adds to the counters of the record, also when it imports for a second time.
        """
        counted = {key: self.count.get(key, 0) for key in ("completed", "error")}
        return [
            replace(event, count={key: n + counted.get(key, 0) for key, n in event.count.items()})
            for event in self.rest
        ]

    def write(self, at: datetime, fields: Mapping[str, Any]) -> None:
        """Set fields of the document, and its `_updatedAt` as every write does."""
        self.document.update(fields)
        self.document["_updatedAt"] = to_iso(at)
        self.updated_at = at


def new_operation(
    kind: kinds.Kind,
    at: datetime,
    rng: random.Random,
    *,
    user: str | None,
    file_name: str | None,
    hex_id: bool,
    iso_ts: bool,
) -> Operation:
    """Return an operation that has just been started; see `Workspace`."""
    # Always drawn, so that the numbers that follow do not depend on `user`.
    random_user = rng.choice(_USER_IDS)
    user = user or random_user
    document = {
        "_id": f"{rng.getrandbits(96):024x}"
        if hex_id
        else "".join(rng.choices(_ID_CHARACTERS, k=17)),
        "type": kind.label,
        "importerKey": kind.key,
        "ts": to_iso(at) if iso_ts else to_milliseconds(at),
        "status": kinds.NEW,
        "valid": True,
        "user": user,
        "_updatedAt": to_iso(at),
    }
    if kind.file is None:
        return Operation(document, at, at)
    name, content_type = kind.file
    # Rocket.Chat pads nothing in this date and time, and counts months from 0.
    parts = (at.year, at.month - 1, at.day, at.hour, at.minute, at.second)
    file = f"{''.join(map(str, parts))}_{user}_{file_name or name}"
    return Operation(document, at, at, {"file": file, "contentType": content_type})


class Operations:
    """All operations of a workspace. Callers hold its lock, and call `settle` first."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.log: list[LogEntry] = []
        self._all: list[Operation] = []
        self._moving: list[Operation] = []

    def settle(self) -> datetime:
        """Apply all due events in the order of their times, and return the present time."""
        now = whole_milliseconds(self.clock.now())
        while due := [operation for operation in self._moving if operation.pending[0][0] <= now]:
            operation = min(due, key=lambda operation: operation.pending[0][0])
            at, event = operation.pending.popleft()
            self._move(operation, at, event)
            if not operation.pending:
                self._moving.remove(operation)
        return now

    def add(self, operation: Operation) -> None:
        """Add an operation."""
        self._all.append(operation)

    def schedule(self, operation: Operation, start: datetime, events: Iterable[Event]) -> None:
        """Schedule events of an operation; their offsets count from `start`."""
        operation.pending.extend((start + timedelta(seconds=e.offset), e) for e in events)
        if operation.pending and operation not in self._moving:
            self._moving.append(operation)

    def stop(self, operation: Operation) -> None:
        """Cancel the scheduled events of an operation."""
        operation.pending.clear()
        if operation in self._moving:
            self._moving.remove(operation)

    def invalidate(self, now: datetime, keep: Operation | None = None) -> None:
        """Stop and invalidate all operations except `keep`, and set their `_updatedAt` in bulk."""
        fields = {"valid": False, "_updatedAt": to_iso(now)}
        for operation in list(self._moving):
            if operation is not keep:
                self.stop(operation)
        for operation in self._all:
            if operation is keep:
                continue
            was_valid = operation.document.get("valid")
            operation.document.update(fields)
            operation.updated_at = now
            if was_valid:
                self.record(now, "invalidated", operation)

    def find(self, operation_id: str) -> Operation:
        """Return the operation with this `_id`; raises KeyError if there is none."""
        for operation in reversed(self._all):
            if operation.document.get("_id") == operation_id:
                return operation
        raise KeyError(operation_id)

    def current(self) -> Operation | None:
        """Return the operation with the greatest `ts`, or None if there is none."""
        return max(reversed(self._all), key=lambda operation: operation.created_at, default=None)

    def latest(self, limit: int) -> list[Operation]:
        """Return at most `limit` operations, newest `_updatedAt` first."""
        # A bulk update leaves many with the same time; among them the newest comes first.
        return heapq.nlargest(
            limit,
            reversed(self._all),
            key=lambda operation: (operation.updated_at, operation.created_at),
        )

    def record(self, at: datetime, event: str, operation: Operation | None = None) -> None:
        """Add an entry to the log."""
        if operation is None:
            self.log.append(LogEntry(at, event))
            return
        document = operation.document
        self.log.append(
            LogEntry(
                at,
                event,
                document.get("_id"),
                document.get("status"),
                document.get("valid"),
                dict(operation.count),
            )
        )

    def _move(self, operation: Operation, at: datetime, event: Event) -> None:
        fields: dict[str, Any] = {"status": event.status}
        if event.status == kinds.UPLOADING:
            fields |= operation.upload
        if event.status == kinds.CANCELLED:
            fields["valid"] = False
        if event.count:
            fields["count"] = {**operation.count, **event.count}
        operation.write(at, fields)
        self.record(at, "moved", operation)
