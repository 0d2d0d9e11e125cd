"""The writes of an import to its operation, in order, without failures and stalls."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

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


@dataclass(frozen=True, slots=True)
class Outline:
    """The parameters of an import; see `imports.plan_import`."""

    kind: Kind
    records: int
    ending: Ending
    pace: Pace
    contacts: bool

    def sizes(self) -> dict[str, int]:
        """Return the number of records by type."""
        sizes = {part: int(self.records * share) for part, share in self.kind.shares.items()}
        sizes[list(sizes)[-1]] += self.records - sum(sizes.values())
        return sizes

    def announced_total(self, fraction: float) -> int:
        """Return the total announced when a fraction of the records (0 to 1, or more) is done."""
        if self.pace != "growing":
            return self.records
        return min(self.records, math.ceil(self.records * (0.6 + 0.5 * fraction)))


@dataclass(frozen=True, slots=True)
class Write:
    """A write, and the share of the duration that passes before it."""

    share: float
    status: str
    count: Mapping[str, int] = field(default_factory=dict)


def plan_writes(outline: Outline, rng: random.Random) -> list[Write]:
    """Return all writes from `importer_new` to `importer_done`; the sum of shares is arbitrary."""
    run = _select_and_import if outline.kind.selects else _import_at_once
    return [*_prepare(outline), *run(outline, rng)]


def _prepare(outline: Outline) -> Iterator[Write]:
    kind, sizes = outline.kind, outline.sizes()
    status = NEW
    yield Write(0, status)
    if kind.file is not None:
        yield Write(0.005, UPLOADING)
        yield Write(0.03, FILE_LOADED)
    for part in kind.preparing:
        status = f"importer_preparing_{part}"
        yield Write(0.005, status)
        if part in sizes:
            yield Write(0.2 / len(kind.preparing), status, {part: sizes[part]})
    if kind.key == "api":
        # `import.addUsers` sends the users in batches, each of which adds to the total.
        for batch in (1, 2, 3):
            total = outline.announced_total(0) * batch // 3
            yield Write(0.06, USER_SELECTION, {"users": total, "total": total})
    elif kind.selects:
        yield Write(0.001, status, {"total": outline.announced_total(0)})
        yield Write(0.002, USER_SELECTION)


def _select_and_import(outline: Outline, rng: random.Random) -> Iterator[Write]:
    yield Write(0.1, IMPORTING_STARTED)
    # Every import has all of these steps, with or without such records.
    parts = ["users", "contacts", "channels", "messages"]
    if not (outline.contacts or "contacts" in outline.sizes()):
        parts.remove("contacts")
    yield from _convert(outline, parts, rng)
    yield Write(0.001, FINISHING)
    yield Write(0.02, DONE)


def _import_at_once(outline: Outline, rng: random.Random) -> Iterator[Write]:
    """Import pending files or avatars: without a selection, and done at once if there are none."""
    if outline.records:
        # Rocket.Chat counts the files as messages.
        total = outline.announced_total(0)
        count = {"messages": total, "total": total}
        yield Write(0.01, "importer_importing_files", count)
        yield from _convert(outline, ["files"], rng)
    yield Write(0.01, DONE)


def _convert(outline: Outline, parts: list[str], rng: random.Random) -> Iterator[Write]:
    """Import the records; the counters are written every 50 records, or every 500 messages."""
    attempts = _attempts(outline, parts, rng)
    failures = _failures(outline, attempts, rng)
    attempted = failed = 0
    for part, size in attempts.items():
        status = f"importer_importing_{part}"
        yield Write(0.0005, status)
        stride = 500 if part == "messages" else 50
        attempted_before, failed_before = attempted, failed
        for number, stop in enumerate([*range(stride, size, stride), size] if size else []):
            batch = attempted_before + stop - attempted
            attempted += batch
            failed = failed_before + failures.get(part, 0) * stop // size
            fraction = attempted / outline.records
            count = {"completed": attempted - failed, "error": failed}
            if outline.pace == "growing":
                count["total"] = outline.announced_total(fraction)
            slowness = _slowness(outline.pace, fraction, number, rng)
            yield Write(0.6 * batch / outline.records * slowness, status, count)


def _attempts(outline: Outline, parts: list[str], rng: random.Random) -> dict[str, int]:
    """Return the number of records attempted by type, in the order of `parts`."""
    sizes = outline.sizes()
    attempts = {part: sizes.get(part, 0) for part in parts}
    last = [part for part in parts if attempts[part]][-1]
    if outline.ending == "overshoot":
        attempts[last] += max(1, round(outline.records * 44 / 135))  # a real row had 179 of 135
    elif outline.ending == "done-short":
        attempts[last] -= max(1, round(attempts[last] * rng.uniform(0.03, 0.2)))
    return attempts


def _failures(outline: Outline, attempts: Mapping[str, int], rng: random.Random) -> dict[str, int]:
    """Return the number of records that fail, by type."""
    if outline.ending != "done-with-errors":
        return {}
    # Rocket.Chat counts failing channels and messages as completed: users fail, if there are any.
    part = "users" if attempts.get("users") else [key for key in attempts if attempts[key]][-1]
    return {part: max(1, round(attempts[part] * rng.uniform(0.01, 0.05)))}


def _slowness(pace: Pace, fraction: float, number: int, rng: random.Random) -> float:
    jitter = rng.uniform(0.9, 1.1)
    if pace == "slowing":
        return jitter * (1 + 4 * fraction)
    if pace == "bursty":
        return jitter * (9.0 if number % 10 == 0 else 0.1)
    return jitter
