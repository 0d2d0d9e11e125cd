"""A simulated workspace: its operations, its users and their permissions."""

import copy
import random
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator import kinds
from simulator.clock import Clock, parse_time
from simulator.imports import plan_import
from simulator.limiter import Limiter
from simulator.oddities import apply_oddity
from simulator.operations import LogEntry, Operation, Operations, new_operation
from simulator.writes import Ending, Pace

RUN_IMPORT = "run-import"
VIEW_IMPORT_OPERATIONS = "view-import-operations"
BYPASS_RATE_LIMIT = "api-bypass-rate-limit"

VERSIONS: Mapping[int, str] = {5: "5.4.9", 6: "6.13.1", 7: "7.13.2", 8: "8.0.1"}
MAX_LATEST = 20


@dataclass(frozen=True, slots=True)
class User:
    """A user's token and permissions, and whether Rocket.Chat requires a second factor."""

    token: str
    permissions: frozenset[str]
    two_factor: bool = False


class Workspace:
    """A Rocket.Chat workspace, determined by its seed, its clock and the calls of its methods.

    Thread-safe.

    Args:
        clock: its clock.
        seed: the seed of the random numbers.
        era: the major version of Rocket.Chat to simulate: 5, 6, 7 or 8.
        iso_ts: send `ts` as an ISO string (6.3 and later), not as integer milliseconds.
        rate_limit: calls of an endpoint in 60 s for each address; None: no limit.
        hostile: return malformed operations (see `oddities`); the log has the true ones.
        limiter_clock: the clock of the rate limit; by default real time.

    Attributes:
        users: the users, by their ids.
        outage: while set, every response is a proxy's with this HTTP status.
        requests: the number of requests, by path and HTTP status of the response.

    Raises:
        ValueError: an unknown era.
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
        """Rocket.Chat's version, as in `/api/info`."""
        return VERSIONS[self.era]

    @property
    def log(self) -> list[LogEntry]:
        """All events up to now, in order."""
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
        """Add a user, or replace the one with this id."""
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
            ending, seconds, records, pace, step, stuck_for: see `imports.plan_import`.
            user: the id of the user who starts it; by default a random one.
            file_name: the original name of the uploaded file; by default one that suits the kind.

        Returns:
            The operation's `_id`: 24 hex digits, or in era 5 17 letters and digits.

        Raises:
            ValueError: an unknown kind, or what `imports.plan_import` rejects.
        """
        if kind not in kinds.KINDS:
            raise ValueError(f"unknown kind of import: {kind}")
        with self._lock:
            now = self._operations.settle()
            rng = random.Random(f"{self.seed}/{self._imports}")
            operation = new_operation(
                kinds.KINDS[kind],
                now,
                rng,
                user=user,
                file_name=file_name,
                hex_id=self.era >= 6,
                iso_ts=self.iso_ts,
            )
            plan = plan_import(
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
            operation.rest = plan.rest
            self._operations.schedule(operation, now, plan.opening[1:])
            if plan.selected_after is not None:
                selected_at = now + timedelta(seconds=plan.selected_after)
                self._operations.schedule(operation, selected_at, plan.rest)
            return str(operation.document["_id"])

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

    def restart(self) -> None:
        """Start a server instance, which interrupts everything but a last selection."""
        with self._lock:
            now = self._operations.settle()
            last = self._operations.current()
            is_waiting = last is not None and last.status == kinds.USER_SELECTION
            self._operations.invalidate(now, keep=last if is_waiting else None)
            self._operations.record(now, "restarted")

    def clear(self) -> None:
        """Invalidate all operations, as an administrator or a client of the API can."""
        with self._lock:
            now = self._operations.settle()
            self._operations.invalidate(now)
            self._operations.record(now, "cleared")

    def select(self, operation_id: str) -> None:
        """Select everything in an operation that waits for a selection, so that it continues.

        Raises:
            KeyError: there is no such operation.
            ValueError: it does not wait for a selection, or is invalid.
        """
        with self._lock:
            now = self._operations.settle()
            operation = self._operations.find(operation_id)
            is_waiting = operation.status == kinds.USER_SELECTION and operation.document.get(
                "valid"
            )
            if not is_waiting or not operation.rest:
                raise ValueError(f"{operation_id} does not wait for a selection")
            self._operations.stop(operation)
            self._operations.record(now, "selected", operation)
            self._operations.schedule(operation, now, operation.events_after_selection())

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
        """Open the prepare page of a finished operation, which resets it to the selection.

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
