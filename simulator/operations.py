"""The operations of a workspace, which change with the clock, and the log of their changes."""

import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from simulator import kinds
from simulator.clock import Clock, whole_milliseconds
from simulator.documents import Operation
from simulator.eras import Era
from simulator.imports import Event
from simulator.invalidation import events_after_invalidation, is_resting
from simulator.log import LogEntry

__all__ = ["LogEntry", "Operations"]


class Operations:
    """All operations of a workspace. Callers hold its lock, and call `settle` first.

    Attributes:
        clock_offset: by how much Rocket.Chat's clock is ahead of the true one.
    """

    def __init__(self, clock: Clock, era: Era) -> None:
        self.clock = clock
        self.era = era
        self.clock_offset = timedelta(0)
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
        operation.is_added = True
        self._all.append(operation)

    def schedule(self, operation: Operation, start: datetime, events: Iterable[Event]) -> None:
        """Schedule events of an operation; their offsets count from `start`.

        An operation that was not added is added by the first of them.
        """
        operation.pending.extend((start + timedelta(seconds=e.offset), e) for e in events)
        if operation.pending and operation not in self._moving:
            self._moving.append(operation)

    def stop(self, operation: Operation) -> None:
        """Cancel the scheduled events of an operation."""
        operation.pending.clear()
        if operation in self._moving:
            self._moving.remove(operation)

    def invalidate(
        self, now: datetime, keep: Operation | None = None, *, staged_deleted: bool = False
    ) -> None:
        """Invalidate all operations except `keep`, and set their `_updatedAt` in bulk.

        Those that run continue as far as `invalidation` says; those that rest get no more input.
        """
        for operation in self._all:
            if operation is keep:
                continue
            self.abandon(operation, staged_deleted=staged_deleted)
            was_valid = operation.document.get("valid")
            operation.write(now + self.clock_offset, {"valid": False})
            if was_valid:
                self.record(now, "invalidated", operation)

    def abandon_all(self) -> None:
        """Give no operation any more input: up to 6.2, a new one only hides them."""
        for operation in self._all:
            self.abandon(operation)

    def abandon(self, operation: Operation, *, staged_deleted: bool = False) -> None:
        """Cancel what does not happen any more once an operation is invalid."""
        if operation.kind is None or operation.is_abandoned:
            return
        operation.is_abandoned = True
        events = events_after_invalidation(
            operation, operation.kind, self.era, staged_deleted=staged_deleted
        )
        self.stop(operation)
        operation.pending.extend(events)
        if events:
            self._moving.append(operation)

    def kill(self, now: datetime) -> None:
        """Let the processes of all running imports die; what rests is not affected."""
        self._moving = [operation for operation in self._moving if operation.is_added]
        for operation in self._all:
            is_over = operation.status in kinds.FINISHED and not operation.pending
            if operation.kind is None or operation.is_killed or is_over:
                continue
            if is_resting(operation.kind, operation.status):
                continue
            operation.is_killed = True
            operation.imported = operation.imported_at(now)
            self.stop(operation)
            self.record(now, "killed", operation)

    def remove(self, operation: Operation) -> None:
        """Delete an operation; what its importer writes later has no effect."""
        self.stop(operation)
        self._all.remove(operation)

    def all(self) -> list[Operation]:
        """Return all operations in the order in which they were added."""
        return list(self._all)

    def next_write_at(self) -> datetime | None:
        """Return the time of the next scheduled event, or None if there is none."""
        return min((operation.pending[0][0] for operation in self._moving), default=None)

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
                dict(operation.imported),
            )
        )

    def _move(self, operation: Operation, at: datetime, event: Event) -> None:
        stamp = at + self.clock_offset
        if not operation.is_added:
            self.add(operation)
            self.record(at, "started", operation)
            return
        fields: dict[str, Any] = {"status": event.status}
        if event.status == kinds.UPLOADING:
            fields |= operation.upload
        if event.status == kinds.CANCELLED:
            fields["valid"] = False
        if event.count:
            fields["count"] = {**operation.count, **event.count}
        if event.imported:
            operation.imported = event.imported
        operation.moved_at = at
        operation.write(stamp, fields)
        self.record(at, "moved", operation)
        if event.is_abort:
            self.record(at, "aborted", operation)
