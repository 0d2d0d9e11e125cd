"""What really happened, by the log."""

import sys
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.kinds import CANCELLED, DONE, FAILED, FINISHED
from simulator.operations import LogEntry
from tests.truth.happenings import MONDAY


@dataclass
class Run:
    """An import at work, from a beginning to an end; places in the log, and how it ended."""

    begin: int
    end: int | None = None
    ended_at: datetime = MONDAY
    how: str = ""


@dataclass
class Standstill:
    """A time in which an import that was at work, or waited, did not move.

    From the move before it to what ended it, as places in the log; `resumed` if that was a move.
    """

    begin: int
    since: datetime
    status: str
    first_run: bool
    end: int = sys.maxsize
    resumed: bool = False


@dataclass
class Import:
    """One import as it really went; `number` is its place in the order of beginnings."""

    remote_id: str
    number: int
    started_at: datetime
    places: list[int] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    standstills: list[Standstill] = field(default_factory=list)
    prepared: int = 0

    def at(self, happened: int) -> LogEntry:
        """Return the import as it was when so much had happened."""
        return self.entries[bisect_left(self.places, happened) - 1]

    def is_going(self, happened: int) -> bool:
        """Tell whether it was neither over nor invalid."""
        entry = self.at(happened)
        return bool(entry.valid) and entry.status not in FINISHED

    def standstill(self, happened: int) -> Standstill | None:
        """Return the one that it was in, if it was."""
        for each in reversed(self.standstills):
            if each.begin < happened:
                return each if happened <= each.end else None
        return None


def truth(log: list[LogEntry]) -> dict[str, Import]:
    """Read from the log what became of each import."""
    imports: dict[str, Import] = {}
    for place, (entry, why) in enumerate(zip(log, causes(log), strict=True)):
        if entry.operation_id is None:
            continue
        if entry.event == "started":
            imports[entry.operation_id] = Import(entry.operation_id, len(imports), entry.at)
        each = imports[entry.operation_id]
        moved = not each.entries or _position(each.entries[-1]) != _position(entry)
        each.places.append(place)
        each.entries.append(entry)
        run = each.runs[-1] if each.runs else None
        if entry.event == "started" or (entry.event == "selected" and run and run.end is not None):
            each.runs.append(Run(place))
        elif run and run.end is None and (ended := _ended(entry, why)):
            run.end, run.ended_at, run.how = place, entry.at, ended
        each.prepared += entry.event == "prepared"
        _stand_or_move(each, place, entry, moved=moved)
    return imports


def causes(log: list[LogEntry]) -> list[str]:
    """Return for each entry what became of those that were invalidated by what was done then."""
    told, cause = [], ""
    for entry in reversed(log):
        if entry.event in ("started", "restarted", "cleared"):
            cause = "superseded" if entry.event == "started" else "interrupted"
        told.append(cause)
    return told[::-1]


def _position(entry: LogEntry) -> tuple[str | None, dict[str, Any]]:
    return entry.status, dict(entry.count)


def _ended(entry: LogEntry, why: str) -> str:
    ends = {DONE: "done", FAILED: "failed", CANCELLED: "canceled"}
    if entry.status in ends:
        return ends[entry.status]
    return why if entry.event == "invalidated" else ""


def _stand_or_move(each: Import, place: int, entry: LogEntry, *, moved: bool) -> None:
    last = each.standstills[-1] if each.standstills else None
    if last and last.end == sys.maxsize and (moved or not entry.valid):
        last.end, last.resumed = place, moved
    if moved and entry.valid and entry.status not in FINISHED:
        first_run = each.runs[0].end is None
        each.standstills.append(Standstill(place, entry.at, str(entry.status), first_run))
