"""The writes of an import to its operation, in order, without failures and stalls."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from simulator.counting import Tally
from simulator.eras import Era
from simulator.kinds import (
    DONE,
    FILE_LOADED,
    FINISHING,
    IMPORTING_STARTED,
    NEW,
    UPLOADING,
    USER_SELECTION,
    Kind,
)

Ending = Literal[
    "done",
    "done-with-errors",
    "done-short",
    "failed",
    "cancelled",
    "waiting",
    "stuck",
    "instant",
    "overshoot",
]
Pace = Literal["steady", "slowing", "bursty", "growing"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
PACES: tuple[Pace, ...] = get_args(Pace)

# Rocket.Chat 6.2.5 adds a promise to a number, and stores the text.
_PROMISE = {"messages": {}, "total": "0[object Promise]"}
# "Done" is written while so many downloads of pending files still run, for minutes at most.
_DOWNLOADS = 10
_MAX_DOWNLOAD_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Outline:
    """The parameters of an import; see `imports.plan_import`.

    Attributes:
        sizes: the number of records by type, at least one in total.
        chosen: the number of those that are chosen to be imported.
    """

    kind: Kind
    sizes: Mapping[str, int]
    chosen: Mapping[str, int]
    ending: Ending
    pace: Pace
    era: Era
    seconds: float

    @property
    def records(self) -> int:
        """The number of all records."""
        return sum(self.sizes.values())

    @property
    def parts(self) -> list[str]:
        """The steps in which records are imported, in order."""
        if not self.kind.selects:
            return ["files"]
        # Every import has all of these steps, with or without such records.
        parts = ["users", "contacts", "channels", "messages"]
        if not (self.era.has_contacts or "contacts" in self.sizes):
            parts.remove("contacts")
        return parts

    def announced_total(self, fraction: float) -> int:
        """Return the total announced when a fraction of the records (0 to 1, or more) is done."""
        if self.pace != "growing":
            return self.records
        return min(self.records, math.ceil(self.records * (0.6 + 0.5 * fraction)))

    def announcement(self) -> dict[str, Any]:
        """Return the counters of the total as they are written; 6.2 lost some of them."""
        if self.era is Era.V6_2 and self.kind.key == "csv":
            return {}
        if self.era is Era.V6_2 and not self.kind.selects:
            return _PROMISE
        total = self.announced_total(0)
        # Rocket.Chat counts files as messages.
        return {"total": total} if self.kind.selects else {"messages": total, "total": total}

    def tally(self) -> Tally:
        """Return an importer's counters at the start."""
        total = self.announcement().get("total", 0)
        return Tally(self.kind, self.era, math.inf if isinstance(total, str) else total)

    def attempts(self) -> dict[str, int]:
        """Return the number of records attempted by type, in the order of `parts`."""
        attempts = {part: self.chosen.get(part, 0) for part in self.parts}
        if self.ending == "overshoot":
            last = [part for part in attempts if attempts[part]][-1]
            attempts[last] += max(1, round(self.records * 44 / 135))  # a real row had 179 of 135
        return attempts


@dataclass(frozen=True, slots=True)
class Write:
    """A write, and the share of the duration that passes before it.

    Attributes:
        imported: the records really imported up to now, by type; the counters can lag behind.
    """

    share: float
    status: str
    count: Mapping[str, Any] = field(default_factory=dict)
    imported: Mapping[str, int] = field(default_factory=dict)


def plan_writes(outline: Outline, rng: random.Random) -> list[Write]:
    """Return all writes from `importer_new` to `importer_done`; the sum of shares is arbitrary."""
    if outline.kind.selects:
        return [*_prepare(outline), *_select_and_import(outline, rng)]
    return [*_prepare(outline), *_import_at_once(outline, rng)]


def _prepare(outline: Outline) -> Iterator[Write]:
    kind, sizes = outline.kind, outline.sizes
    status = NEW
    yield Write(0, status)
    if kind.file is not None:
        yield Write(0.005, UPLOADING)
        yield Write(0.03, FILE_LOADED)
    for part in kind.preparing:
        status = f"importer_preparing_{part}"
        yield Write(0.005, status)
        if sizes.get(part) and kind.key != "slack-users":
            yield Write(0.2 / len(kind.preparing), status, {part: sizes[part]})
    if kind.key == "api":
        # `import.addUsers` sends the users in batches, each of which adds to the total.
        for batch in (1, 2, 3):
            total = outline.announced_total(0) * batch // 3
            yield Write(0.06, USER_SELECTION, {"users": total, "total": total})
    elif kind.key == "slack-users":
        yield Write(0.2, USER_SELECTION)
        yield Write(0.001, USER_SELECTION, {"total": outline.announced_total(0)})
        yield Write(0.001, USER_SELECTION, {"users": sizes["users"]})
    elif kind.selects:
        yield Write(0.001, status, outline.announcement())
        yield Write(0.002, USER_SELECTION)


