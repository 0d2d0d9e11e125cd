"""A fleet: any number of workspaces, of which nothing is stored.

What a workspace shows follows from the seed, its number and the time. An import takes one of some
courses, which an ordinary `Workspace` has gone through: the documents are the ones it writes.
"""

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal, get_args

from simulator.clock import EPOCH, Clock, to_iso, whole_milliseconds
from simulator.database import MAX_LATEST
from simulator.documents import new_operation
from simulator.eras import Era
from simulator.kinds import KINDS, Kind
from simulator.workspace import Workspace
from simulator.writes import Ending

Failure = Literal["unreachable", "500", "401", "hanging"]
#: `unreachable` closes the connection, `hanging` never responds.
FAILURES: tuple[Failure, ...] = get_args(Failure)
MAX_SIZE = 10_000_000

#: How imports end, in turn: a fleet in which most are done.
_ENDINGS: list[Ending] = ["done"] * 7
_ENDINGS += ["done-with-errors", "done-short", "failed"]
_COURSES = len(_ENDINGS) * len(KINDS)
#: An importer writes at every 50th or 500th record: so a course stays short, however long it takes.
_MAX_RECORDS = 3000


@dataclass(frozen=True, slots=True)
class Course:
    """How an import goes: its documents, and the seconds after its start when each is written."""

    kind: Kind
    offsets: tuple[float, ...]
    documents: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Fleet:
    """The workspaces of a fleet, by number from 0.

    Args:
        size: the number of workspaces.
        clock: the true time.
        seed: the seed of the random numbers.
        user_id, token: the user that may read every workspace.
        era: the version of Rocket.Chat.
        iso_ts: send `ts` as an ISO string, not as integer milliseconds; by default as the era.
        clock_offset: by how much Rocket.Chat's clock is ahead.
        seconds: the duration of an import.
        active: the share of the workspaces that import at a time, above 0 and below 1.
        failing: the share of the workspaces that fail at a time, from 0 to 1.
        outage: the seconds for which one fails.
        failures: the ways to fail.
    """

    size: int
    clock: Clock
    seed: int
    user_id: str
    token: str
    era: Era = Era.V8
    iso_ts: bool | None = None
    clock_offset: timedelta = timedelta(0)
    seconds: float = 600.0
    active: float = 0.05
    failing: float = 0.0
    outage: float = 600.0
    failures: tuple[Failure, ...] = FAILURES
    started_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started_at", self.clock.now())

    @cached_property
    def courses(self) -> tuple[Course, ...]:
        """What an import can go through."""
        return tuple(self._course(number) for number in range(_COURSES))

    def _course(self, number: int) -> Course:
        kind = [*KINDS][number % len(KINDS)]
        clock = Clock(EPOCH)
        workspace = Workspace(clock, self.seed * _COURSES + number, self.era, self.iso_ts)
        records = 60 + _draw(f"{self.seed}/{number}/records") % (_MAX_RECORDS - 60)
        ending = _ENDINGS[number // len(KINDS)]
        workspace.start_import(kind, ending, self.seconds, records=records)
        offsets, documents = [0.0], [workspace.current()]
        while (at := workspace.next_write_at()) is not None:
            clock.set(at)
            offsets.append((at - EPOCH).total_seconds())
            documents.append(workspace.current())
        return Course(KINDS[kind], tuple(offsets), tuple(filter(None, documents)))

    def workspace(self, number: int) -> "FleetWorkspace":
        """Return a workspace, which lives as long as a request."""
        return FleetWorkspace(self, number)

    def failure(self, number: int) -> Failure | None:
        """Return how a workspace fails now, None if it does not."""
        if not self.failing:
            return None
        length = self.outage / self.failing
        cycle, passed = self._cycle("failure", number, length, self.clock.now())
        if passed >= self.outage:
            return None
        return self.failures[_draw(f"{self.seed}/{number}/{cycle}/kind") % len(self.failures)]

    def start_of_import(self, number: int, cycle: int) -> datetime:
        """Return when an import of a workspace started."""
        length = self._import_cycle
        start = cycle * length - self._phase("import", number, length)
        return whole_milliseconds(EPOCH + timedelta(seconds=start))

    def import_cycles(self, number: int) -> range:
        """Return the numbers of a workspace's imports, the latest last.

        The first is the one that was the latest when the fleet started.
        """
        first, last = (
            self._cycle("import", number, self._import_cycle, at)[0]
            for at in (self.started_at, self.clock.now())
        )
        return range(max(first, last - MAX_LATEST + 1), last + 1)

    def is_active(self, number: int) -> bool:
        """Return whether a workspace imports now."""
        start = self.start_of_import(number, self.import_cycles(number)[-1])
        return self.clock.now() - start < timedelta(seconds=self.seconds)

    @property
    def _import_cycle(self) -> float:
        """The seconds from one import of a workspace to its next."""
        return self.seconds / self.active

    def _cycle(self, name: str, number: int, length: float, at: datetime) -> tuple[int, float]:
        """Return the number of a workspace's present cycle, and the seconds since it began."""
        seconds = (at - EPOCH).total_seconds() + self._phase(name, number, length)
        cycle, passed = divmod(seconds, length)
        return int(cycle), passed

    def _phase(self, name: str, number: int, length: float) -> float:
        return _draw(f"{self.seed}/{number}/{name}") / 2**32 * length


class FleetWorkspace(Workspace):
    """A workspace of a fleet, at one time; its operations follow from the clock alone."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__(fleet.clock, fleet.seed, fleet.era, fleet.iso_ts, rate_limit=None)
        self.clock_offset = fleet.clock_offset
        self.add_user(fleet.user_id, fleet.token)
        self.fleet = fleet
        self.number = number

    def current(self) -> dict[str, Any]:
        """Return the document of the latest import."""
        return self._import(self.fleet.import_cycles(self.number)[-1])

    def latest(self) -> list[dict[str, Any]]:
        """Return the documents of the imports since the fleet started, the latest first."""
        *others, last = self.fleet.import_cycles(self.number)
        documents = [self._import(cycle) for cycle in reversed(others)]
        if self.era.aborts_invalid_imports:
            invalidated_at = self.fleet.start_of_import(self.number, last) + self.clock_offset
            for document in documents:
                document |= {"valid": False, "_updatedAt": to_iso(invalidated_at)}
        return [self._import(last), *documents]

    def prepare(self, operation_id: str) -> None:
        """Change nothing: what the fleet shows follows from the clock alone."""

    def _import(self, cycle: int) -> dict[str, Any]:
        fleet = self.fleet
        rng = random.Random(_draw(f"{fleet.seed}/{self.number}/{cycle}"))
        start = fleet.start_of_import(self.number, cycle)
        course = rng.choice(fleet.courses)
        passed = (self.clock.now() - start).total_seconds()
        index = max(bisect_right(course.offsets, passed) - 1, 0)
        operation = new_operation(
            course.kind,
            start + self.clock_offset,
            rng,
            user=None,
            file_name=None,
            hex_id=self.era is not Era.V5,
            iso_ts=bool(self.iso_ts),
        )
        own = {**operation.document, **operation.upload}
        written_at = start + timedelta(seconds=course.offsets[index]) + self.clock_offset
        return {
            **{
                name: own[name] if name in _OWN else value
                for name, value in course.documents[index].items()
            },
            "_updatedAt": to_iso(written_at),
        }


#: The fields of a document that are not the course's.
_OWN = frozenset({"_id", "ts", "user", "file"})


def _draw(text: str) -> int:
    """Return a number below 2³² that follows from a text; quicker than a seeded generator."""
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")
