"""Plans an import: all its writes, with their times, when it starts.

So what a poll returns depends on the clock alone, not on when or how often a client polls.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from simulator.eras import Era
from simulator.kinds import CANCELLED, FAILED, IMPORTING_STARTED, Kind
from simulator.writes import ENDINGS, PACES, Ending, Outline, Pace, Write, plan_writes

_INSTANT_SECONDS = 0.012
_MAX_RECORDS = 60_000

#: Which records are imported: a fraction of each type, a number in total, or numbers by type.
Choice = float | int | Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Event:
    """One write of an import to its operation.

    Attributes:
        offset: seconds after the start, in whole milliseconds.
        status: the raw step, often the same as before.
        count: the counters written, as totals, not increments.
        imported: the records really imported up to now, by type.
        is_abort: whether the importer notices now that its operation is invalid, and skips the
            rest.
    """

    offset: float
    status: str
    count: Mapping[str, Any] = field(default_factory=dict)
    imported: Mapping[str, int] = field(default_factory=dict)
    is_abort: bool = False


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The events of an import that is not interrupted.

    Attributes:
        opening: the events up to the selection, or all of them if there is none.
        selected_after: seconds from the start to the selection; None: it never comes.
        rest: the events from the selection on; their offsets count from it.
        sizes: the number of records that the file holds, by type.
    """

    opening: tuple[Event, ...]
    selected_after: float | None = None
    rest: tuple[Event, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)


def plan_import(
    kind: Kind,
    rng: random.Random,
    *,
    ending: Ending = "done",
    seconds: float = 600.0,
    records: int | Mapping[str, int] | None = None,
    pace: Pace = "steady",
    step: str | None = None,
    stuck_for: float = 3600.0,
    era: Era = Era.V8,
    chosen: Choice | None = None,
) -> ImportPlan:
    """Plan an import.

    Args:
        kind: the type of import.
        rng: the source of randomness; the same state gives the same plan.
        ending: how it ends. `waiting`: it waits for a selection, and is done after one.
            `done-short`: less than half is chosen; pending files and avatars are all imported.
            `done-with-errors`: it depends on the era whether the failed records are counted.
        seconds: the duration, greater than 0. `stuck_for` is added to it; an `instant` import
            always takes 12 ms.
        records: the number of records announced, at least 1, or by type; by default random, to
            suit `seconds`.
        pace: the distribution of the records over time; `growing`: the total grows meanwhile.
        step: the raw step at which a `failed` import fails and a `stuck` one stops; by default a
            random one for the former, and half of the records for the latter.
        stuck_for: seconds for which a `stuck` import stops; `math.inf`: for ever.
        era: the version of Rocket.Chat.
        chosen: what is chosen to be imported; by default everything.

    Raises:
        ValueError: an unknown ending or pace, a number out of range, a selection that the kind
            does not wait for, or a step that it does not have.
    """
    if ending not in ENDINGS or pace not in PACES:
        raise ValueError(f"unknown ending or pace: {ending}, {pace}")
    if seconds <= 0 or stuck_for < 0 or (isinstance(records, int) and records < 1):
        raise ValueError("seconds and records must be greater than 0, and stuck_for at least 0")
    if (ending in ("cancelled", "waiting") or chosen is not None) and not kind.selects:
        raise ValueError(f"a {kind.key} import never waits for a selection")
    if ending == "instant":
        seconds = _INSTANT_SECONDS
        records = records or (rng.randint(1, 40) if kind.selects else 0)
    if records is None:
        records = min(max(round(seconds * rng.uniform(2, 6)), 60), _MAX_RECORDS)
    sizes = distribute(records, kind.shares) if isinstance(records, int) else dict(records)
    if chosen is None and ending == "done-short" and kind.selects:
        chosen = rng.uniform(0.3, 0.48)
    outline = Outline(
        kind,
        sizes,
        sizes if chosen is None else choose(sizes, chosen),
        ending,
        pace,
        era,
        seconds,
    )
    events = _add_times(plan_writes(outline, rng), seconds)
    if ending == "failed":
        events = _fail(events, step, seconds, rng)
    elif ending == "stuck":
        events = _stall(events, step, stuck_for)
    return _split_at_selection(events, ending, sizes)


