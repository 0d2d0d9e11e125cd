"""The operations of a simulated workspace as Rocket.Chat's database holds and shows them."""

import copy
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from simulator.clock import Clock, parse_time
from simulator.documents import Operation
from simulator.eras import Era
from simulator.log import LogEntry
from simulator.oddities import apply_oddity
from simulator.operations import Operations

MAX_LATEST = 20


class Database:
    """The stored operations, and what can be done to them without an importer. Thread-safe.

    Args:
        clock: the true time.
        era: the version of Rocket.Chat.
        hostile: return malformed operations (see `oddities`); the log has the true ones.
    """

    def __init__(self, clock: Clock, era: Era, *, hostile: bool = False) -> None:
        self.clock = clock
        self.era = era
        self.hostile = hostile
        self._lock = threading.RLock()
        self._operations = Operations(clock, era)

    @property
    def log(self) -> list[LogEntry]:
        """All events up to now, in order."""
        with self._lock:
            self._operations.settle()
            return list(self._operations.log)

    @property
    def clock_offset(self) -> timedelta:
        """By how much Rocket.Chat's clock is ahead of the true time; set it to step the clock."""
        return self._operations.clock_offset

    @clock_offset.setter
    def clock_offset(self, offset: timedelta) -> None:
        with self._lock:
            self._operations.settle()
            self._operations.clock_offset = offset

    def server_time(self) -> datetime:
        """Return the present time on Rocket.Chat's clock."""
        return self.clock.now() + self.clock_offset

    def next_write_at(self) -> datetime | None:
        """Return when an import writes next, or None if none will."""
        with self._lock:
            self._operations.settle()
            return self._operations.next_write_at()

    def current(self) -> dict[str, Any] | None:
        """Return the document of the operation with the greatest `ts`, or None if there is none."""
        with self._lock:
            self._operations.settle()
            operation = self._operations.current()
            return None if operation is None else self._document(operation)

    def latest(self) -> list[dict[str, Any]]:
        """Return the documents of at most 20 operations, newest `_updatedAt` first."""
        with self._lock:
            self._operations.settle()
            return [self._document(operation) for operation in self._operations.latest(MAX_LATEST)]

    def _document(self, operation: Operation) -> dict[str, Any]:
        document = copy.deepcopy(operation.document)
        if self.hostile and operation.number is not None:
            apply_oddity(document, operation.number)
        return document

    def put_operation(self, document: Mapping[str, Any]) -> None:
        """Add an operation of any shape as it is; it invalidates nothing and never changes."""
        with self._lock:
            now = self._operations.settle()
            stored = copy.deepcopy(dict(document))
            created_at = parse_time(stored.get("ts")) or now
            updated_at = parse_time(stored.get("_updatedAt")) or now
            operation = Operation(stored, created_at, updated_at)
            self._operations.add(operation)
            self._operations.record(now, "placed", operation)

    def remove_operation(self, operation_id: str) -> None:
        """Delete an operation from the database; raises KeyError if there is none."""
        with self._lock:
            now = self._operations.settle()
            operation = self._operations.find(operation_id)
            self._operations.record(now, "removed", operation)
            self._operations.remove(operation)

    def backup(self) -> list[dict[str, Any]]:
        """Return the documents of all operations, the oldest first, for `restore_backup`."""
        with self._lock:
            self._operations.settle()
            return [copy.deepcopy(operation.document) for operation in self._operations.all()]

    def restore_backup(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Replace all operations by documents that never change: no import runs any more."""
        with self._lock:
            now = self._operations.settle()
            self._operations.kill(now)
            for operation in self._operations.all():
                self._operations.record(now, "removed", operation)
                self._operations.remove(operation)
            for document in documents:
                self.put_operation(document)
            self._operations.record(now, "restored")
