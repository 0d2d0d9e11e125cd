"""The operations of a workspace, how they move with the clock, and the log of what happened."""

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

# Meteor's Random.id() leaves out the letters and digits that look alike.
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz"
_STARTERS = ("d26x6zSkaPSe5gCyy", "Hb7kQm3ZtYwN9xRfs", "qW4eRt8yKpLs2dFgh")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that happened, and the operation as it was right after.

    Attributes:
        at: when, in whole milliseconds.
        event: `started`, `placed`, `moved` (an import's own write), `selected`, `cancelled`,
            `prepared`, `invalidated`; without an operation: `restarted`, `cleared`.
        operation_id: its `_id`; None where the event concerns the workspace.
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
    """One operation: its document, and what it will yet go through.

    Attributes:
        document: what Rocket.Chat has stored of it.
        created_at: what the current operation is found by.
        updated_at: what the latest operations are sorted by.
        upload: what the upload will add to the document.
        ahead: its own writes to come, each with its time.
        rest: what a selection sets going.
        number: how many imports were started before it; None where it was placed as it is.
    """

    document: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    upload: Mapping[str, str] = field(default_factory=dict)
    ahead: deque[tuple[datetime, Event]] = field(default_factory=deque)
    rest: tuple[Event, ...] = ()
    number: int | None = None

    @property
    def status(self) -> object:
        """The raw step as it stands in the document; None if there is none."""
        return self.document.get("status")

    @property
    def count(self) -> dict[str, Any]:
        """The counters as they stand in the document; empty if there are none."""
        count = self.document.get("count")
        return count if isinstance(count, dict) else {}

    def counting_on(self) -> list[Event]:
        """What a selection now sets going.

        Rocket.Chat counts on from what the record holds, when it imports for a second time too.
        """
        held = {key: self.count.get(key, 0) for key in ("completed", "error")}
        return [
            replace(event, count={key: n + held.get(key, 0) for key, n in event.count.items()})
            for event in self.rest
        ]

    def write(self, at: datetime, fields: Mapping[str, Any]) -> None:
        """Set fields of the document, which moves its `_updatedAt` as every write does."""
        self.document.update(fields)
        self.document["_updatedAt"] = to_iso(at)
        self.updated_at = at


def started(
    kind: kinds.Kind,
    at: datetime,
    rng: random.Random,
    *,
    user: str | None,
    file_name: str | None,
    hex_id: bool,
    iso_ts: bool,
) -> Operation:
    """An operation as it is when it has just been started; see `Workspace`."""
    drawn_user = rng.choice(_STARTERS)
    user = user or drawn_user
    document = {
        "_id": f"{rng.getrandbits(96):024x}" if hex_id else "".join(rng.choices(_LETTERS, k=17)),
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
    # Nothing is padded and January is 0: that is how Rocket.Chat writes the date and time here.
    parts = (at.year, at.month - 1, at.day, at.hour, at.minute, at.second)
    file = f"{''.join(map(str, parts))}_{user}_{file_name or name}"
    return Operation(document, at, at, {"file": file, "contentType": content_type})


class Operations:
    """All operations of a workspace. Whoever calls holds its lock, and settles first."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.log: list[LogEntry] = []
        self._all: list[Operation] = []
        self._moving: list[Operation] = []

    def settle(self) -> datetime:
        """Let everything happen that is due, each at its own time, and return the present one."""
        now = whole_milliseconds(self.clock.now())
        while due := [each for each in self._moving if each.ahead[0][0] <= now]:
            operation = min(due, key=lambda each: each.ahead[0][0])
            at, event = operation.ahead.popleft()
            self._move(operation, at, event)
            if not operation.ahead:
                self._moving.remove(operation)
        return now

    def add(self, operation: Operation) -> None:
        """Take in a new operation."""
        self._all.append(operation)

    def schedule(self, operation: Operation, start: datetime, events: Iterable[Event]) -> None:
        """Let an operation go through `events`, whose offsets count from `start`."""
        operation.ahead.extend((start + timedelta(seconds=e.offset), e) for e in events)
        if operation.ahead and operation not in self._moving:
            self._moving.append(operation)

    def stop(self, operation: Operation) -> None:
        """Let an operation stay where it is."""
        operation.ahead.clear()
        if operation in self._moving:
            self._moving.remove(operation)

    def invalidate(self, now: datetime, keep: Operation | None = None) -> None:
        """Stop and invalidate all operations but one, and rewrite their `_updatedAt` in bulk."""
        fields = {"valid": False, "_updatedAt": to_iso(now)}
        for operation in [each for each in self._moving if each is not keep]:
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
        """The operation with this `_id`; KeyError if there is none."""
        for operation in reversed(self._all):
            if operation.document.get("_id") == operation_id:
                return operation
        raise KeyError(operation_id)

    def current(self) -> Operation | None:
        """The operation with the greatest `ts`; None if there is none."""
        return max(reversed(self._all), key=lambda each: each.created_at, default=None)

    def latest(self, limit: int) -> list[Operation]:
        """At most `limit` operations, newest `_updatedAt` first."""
        # A bulk rewrite leaves many with the same time; among them the newest comes first.
        return heapq.nlargest(
            limit, reversed(self._all), key=lambda each: (each.updated_at, each.created_at)
        )

    def record(self, at: datetime, event: str, operation: Operation | None = None) -> None:
        """Add to the log."""
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
