"""What an import goes through: the whole course of one, drawn up when it starts.

That way what a poll sees depends on the clock alone, never on when or how often somebody looked.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from simulator.kinds import CANCELLED, FAILED, IMPORTING_STARTED, Kind
from simulator.writes import ENDINGS, PACES, Ending, Outline, Pace, Write, writes

_INSTANT = 0.012
_MOST_RECORDS = 60_000


@dataclass(frozen=True, slots=True)
class Event:
    """One write of an import to its operation.

    Attributes:
        offset: seconds after the beginning, in whole milliseconds.
        status: the raw step from then on, often the same as before.
        count: the counters written, as totals and not as increments.
    """

    offset: float
    status: str
    count: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to an import unless something comes in between.

    Attributes:
        opening: the events up to the selection, or all of them where there is none.
        selected_after: seconds after the beginning at which somebody selects; None: never.
        rest: the events from the selection on; their offsets count from it.
    """

    opening: tuple[Event, ...]
    selected_after: float | None = None
    rest: tuple[Event, ...] = ()


def draw_up(
    kind: Kind,
    rng: random.Random,
    *,
    ending: Ending = "done",
    seconds: float = 600.0,
    records: int | None = None,
    pace: Pace = "steady",
    step: str | None = None,
    stuck_for: float = 3600.0,
    contacts: bool = True,
) -> Course:
    """Draw up the course of an import.

    Args:
        kind: what is imported.
        rng: where chance comes from; the same state gives the same course.
        ending: how it goes. `waiting`: nobody ever selects; if somebody does, it will be done.
        seconds: from beginning to end, more than 0. What `stuck_for` says comes on top; an
            `instant` import takes 12 ms, whatever this says.
        records: how many records are announced, at least 1; else drawn to suit `seconds`.
        pace: how the records spread over the time; `growing`: their total grows meanwhile.
        step: the raw step at which a `failed` one fails and a `stuck` one sticks; else drawn for
            the first, and half of the records for the second.
        stuck_for: seconds for which a `stuck` one does not move; `math.inf`: for ever.
        contacts: whether every import passes through `importer_importing_contacts` (since 7.x).

    Raises:
        ValueError: no such ending or pace, a number out of range, a selection that the kind does
            not wait for, or a step that it does not go through.
    """
    if ending not in ENDINGS or pace not in PACES:
        raise ValueError(f"no such ending or pace: {ending}, {pace}")
    if seconds <= 0 or stuck_for < 0 or (records is not None and records < 1):
        raise ValueError("seconds and records must be more than 0, and stuck_for at least 0")
    if ending in ("cancelled", "waiting") and not kind.selects:
        raise ValueError(f"a {kind.key} import never waits for a selection")
    if ending == "instant":
        seconds = _INSTANT
        records = records or (rng.randint(1, 40) if kind.selects else 0)
    if records is None:
        records = min(max(round(seconds * rng.uniform(2, 6)), 60), _MOST_RECORDS)
    events = _timed(writes(Outline(kind, records, ending, pace, contacts), rng), seconds)
    if ending == "failed":
        events = _cut(events, step, seconds, rng)
    elif ending == "stuck":
        events = _held_up(events, step, stuck_for)
    return _parted(events, ending)


def _timed(drawn: list[Write], seconds: float) -> list[Event]:
    elapsed = list(accumulate(write.share for write in drawn))
    scale = seconds / elapsed[-1]
    return [
        Event(round(share * scale, 3), write.status, write.count)
        for share, write in zip(elapsed, drawn, strict=True)
    ]


def _cut(events: list[Event], step: str | None, seconds: float, rng: random.Random) -> list[Event]:
    """Let the import fail somewhere in `step`, and still take `seconds` in all."""
    if step is None:
        working = ("importer_preparing_", "importer_importing_")
        # In the order of the steps: a set's own order differs from one process to the next.
        step = rng.choice(
            list(dict.fromkeys(e.status for e in events if e.status.startswith(working)))
        )
    within = _indexes(events, step)
    last = rng.choice(within)
    ahead = events[last + 1].offset
    kept = [*events[: last + 1], Event(max(ahead, 0.001), FAILED)]
    scale = seconds / kept[-1].offset
    return [replace(event, offset=round(event.offset * scale, 3)) for event in kept]


def _held_up(events: list[Event], step: str | None, stuck_for: float) -> list[Event]:
    """Let nothing happen for a while in the middle of `step`, or of the whole work."""
    if step is None:
        within = [index for index, event in enumerate(events) if "completed" in event.count]
    else:
        within = _indexes(events, step)
    last = within[(len(within) - 1) // 2]
    if math.isinf(stuck_for):
        return events[: last + 1]
    held_up = (replace(e, offset=round(e.offset + stuck_for, 3)) for e in events[last + 1 :])
    return [*events[: last + 1], *held_up]


def _indexes(events: list[Event], step: str) -> list[int]:
    """The writes in `step` that others follow."""
    found = [index for index, event in enumerate(events[:-1]) if event.status == step]
    if not found:
        raise ValueError(f"this import does not go through {step}")
    return found


def _parted(events: list[Event], ending: Ending) -> Course:
    """Part the events at the selection, and let the `waiting` and `cancelled` ones end there."""
    selected = [index for index, event in enumerate(events) if event.status == IMPORTING_STARTED]
    if not selected:
        return Course(tuple(events))
    opening, rest = events[: selected[0]], events[selected[0] :]
    start = rest[0].offset
    relative = tuple(replace(event, offset=round(event.offset - start, 3)) for event in rest)
    if ending == "cancelled":
        return Course((*opening, Event(events[-1].offset, CANCELLED)), None, relative)
    return Course(tuple(opening), None if ending == "waiting" else start, relative)
