"""A simulated workspace: what happens in it, and who may ask."""

import copy
import random
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator import kinds
from simulator.clock import Clock, read_time
from simulator.imports import draw_up
from simulator.limiter import Limiter
from simulator.oddities import make_odd
from simulator.operations import LogEntry, Operation, Operations, started
from simulator.writes import Ending, Pace

RUN_IMPORT = "run-import"
VIEW_IMPORT_OPERATIONS = "view-import-operations"
BYPASS_RATE_LIMIT = "api-bypass-rate-limit"

VERSIONS: Mapping[int, str] = {5: "5.4.9", 6: "6.13.1", 7: "7.13.2", 8: "8.0.1"}
LATEST = 20


@dataclass(frozen=True, slots=True)
class User:
    """Who may ask: the token, Rocket.Chat's permissions, and whether a second factor is wanted."""

    token: str
    permissions: frozenset[str]
    two_factor: bool = False


class Workspace:
    """A Rocket.Chat workspace: a function of its seed, its clock and what is done to it.

    Thread-safe.

    Args:
        clock: its time.
        seed: where chance comes from.
        era: the major version it behaves as: 5, 6, 7 or 8.
        iso_ts: `ts` as an ISO string (6.3 and later) and not as integer milliseconds.
        rate_limit: calls of an endpoint in 60 s for each address; None: no limit.
        hostile: show operations with oddities (see `oddities`); the log stays true.
        limiter_clock: what the rate limit is measured by; real time unless given.

    Attributes:
        users: who may ask, by user id.
        outage: while set, a proxy answers every call with this HTTP status.
        requests: how often it was asked, by path and HTTP status of the answer.

    Raises:
        ValueError: an era that is not known.
    """

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        era: int = 8,
        iso_ts: bool = True,
        rate_limit: int | None = 10,
        hostile: bool = False,
        limiter_clock: Clock | None = None,
    ) -> None:
        if era not in VERSIONS:
            raise ValueError(f"era must be one of {', '.join(map(str, VERSIONS))}")
        self.clock = clock
        self.seed = seed
        self.era = era
        self.iso_ts = iso_ts
        self.hostile = hostile
        self.limiter: Limiter | None = None
        if rate_limit is not None:
            real_time = Clock(datetime.now(UTC), speed=1.0)
            self.limiter = Limiter(rate_limit, limiter_clock or real_time)
        self.users: dict[str, User] = {}
        self.outage: int | None = None
        self.requests: Counter[tuple[str, int]] = Counter()
        self._lock = threading.RLock()
        self._operations = Operations(clock)
        self._imports = 0

    @property
    def version(self) -> str:
        """Rocket.Chat's version, as `/api/info` gives it."""
        return VERSIONS[self.era]

    @property
    def log(self) -> list[LogEntry]:
        """Everything that has happened up to now, in order."""
        with self._lock:
            self._operations.settle()
            return list(self._operations.log)

    def add_user(
        self,
        user_id: str,
        token: str,
        permissions: Collection[str] = (RUN_IMPORT, VIEW_IMPORT_OPERATIONS),
        two_factor: bool = False,
    ) -> None:
        """Let somebody ask, in place of whoever had this user id before."""
        self.users[user_id] = User(token, frozenset(permissions), two_factor)

    def count_request(self, path: str, status: int) -> None:
        """Add one to `requests`."""
        with self._lock:
            self.requests[path, status] += 1

    def start_import(
        self,
        kind: str,
        ending: Ending = "done",
        seconds: float = 600.0,
        *,
        records: int | None = None,
        pace: Pace = "steady",
        step: str | None = None,
        stuck_for: float = 3600.0,
        user: str | None = None,
        file_name: str | None = None,
    ) -> str:
        """Start an import, which invalidates all operations before it.

        Args:
            kind: a key of `kinds.KINDS`.
            ending, seconds, records, pace, step, stuck_for: see `imports.draw_up`.
            user: the id of who starts it; else drawn.
            file_name: the original name of the uploaded file; else one that suits the kind.

        Returns:
            The operation's `_id`: 24 hex digits, or in era 5 17 letters and digits.

        Raises:
            ValueError: an unknown kind, or what `imports.draw_up` refuses.
        """
        if kind not in kinds.KINDS:
            raise ValueError(f"no such kind of import: {kind}")
        with self._lock:
            now = self._operations.settle()
            rng = random.Random(f"{self.seed}/{self._imports}")
            operation = started(
                kinds.KINDS[kind],
                now,
                rng,
                user=user,
                file_name=file_name,
                hex_id=self.era >= 6,
                iso_ts=self.iso_ts,
            )
            course = draw_up(
                kinds.KINDS[kind],
                rng,
                ending=ending,
                seconds=seconds,
                records=records,
                pace=pace,
                step=step,
                stuck_for=stuck_for,
                contacts=self.era >= 7,
            )
            operation.number = self._imports
            self._imports += 1
            self._operations.invalidate(now)
            self._operations.add(operation)
            self._operations.record(now, "started", operation)
            operation.rest = course.rest
            self._operations.schedule(operation, now, course.opening[1:])
            if course.selected_after is not None:
                selected_at = now + timedelta(seconds=course.selected_after)
                self._operations.schedule(operation, selected_at, course.rest)
            return str(operation.document["_id"])

    def put_operation(self, document: Mapping[str, Any]) -> None:
        """Place an operation of any shape as it is; it invalidates nothing and never moves."""
        with self._lock:
            now = self._operations.settle()
            placed = copy.deepcopy(dict(document))
            created_at = read_time(placed.get("ts")) or now
            updated_at = read_time(placed.get("_updatedAt")) or now
            operation = Operation(placed, created_at, updated_at)
            self._operations.add(operation)
            self._operations.record(now, "placed", operation)

    def restart(self) -> None:
        """Let a server instance start: nothing runs on, only a last selection stays valid."""
        with self._lock:
            now = self._operations.settle()
            last = self._operations.current()
            waits = last is not None and last.status == kinds.USER_SELECTION
            self._operations.invalidate(now, keep=last if waits else None)
            self._operations.record(now, "restarted")

    def clear(self) -> None:
        """Invalidate all operations, as an administrator or a client of the API can."""
        with self._lock:
            now = self._operations.settle()
            self._operations.invalidate(now)
            self._operations.record(now, "cleared")

    def select(self, operation_id: str) -> None:
        """Select everything for an operation that waits for it, so that it goes on.

        Raises:
            KeyError: there is no such operation.
            ValueError: it does not wait for a selection, or is no longer valid.
        """
        with self._lock:
            now = self._operations.settle()
            operation = self._operations.find(operation_id)
            waits = operation.status == kinds.USER_SELECTION and operation.document.get("valid")
            if not waits or not operation.rest:
                raise ValueError(f"{operation_id} does not wait for a selection")
            self._operations.stop(operation)
            self._operations.record(now, "selected", operation)
            self._operations.schedule(operation, now, operation.counting_on())

    def cancel(self, operation_id: str) -> None:
        """Cancel an operation that has not finished.

        Raises:
            KeyError: there is no such operation.
            ValueError: it has finished.
        """
        with self._lock:
            now = self._operations.settle()
            operation = self._operations.find(operation_id)
            if operation.status in kinds.FINISHED:
                raise ValueError(f"{operation_id} has finished")
            self._operations.stop(operation)
            operation.write(now, {"status": kinds.CANCELLED, "valid": False})
            self._operations.record(now, "cancelled", operation)

    def prepare(self, operation_id: str) -> None:
        """Open the prepare page of a finished operation, which sets it back to the selection.

        Raises:
            KeyError: there is no such operation.
            ValueError: it has not finished.
        """
        with self._lock:
            now = self._operations.settle()
            operation = self._operations.find(operation_id)
            if operation.status not in kinds.FINISHED:
                raise ValueError(f"{operation_id} has not finished")
            operation.write(now, {"status": kinds.USER_SELECTION})
            self._operations.record(now, "prepared", operation)

    def current(self) -> dict[str, Any] | None:
        """The operation with the greatest `ts`, as it goes over the wire; None if there is none."""
        with self._lock:
            self._operations.settle()
            operation = self._operations.current()
            return None if operation is None else self._shown(operation)

    def latest(self) -> list[dict[str, Any]]:
        """At most 20 operations as they go over the wire, newest `_updatedAt` first."""
        with self._lock:
            self._operations.settle()
            return [self._shown(operation) for operation in self._operations.latest(LATEST)]

    def _shown(self, operation: Operation) -> dict[str, Any]:
        document = copy.deepcopy(operation.document)
        if self.hostile and operation.number is not None:
            make_odd(document, operation.number)
        return document