def replan(
    plan: Callable[..., ImportPlan], planned: ImportPlan, seed: str, chosen: Choice
) -> tuple[Event, ...]:
    """Return the events after a selection of fewer records, which take less time in proportion.

    Args:
        plan: `plan_import` with the arguments of the import.
        planned: the plan without a choice.
        seed: the seed of the random numbers.
        chosen: what is chosen.
    """
    number = sum(choose(planned.sizes, chosen).values())
    again = plan(random.Random(seed), records=planned.sizes, chosen=chosen)
    fraction = number / sum(planned.sizes.values())
    return tuple(replace(event, offset=round(event.offset * fraction, 3)) for event in again.rest)


def distribute(records: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Distribute a number of records by shares; the last type has what is left by rounding."""
    sizes = {part: int(records * share) for part, share in shares.items()}
    sizes[list(sizes)[-1]] += records - sum(sizes.values())
    return sizes


def choose(sizes: Mapping[str, int], choice: Choice) -> dict[str, int]:
    """Return how many records are chosen by type; see `Choice`.

    Raises:
        ValueError: nothing is chosen, or more than there is.
    """
    total = sum(sizes.values())
    if isinstance(choice, Mapping):
        chosen = dict(choice)
    elif isinstance(choice, float):
        chosen = {part: round(size * choice) for part, size in sizes.items()}
        if choice > 0 and not any(chosen.values()):
            chosen[next(part for part in sizes if sizes[part])] = 1
    else:
        chosen = distribute(choice, {part: size / max(total, 1) for part, size in sizes.items()})
    if not any(chosen.values()) or any(
        not 0 <= number <= sizes.get(part, 0) for part, number in chosen.items()
    ):
        raise ValueError(f"of {dict(sizes)}, one cannot choose {choice}")
    return chosen


def _add_times(writes: list[Write], seconds: float) -> list[Event]:
    elapsed = list(accumulate(write.share for write in writes))
    scale = seconds / elapsed[-1]
    return [
        Event(round(share * scale, 3), write.status, write.count, write.imported)
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
    failed = Event(max(failed_at, 0.001), FAILED, imported=events[last].imported)
    kept = [*events[: last + 1], failed]
    scale = seconds / kept[-1].offset
    return [replace(event, offset=round(event.offset * scale, 3)) for event in kept]


def _stall(events: list[Event], step: str | None, stuck_for: float) -> list[Event]:
    """Pause in the middle of `step`, or of all records."""
    if step is None:
        half = sum(events[-1].imported.values()) / 2
        last = max(
            index
            for index, event in enumerate(events)
            if event.status.startswith("importer_importing_")
            and sum(event.imported.values()) <= half
        )
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


def _split_at_selection(
    events: list[Event], ending: Ending, sizes: Mapping[str, int]
) -> ImportPlan:
    """Split the events at the selection; `waiting` and `cancelled` imports end there."""
    selected = [index for index, event in enumerate(events) if event.status == IMPORTING_STARTED]
    if not selected:
        return ImportPlan(tuple(events), sizes=sizes)
    opening, rest = events[: selected[0]], events[selected[0] :]
    start = rest[0].offset
    relative = tuple(replace(event, offset=round(event.offset - start, 3)) for event in rest)
    if ending == "cancelled":
        cancelled = Event(events[-1].offset, CANCELLED)
        return ImportPlan((*opening, cancelled), None, relative, sizes)
    selected_after = None if ending == "waiting" else start
    return ImportPlan(tuple(opening), selected_after, relative, sizes)
