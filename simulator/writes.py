"""What an import writes to its operation, in order, before anything goes wrong with it."""

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
    """What is settled of an import before its writes are drawn; see `imports.draw_up`."""

    kind: Kind
    records: int
    ending: Ending
    pace: Pace
    contacts: bool

    def sizes(self) -> dict[str, int]:
        """How many records of each sort there are."""
        sizes = {part: int(self.records * share) for part, share in self.kind.shares.items()}
        sizes[list(sizes)[-1]] += self.records - sum(sizes.values())
        return sizes

    def announced(self, fraction: float) -> int:
        """The total as it is known when a fraction of the records (0 to 1, or more) is done."""
        if self.pace != "growing":
            return self.records
        return min(self.records, math.ceil(self.records * (0.6 + 0.5 * fraction)))


@dataclass(frozen=True, slots=True)
class Write:
    """A write, and the share of the whole time that passes before it."""

    share: float
    status: str
    count: Mapping[str, int] = field(default_factory=dict)


def writes(outline: Outline, rng: random.Random) -> list[Write]:
    """All writes from `importer_new` to `importer_done`; their shares add up to anything."""
    importing = _select_and_import if outline.kind.selects else _import_at_once
    return [*_prepare(outline), *importing(outline, rng)]


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
        # `import.addUsers` hands its users over in batches; each adds to the total.
        for batch in (1, 2, 3):
            announced = outline.announced(0) * batch // 3
            yield Write(0.06, USER_SELECTION, {"users": announced, "total": announced})
    elif kind.selects:
        yield Write(0.001, status, {"total": outline.announced(0)})
        yield Write(0.002, USER_SELECTION)


def _select_and_import(outline: Outline, rng: random.Random) -> Iterator[Write]:
    yield Write(0.1, IMPORTING_STARTED)
    # Every import walks through all of these, whether it has such records or not.
    parts = ["users", "contacts", "channels", "messages"]
    if not (outline.contacts or "contacts" in outline.sizes()):
        parts.remove("contacts")
    yield from _convert(outline, parts, rng)
    yield Write(0.001, FINISHING)
    yield Write(0.02, DONE)


def _import_at_once(outline: Outline, rng: random.Random) -> Iterator[Write]:
    """Pending files and avatars: they need no selection, and end at once when there are none."""
    if outline.records:
        # Rocket.Chat counts the files as messages.
        announced = outline.announced(0)
        count = {"messages": announced, "total": announced}
        yield Write(0.01, "importer_importing_files", count)
        yield from _convert(outline, ["files"], rng)
    yield Write(0.01, DONE)


def _convert(outline: Outline, parts: list[str], rng: random.Random) -> Iterator[Write]:
    """The work itself; its counters are written every 50 records, or every 500 messages."""
    goals = _goals(outline, parts, rng)
    failures = _failures(outline, goals, rng)
    attempted = failed = 0
    for part, goal in goals.items():
        status = f"importer_importing_{part}"
        yield Write(0.0005, status)
        stride = 500 if part == "messages" else 50
        begun, failed_before = attempted, failed
        for number, stop in enumerate([*range(stride, goal, stride), goal] if goal else []):
            batch = begun + stop - attempted
            attempted += batch
            failed = failed_before + failures.get(part, 0) * stop // goal
            fraction = attempted / outline.records
            count = {"completed": attempted - failed, "error": failed}
            if outline.pace == "growing":
                count["total"] = outline.announced(fraction)
            slowness = _slowness(outline.pace, fraction, number, rng)
            yield Write(0.6 * batch / outline.records * slowness, status, count)


def _goals(outline: Outline, parts: list[str], rng: random.Random) -> dict[str, int]:
    """How many records of each sort are really tried, in the order of `parts`."""
    sizes = outline.sizes()
    goals = {part: sizes.get(part, 0) for part in parts}
    last = [part for part in parts if goals[part]][-1]
    if outline.ending == "overshoot":
        goals[last] += max(1, round(outline.records * 44 / 135))  # as in a real row, 179 of 135
    elif outline.ending == "done-short":
        goals[last] -= max(1, round(goals[last] * rng.uniform(0.03, 0.2)))
    return goals


def _failures(outline: Outline, goals: Mapping[str, int], rng: random.Random) -> dict[str, int]:
    """How many records of which sort fail, and count as errors."""
    if outline.ending != "done-with-errors":
        return {}
    # Failing channels and messages count as completed; so it is users, where there are any.
    failing = "users" if goals.get("users") else [part for part in goals if goals[part]][-1]
    return {failing: max(1, round(goals[failing] * rng.uniform(0.01, 0.05)))}


def _slowness(pace: Pace, fraction: float, number: int, rng: random.Random) -> float:
    jitter = rng.uniform(0.9, 1.1)
    if pace == "slowing":
        return jitter * (1 + 4 * fraction)
    if pace == "bursty":
        return jitter * (9.0 if number % 10 == 0 else 0.1)
    return jitter
