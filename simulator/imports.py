"""Plans an import: all its writes, with their times, when it starts.

So what a poll returns depends on the clock alone, not on when or how often a client polls.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from simulator.kinds import CANCELLED, FAILED, IMPORTING_STARTED, Kind
from simulator.writes import ENDINGS, PACES, Ending, Outline, Pace, Write, plan_writes

_INSTANT_SECONDS = 0.012
_MAX_RECORDS = 60_000


@dataclass(frozen=True, slots=True)
class Event:
    """One write of an import to its operation.

    Attributes:
        offset: seconds after the start, in whole milliseconds.
        status: the raw step, often the same as before.
        count: the counters written, as totals, not increments.
    """

    offset: float
    status: str
    count: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The events of an import that is not interrupted.

    Attributes:
        opening: the events up to the selection, or all of them if there is none.
        selected_after: seconds from the start to the selection; None: it never comes.
        rest: the events from the selection on; their offsets count from it.
    """

    opening: tuple[Event, ...]
    selected_after: float | None = None
    rest: tuple[Event, ...] = ()


def plan_import(
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
) -> ImportPlan:
    """Plan an import.

    Args:
        kind: the type of import.
        rng: the source of randomness; the same state gives the same plan.
        ending: how it ends. `waiting`: it waits for a selection, and is done after one.
        seconds: the duration, greater than 0. `stuck_for` is added to it; an `instant` import
            always takes 12 ms.
        records: the number of records announced, at least 1; by default random, to suit `seconds`.
        pace: the distribution of the records over time; `growing`: the total grows meanwhile.
        step: the raw step at which a `failed` import fails and a `stuck` one stops; by default a
            random one for the former, and half of the records for the latter.
        stuck_for: seconds for which a `stuck` import stops; `math.inf`: for ever.
        contacts: whether every import passes through `importer_importing_contacts` (since 7.x).

    Raises:
        ValueError: an unknown ending or pace, a number out of range, a selection that the kind
            does not wait for, or a step that it does not have.
    """
    if ending not in ENDINGS or pace not in PACES:
        raise ValueError(f"unknown ending or pace: {ending}, {pace}")
    if seconds <= 0 or stuck_for < 0 or (records is not None and records < 1):
        raise ValueError("seconds and records must be greater than 0, and stuck_for at least 0")
    if ending in ("cancelled", "waiting") and not kind.selects:
        raise ValueError(f"a {kind.key} import never waits for a selection")
    if ending == "instant":
        seconds = _INSTANT_SECONDS
        records = records or (rng.randint(1, 40) if kind.selects else 0)
    if records is None:
        records = min(max(round(seconds * rng.uniform(2, 6)), 60), _MAX_RECORDS)
    events = _add_times(plan_writes(Outline(kind, records, ending, pace, contacts), rng), seconds)
    if ending == "failed":
        events = _fail(events, step, seconds, rng)
    elif ending == "stuck":
        events = _stall(events, step, stuck_for)
    return _split_at_selection(events, ending)


def _add_times(writes: list[Write], seconds: float) -> list[Event]:
    elapsed = list(accumulate(write.share for write in writes))
    scale = seconds / elapsed[-1]
    return [
        Event(round(share * scale, 3), write.status, write.count)
        for share, write in zip(elapsed, writes, strict=True)
    ]


def _fail(events: list[Event], step: str | None, seconds: float, rng: random.Random) -> list[Event]:
    """Let the import fail within `step`, and take `seconds` in total."""
    if step is None:
        working = ("importer_preparing_", "importer_importing_")
        # A dict keeps the order of the steps; a set's order differs between processes.
        step = rng.choice(
            list(dict.fromkeys(e.status for e in events if e.status.startswith(working)))
        )
    last = rng.choice(_indexes(events, step))
    failed_at = events[last + 1].offset
    kept = [*events[: last + 1], Event(max(failed_at, 0.001), FAILED)]
    scale = seconds / kept[-1].offset
    return [replace(event, offset=round(event.offset * scale, 3)) for event in kept]


def _stall(events: list[Event], step: str | None, stuck_for: float) -> list[Event]:
    """Pause in the middle of `step`, or of all records."""
    if step is None:
        within = [index for index, event in enumerate(events) if "completed" in event.count]
    else:
        within = _indexes(events, step)
    last = within[(len(within) - 1) // 2]
    if math.isinf(stuck_for):
        return events[: last + 1]
    delayed = (replace(e, offset=round(e.offset + stuck_for, 3)) for e in events[last + 1 :])
    return [*events[: last + 1], *delayed]


def _indexes(events: list[Event], step: str) -> list[int]:
    """Return the indexes of the events in `step`, without the import's last event."""
    indexes = [index for index, event in enumerate(events[:-1]) if event.status == step]
    if not indexes:
        raise ValueError(f"this import does not have the step {step}")
    return indexes


def _split_at_selection(events: list[Event], ending: Ending) -> ImportPlan:
    """Split the events at the selection; `waiting` and `cancelled` imports end there."""
    selected = [index for index, event in enumerate(events) if event.status == IMPORTING_STARTED]
    if not selected:
        return ImportPlan(tuple(events))
    opening, rest = events[: selected[0]], events[selected[0] :]
    start = rest[0].offset
    relative = tuple(replace(event, offset=round(event.offset - start, 3)) for event in rest)
    if ending == "cancelled":
        return ImportPlan((*opening, Event(events[-1].offset, CANCELLED)), None, relative)
    return ImportPlan(tuple(opening), None if ending == "waiting" else start, relative)