def _select_and_import(outline: Outline, rng: random.Random) -> Iterator[Write]:
    yield Write(0.1, IMPORTING_STARTED)
    imported: Mapping[str, int] = {}
    waited = 0.0
    for write in _convert(outline, rng):
        if write.status == DONE:  # the rest of the last step, which is not written
            waited = write.share
        else:
            yield write
        imported = write.imported
    yield Write(0.001 + waited, FINISHING, {}, imported)
    yield Write(0.02, DONE, {}, imported)


def _import_at_once(outline: Outline, rng: random.Random) -> Iterator[Write]:
    """Import pending files or avatars: without a selection, and done at once if there are none."""
    if not outline.records:
        yield Write(0.01, DONE)
        return
    announcement = outline.announcement()
    if not (outline.kind.key == "pending-files" and outline.era.has_contacts):
        yield Write(0.002, "importer_preparing_started", announcement)
    yield Write(0.01, "importer_importing_files", announcement)
    writes = list(_convert(outline, rng))
    if outline.kind.key == "pending-files" and outline.era.aborts_invalid_imports:
        yield from _finish_early(outline, writes)
        return
    yield from writes[:-1]
    yield Write(0.01 + writes[-1].share, DONE, {}, writes[-1].imported)


def _finish_early(outline: Outline, writes: list[Write]) -> Iterator[Write]:
    """Write that the files are done while the last of them still arrive, as 6.3 and later do."""
    # What has happened since the last counters is a write of its own only if anything has.
    writes = [write for write in writes if write.share or write.count]
    total = writes[-1].imported["files"]
    early = max(total - _DOWNLOADS, 0)
    arrived = 0
    is_done = False
    for write in writes:
        number = write.imported["files"]
        share = write.share
        if not is_done and (number > early or write is writes[-1]):
            before = share * (early - arrived) / max(number - arrived, 1)
            yield Write(max(before, 0.005), DONE, {}, {"files": early})
            share = min(share - before, 0.6 * _MAX_DOWNLOAD_SECONDS / outline.seconds)
            is_done = True
        yield Write(share, DONE if is_done else write.status, write.count, write.imported)
        arrived = number


def _convert(outline: Outline, rng: random.Random) -> Iterator[Write]:
    """Import the records; the last write is `importer_done` and carries what no write has said."""
    attempts = outline.attempts()
    failures = _failures(outline, attempts, rng)
    tally = outline.tally()
    imported: dict[str, int] = {}
    attempted = 0
    waited = 0.0
    for part, size in attempts.items():
        status = f"importer_importing_{part}"
        if outline.kind.selects:
            yield Write(0.0005 + waited, status, {}, dict(imported))
            waited = 0.0
        done = failed = number = 0
        while done < size:
            batch = min(tally.records_to_next_write(part), size - done)
            done += batch
            attempted += batch
            fraction = attempted / outline.records
            failed_before, failed = failed, failures.get(part, 0) * done // size
            imported[part] = done - failed
            waited += 0.6 * batch / outline.records * _slowness(outline.pace, fraction, number, rng)
            number += 1
            if outline.pace == "growing" and 0 < tally.total < math.inf:
                tally.total = outline.announced_total(fraction)
            if tally.add(part, batch, failed - failed_before):
                yield Write(waited, status, _count(outline, tally), dict(imported))
                waited = 0.0
        if part == "users" and size and tally.add_users_again(size):
            yield Write(waited + 0.0001, status, _count(outline, tally), dict(imported))
            waited = 0.0
    yield Write(waited, DONE, {}, dict(imported))


def _count(outline: Outline, tally: Tally) -> dict[str, int]:
    if outline.pace == "growing" and 0 < tally.total < math.inf:
        return {**tally.count(), "total": int(tally.total)}
    return tally.count()


def _failures(outline: Outline, attempts: Mapping[str, int], rng: random.Random) -> dict[str, int]:
    """Return the number of records that fail, by type."""
    if outline.ending != "done-with-errors":
        return {}
    # Users fail, if there are any: of the chat's records, only theirs are ever counted as errors.
    part = "users" if attempts.get("users") else [key for key in attempts if attempts[key]][-1]
    return {part: max(1, round(attempts[part] * rng.uniform(0.01, 0.05)))}


def _slowness(pace: Pace, fraction: float, number: int, rng: random.Random) -> float:
    jitter = rng.uniform(0.9, 1.1)
    if pace == "slowing":
        return jitter * (1 + 4 * fraction)
    if pace == "bursty":
        return jitter * (9.0 if number % 10 == 0 else 0.1)
    return jitter
