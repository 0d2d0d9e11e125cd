"""A simulated workspace: its operations, its users and their permissions."""

import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from simulator import kinds
from simulator.clock import Clock
from simulator.database import Database
from simulator.documents import PEOPLE, new_operation
from simulator.eras import Era
from simulator.imports import Choice, plan_import, replan
from simulator.invalidation import skip_all
from simulator.limiter import Limiter
from simulator.writes import Ending, Pace

RUN_IMPORT = "run-import"
VIEW_IMPORT_OPERATIONS = "view-import-operations"
BYPASS_RATE_LIMIT = "api-bypass-rate-limit"


@dataclass(frozen=True, slots=True)
class User:
    """A user's token and permissions, and whether Rocket.Chat requires a second factor."""

    token: str
    permissions: frozenset[str]
    two_factor: bool = False


class Workspace(Database):
    """A Rocket.Chat workspace, determined by its seed, its clock and the calls of its methods.

    Thread-safe.

    Args:
        clock: the true time.
        seed: the seed of the random numbers.
        era: the version of Rocket.Chat to simulate.
        iso_ts: send `ts` as an ISO string, not as integer milliseconds; by default as the era.
        rate_limit: calls of an endpoint in 60 s for each address; None: no limit.
        hostile: return malformed operations (see `oddities`); the log has the true ones.
        limiter_clock: the clock of the rate limit; by default real time.

    Attributes:
        users: the users of the API, by their ids.
        people: the user names and names of users, by their ids; a name can be None.
        outage: while set, every response is a proxy's with this HTTP status.
        requests: the number of requests, by path and HTTP status of the response.

    Raises:
        ValueError: an unknown era.
    """

    def __init__(
        self,
        clock: Clock,
        seed: int = 0,
        era: Era | str = Era.V8,
        iso_ts: bool | None = None,
        rate_limit: int | None = 10,
        hostile: bool = False,
        limiter_clock: Clock | None = None,
    ) -> None:
        super().__init__(clock, Era(era), hostile=hostile)
        self.seed = seed
        self.iso_ts = self.era.has_iso_ts if iso_ts is None else iso_ts
        self.limiter: Limiter | None = None
        if rate_limit is not None:
            real_time = Clock(datetime.now(UTC), speed=1.0)
            self.limiter = Limiter(rate_limit, limiter_clock or real_time)
        self.users: dict[str, User] = {}
        self.people: dict[str, tuple[str, str | None]] = dict(PEOPLE)
        self.outage: int | None = None
        self.requests: Counter[tuple[str, int]] = Counter()
        self._imports = 0

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
        records: int | Mapping[str, int] | None = None,
        pace: Pace = "steady",
        step: str | None = None,
        stuck_for: float = 3600.0,
        user: str | None = None,
        file_name: str | None = None,
        insert_after: float = 0.0,
    ) -> str:
        """Start an import. From 6.3 on, it invalidates all operations before it.

        Args:
            kind: a key of `kinds.KINDS`.
            ending, seconds, records, pace, step, stuck_for: see `imports.plan_import`.
            user: the id of the user who starts it; by default a random one.
            file_name: the original name of the uploaded file; by default one that suits the kind.
            insert_after: seconds from the invalidation until the operation is stored, in which
                Rocket.Chat deletes the staged records of the ones before.

        Returns:
            The operation's `_id`: 24 hex digits, or in 5.x 17 letters and digits.

        Raises:
            ValueError: an unknown kind, or what `imports.plan_import` rejects.
        """
        if kind not in kinds.KINDS:
            raise ValueError(f"unknown kind of import: {kind}")
        with self._lock:
            now = self._operations.settle()
            started_at = now + timedelta(seconds=insert_after)
            rng = random.Random(f"{self.seed}/{self._imports}")
            operation = new_operation(
                kinds.KINDS[kind],
                started_at + self.clock_offset,
                rng,
                user=user,
                file_name=file_name,
                hex_id=self.era is not Era.V5,
                iso_ts=self.iso_ts,
            )
            plan = partial(
                plan_import,
                kinds.KINDS[kind],
                ending=ending,
                seconds=seconds,
                pace=pace,
                step=step,
                stuck_for=stuck_for,
                era=self.era,
            )
            planned = plan(rng, records=records)
            operation.number = self._imports
            operation.rest = planned.rest
            operation.replan = partial(replan, plan, planned, f"{self.seed}/{self._imports}/chosen")
            self._imports += 1
            if self.era.aborts_invalid_imports:
                self._operations.invalidate(now, staged_deleted=True)
            else:
                self._operations.abandon_all()
            self._operations.schedule(operation, started_at, planned.opening)
            if planned.selected_after is not None:
                selected_at = started_at + timedelta(seconds=planned.selected_after)
                self._operations.schedule(operation, selected_at, planned.rest)
            self._operations.settle()
            return str(operation.document["_id"])

    def restart(self) -> None:
        """Restart all servers: imports that run are killed, and stay at their step for ever."""
        with self._lock:
            self._operations.kill(self._operations.settle())
            self._start_server("restarted")

    def kill(self) -> None:
        """Kill all servers, which leaves the documents as they are until `start_instance`."""
        with self._lock:
            now = self._operations.settle()
            self._operations.kill(now)
            self._operations.record(now, "killed")

    def start_instance(self) -> None:
        """Start another server, which invalidates operations; imports on the others go on."""
        with self._lock:
            self._start_server("instance-started")

    def _start_server(self, event: str) -> None:
        now = self._operations.settle()
        last = self._operations.current()
        kept = [kinds.USER_SELECTION, *([] if self.era.has_iso_ts else [kinds.FAILED])]
        is_kept = last is not None and last.status in kept
        self._operations.invalidate(now, keep=last if is_kept else None)
        self._operations.record(now, event)

    def clear(self) -> None:
        """Invalidate all operations, as an administrator or a client of the API can."""
        with self._lock:
            now = self._operations.settle()
            self._operations.invalidate(now, staged_deleted=True)
            self._operations.record(now, "cleared")

    def select(self, operation_id: str, chosen: Choice | None = None) -> None:
        """Select what is imported of an operation that waits for it, so that it continues.

        Args:
            operation_id: the operation.
            chosen: a fraction of each type of records, a number of records, or numbers by type;
                by default everything. The operation's total stays.

        Raises:
            KeyError: there is no such operation.
            ValueError: it does not wait for a selection, is invalid, or has fewer records.
        """
        with self._lock:
            now = self._operations.settle()
            operation = self._operations.find(operation_id)
            is_waiting = operation.status == kinds.USER_SELECTION and operation.document.get(
                "valid"
            )
            if not is_waiting or not operation.rest:
                raise ValueError(f"{operation_id} does not wait for a selection")
            events = operation.events_after_selection(chosen)
            self._operations.stop(operation)
            self._operations.record(now, "selected", operation)
            self._operations.schedule(operation, now, events)

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
            stamp = now + self.clock_offset
            operation.write(stamp, {"status": kinds.CANCELLED, "valid": False})
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
            if operation.status == kinds.DONE and operation.kind is not None:
                # What was staged is imported, so a second run imports nothing.
                operation.rest = skip_all(operation.kind, self.era)
                operation.replan = None
            operation.write(now + self.clock_offset, {"status": kinds.USER_SELECTION})
            self._operations.record(now, "prepared", operation)
