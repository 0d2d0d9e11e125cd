"""What actually happened to each import, read from the simulator's log."""

import sys
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.eras import Era
from simulator.invalidation import is_resting
from simulator.kinds import CANCELLED, DONE, FAILED, FINISHED, FINISHING, Kind
from simulator.operations import LogEntry
from tests.truth.scenario import MONDAY

#: Rocket.Chat's words for an end.
WORDS = {DONE: "done", FAILED: "failed", CANCELLED: "canceled"}


@dataclass
class Run:
    """One run of an import. `begin` and the like are places in the log.

    Attributes:
        how: `done`, `failed`, `canceled`: that is what happened, and Rocket.Chat's word;
            `aborted`: its importer skipped the rest, and Rocket.Chat calls it done;
            `stopped`: killed, or put aside while it rested, and it shows;
            `silent`: nothing moves it any more, and nothing shows that;
            `removed`: deleted before its end.
        ended_at: the earliest time at which it may be called ended.
        sign: the place after which Rocket.Chat shows the end.
        invalid: where it became invalid before its end.
        hidden: up to 6.2, where a newer import took its place, which invalidates nothing.
        word: where Rocket.Chat wrote an end.
        arrived: the last write after that; pending files arrive after they are done.
        is_superseded: whether a newer import is what made it invalid, or hid it.
    """

    begin: int
    how: str = "silent"
    ended_at: datetime = MONDAY
    sign: int | None = None
    invalid: int | None = None
    hidden: int | None = None
    word: int | None = None
    arrived: int | None = None
    is_superseded: bool = False


@dataclass
class Standstill:
    """A time in which an import that runs or waits made no progress.

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
    kind: Kind
    era: Era
    places: list[int] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    standstills: list[Standstill] = field(default_factory=list)
    prepared: int = 0
    words: int = 0
    #: Where it was deleted for good.
    removed: int | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it is of pending files or avatars, which never read `valid`."""
        return not self.kind.selects

    @property
    def runs_on(self) -> bool:
        """Whether it runs on while it is invalid."""
        return self.is_pending or not self.era.aborts_invalid_imports

    def at(self, happened: int) -> LogEntry:
        """Return the import's entry when the log had that length."""
        return self.entries[bisect_left(self.places, happened) - 1]

    def rests_at(self, entry: LogEntry) -> bool:
        """Return whether nothing runs at a step."""
        return is_resting(self.kind, entry.status)

    def standstill(self, happened: int) -> Standstill | None:
        """Return the standstill that it was in, if any."""
        for standstill in reversed(self.standstills):
            if standstill.begin < happened:
                return standstill if happened <= standstill.end else None
        return None


def progress(entry: LogEntry) -> tuple[str | None, dict[str, Any]]:
    """Return what progress changes."""
    return entry.status, dict(entry.count)


def is_importing(entry: LogEntry) -> bool:
    """Return whether it imports, and does not only prepare."""
    return entry.status == FINISHING or str(entry.status).startswith("importer_importing_")


def read_log(log: list[LogEntry], kinds: Mapping[str, Kind], era: Era) -> dict[str, Import]:
    """Return the imports by id."""
    imports: dict[str, Import] = {}
    newest: list[Import] = []
    superseding = _superseding(log)
    for place, entry in enumerate(log):
        remote_id = entry.operation_id
        if remote_id is None:
            continue
        if entry.event == "started":
            if newest and not era.aborts_invalid_imports:
                newest[-1].runs[-1].hidden = place
            imports[remote_id] = Import(remote_id, len(imports), entry.at, kinds[remote_id], era)
            newest.append(imports[remote_id])
        actual = imports[remote_id]
        _add_entry(actual, place, entry, is_superseded=superseding[place])
    for actual in imports.values():
        _settle(actual.runs[-1], actual, log)
    return imports


def _superseding(log: list[LogEntry]) -> list[bool]:
    """Return for each entry whether a new import is the next thing that invalidates others."""
    results, result = [], False
    for entry in reversed(log):
        if entry.event in ("started", "restarted", "instance-started", "cleared"):
            result = entry.event == "started"
        results.append(result)
    return results[::-1]


