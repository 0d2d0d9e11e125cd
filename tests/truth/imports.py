"""What actually happened to each import, read from the simulator's log."""

import sys
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.kinds import CANCELLED, DONE, FAILED, FINISHED
from simulator.operations import LogEntry
from tests.truth.scenario import MONDAY


@dataclass
class Run:
    """One run of an import; `begin` and `end` are places in the log, `how` is its outcome."""

    begin: int
    end: int | None = None
    ended_at: datetime = MONDAY
    how: str = ""


@dataclass
class Standstill:
    """A time in which an active or waiting import made no progress.

    From the progress before it to what ended it, as places in the log; `resumed` if that was
    progress.
    """

    begin: int
    since: datetime
    status: str
    first_run: bool
    end: int = sys.maxsize
    resumed: bool = False


@dataclass
class Import:
    """One import as it actually went; `number` is its place in the order of starts."""

    remote_id: str
    number: int
    started_at: datetime
    places: list[int] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    standstills: list[Standstill] = field(default_factory=list)
    prepared: int = 0

    def at(self, happened: int) -> LogEntry:
        """Return the import's entry when the log had that length."""
        return self.entries[bisect_left(self.places, happened) - 1]

    def is_active(self, happened: int) -> bool:
        """Return whether it was neither over nor invalid."""
        entry = self.at(happened)
        return bool(entry.valid) and entry.status not in FINISHED

    def standstill(self, happened: int) -> Standstill | None:
        """Return the standstill that it was in, if any."""
        for standstill in reversed(self.standstills):
            if standstill.begin < happened:
                return standstill if happened <= standstill.end else None
        return None


def read_log(log: list[LogEntry]) -> dict[str, Import]:
    """Return the imports by id."""
    imports: dict[str, Import] = {}
    for place, (entry, cause) in enumerate(zip(log, invalidation_causes(log), strict=True)):
        if entry.operation_id is None:
            continue
        if entry.event == "started":
            imports[entry.operation_id] = Import(entry.operation_id, len(imports), entry.at)
        actual = imports[entry.operation_id]
        moved = not actual.entries or _progress(actual.entries[-1]) != _progress(entry)
        actual.places.append(place)
        actual.entries.append(entry)
        run = actual.runs[-1] if actual.runs else None
        if entry.event == "started" or (entry.event == "selected" and run and run.end is not None):
            actual.runs.append(Run(place))
        elif run and run.end is None and (outcome := _outcome(entry, cause)):
            run.end, run.ended_at, run.how = place, entry.at, outcome
        actual.prepared += entry.event == "prepared"
        _add_standstill(actual, place, entry, moved=moved)
    return imports


def invalidation_causes(log: list[LogEntry]) -> list[str]:
    """Return for each entry the outcome of the operations that its cause invalidates."""
    causes, cause = [], ""
    for entry in reversed(log):
        if entry.event in ("started", "restarted", "cleared"):
            cause = "superseded" if entry.event == "started" else "interrupted"
        causes.append(cause)
    return causes[::-1]


def _progress(entry: LogEntry) -> tuple[str | None, dict[str, Any]]:
    return entry.status, dict(entry.count)


def _outcome(entry: LogEntry, cause: str) -> str:
    outcomes = {DONE: "done", FAILED: "failed", CANCELLED: "canceled"}
    if entry.status in outcomes:
        return outcomes[entry.status]
    return cause if entry.event == "invalidated" else ""


def _add_standstill(actual: Import, place: int, entry: LogEntry, *, moved: bool) -> None:
    last = actual.standstills[-1] if actual.standstills else None
    if last and last.end == sys.maxsize and (moved or not entry.valid):
        last.end, last.resumed = place, moved
    if moved and entry.valid and entry.status not in FINISHED:
        first_run = actual.runs[0].end is None
        actual.standstills.append(Standstill(place, entry.at, str(entry.status), first_run))