def _add_entry(actual: Import, place: int, entry: LogEntry, *, is_superseded: bool) -> None:
    moved = not actual.entries or progress(actual.entries[-1]) != progress(entry)
    actual.places.append(place)
    actual.entries.append(entry)
    actual.prepared += entry.event == "prepared"
    run = actual.runs[-1] if actual.runs else None
    if run is None or (entry.event == "selected" and run.word is not None):
        run = Run(place)
        actual.runs.append(run)
    if entry.event in ("removed", "placed"):
        # What a backup has is placed again as it was.
        actual.removed = place if entry.event == "removed" else None
    if run.word is None:
        _add_to_run(run, actual, place, entry, is_superseded=is_superseded)
    if entry.status in WORDS and entry.event in ("moved", "cancelled") and moved:
        # Pending files arrive after they are done.
        run.arrived, run.ended_at = place, max(run.ended_at, entry.at)
    _add_standstill(actual, place, entry, moved=moved)


def _add_to_run(
    run: Run, actual: Import, place: int, entry: LogEntry, *, is_superseded: bool
) -> None:
    """Add what happened to a run that Rocket.Chat has not called ended."""
    if entry.event == "removed" and run.sign is None:
        run.how, run.ended_at, run.sign = "removed", entry.at, place
    elif entry.event == "placed" and run.how == "removed":
        run.how, run.sign = "silent", None
    elif entry.event == "invalidated" and run.invalid is None:
        run.invalid, run.is_superseded = place, is_superseded
        if run.how == "stopped" and not actual.is_pending:
            # It was killed before, and that shows only now.
            run.sign = place
    elif entry.event == "killed":
        run.how, run.ended_at = "stopped", entry.at
    elif entry.event == "aborted":
        run.how, run.ended_at = "aborted", entry.at
    elif entry.status in WORDS and entry.event in ("moved", "cancelled"):
        run.word = run.sign = place
        actual.words += 1
        if run.how != "aborted":
            run.how, run.ended_at = WORDS[str(entry.status)], entry.at


def _settle(run: Run, actual: Import, log: list[LogEntry]) -> None:
    """Find the end of a run that is not over in Rocket.Chat's words."""
    if run.how not in ("silent", "stopped") or run.word is not None or run.sign is not None:
        return
    moves = [
        place
        for place, entry in zip(actual.places, actual.entries, strict=True)
        if entry.event in ("started", "moved", "selected") and place >= run.begin
    ]
    last = actual.entries[-1]
    if run.hidden is not None and actual.rests_at(last):
        at_rest = max(run.hidden, moves[-1])
        if run.invalid is None or at_rest < run.invalid:
            # It cannot be continued.
            run.how, run.ended_at, run.sign = "stopped", log[run.hidden].at, at_rest
            run.is_superseded = True
            return
    if run.invalid is None:
        run.how, run.ended_at = "silent", log[moves[-1]].at
        return
    has_moved = moves[-1] > run.invalid and is_importing(last)
    if actual.is_pending or (actual.runs_on and has_moved):
        run.how, run.ended_at = "silent", log[moves[-1]].at
        return
    run.how, run.sign = "stopped", run.invalid
    if run.ended_at == MONDAY:
        run.ended_at = log[run.invalid].at


def _add_standstill(actual: Import, place: int, entry: LogEntry, *, moved: bool) -> None:
    last = actual.standstills[-1] if actual.standstills else None
    stops = entry.event == "removed" or (not entry.valid and not actual.is_pending)
    if last and last.end == sys.maxsize and (moved or stops):
        last.end, last.resumed = place, moved
    can_run = entry.valid or actual.is_pending or (actual.runs_on and is_importing(entry))
    if moved and can_run and entry.status not in FINISHED:
        first_run = len(actual.runs) == 1 and actual.runs[0].word is None
        actual.standstills.append(Standstill(place, entry.at, str(entry.status), first_run))
