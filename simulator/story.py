"""Months of plausible history for the demo: who imported what, when, and what came of it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Literal

from simulator.workspace import Workspace
from simulator.writes import Ending

Turn = Ending | Literal["superseded", "restarted", "selected-late"]

# What becomes of the imports. Dealt like a pack of cards, so that any month has some of each.
_TURNS: tuple[Turn, ...] = (
    *("done",) * 10,
    *("done-with-errors",) * 2,
    *("done-short",) * 2,
    *("failed",) * 2,
    "cancelled",
    "instant",
    "instant",
    "superseded",
    "restarted",
    "selected-late",
    "overshoot",
    "stuck",
)
_KINDS = (
    *("csv",) * 4,
    *("slack",) * 3,
    *("slack-users",) * 2,
    *("pending-files",) * 2,
    *("pending-avatars",) * 2,
    "hipchat-enterprise",
    "omnichannel_contact",
    "api",
)
_WAITING_KINDS = ("csv", "slack", "slack-users", "hipchat-enterprise", "omnichannel_contact")
_IMPORTS_A_DAY = (0, *(1,) * 10, 2, 2)
_PAUSE = timedelta(minutes=20)
_STUCK_FOR = 2700.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does to the workspace.

    Attributes:
        at: when; aware.
        action: what to call with the workspace once its clock stands at `at`.
        label: the same in words.
    """

    at: datetime
    action: Callable[[Workspace], None]
    label: str


def story(seed: int = 0, *, start: datetime, end: datetime) -> list[Step]:
    """Draw up what happens in a workspace: some 70 imports in 90 days.

    Args:
        seed: where chance comes from; the same seed and times give the same story.
        start: the first day; aware.
        end: when the last import has come to its end at the latest; aware.

    Returns:
        The steps in the order of their times.
    """
    rng = random.Random(f"story/{seed}")
    turns = _dealt(_TURNS, rng)
    free_from = start
    steps: list[Step] = []
    for planned in _beginnings(rng, start, end):
        scene, ends = _scene(next(turns), max(planned, free_from), rng)
        if ends > end:
            break
        steps += scene
        free_from = ends + _PAUSE
    return steps


def _dealt(cards: tuple[Turn, ...], rng: random.Random) -> Iterator[Turn]:
    while True:
        yield from rng.sample(cards, len(cards))


def _beginnings(rng: random.Random, start: datetime, end: datetime) -> Iterator[datetime]:
    """Times in working hours, most of them; what takes long is started in the evening."""
    day = start.date()
    while day <= end.date():
        if day.weekday() < 5:
            hours = rng.sample((8, 9, 10, 11, 13, 14, 15, 16, 20), rng.choice(_IMPORTS_A_DAY))
            for hour in sorted(hours):
                moment = time(
                    hour, rng.randrange(60), rng.randrange(60), rng.randrange(1000) * 1000
                )
                yield max(datetime.combine(day, moment, start.tzinfo), start)
        day += timedelta(days=1)


def _scene(turn: Turn, begins: datetime, rng: random.Random) -> tuple[list[Step], datetime]:
    """One import and whatever else is done to it; and when all of it is over."""
    kind = rng.choice(_WAITING_KINDS if turn in ("cancelled", "selected-late") else _KINDS)
    seconds = _length(begins, turn, rng)
    ends = begins + timedelta(seconds=seconds)
    midway = begins + timedelta(seconds=seconds * rng.uniform(0.55, 0.75))
    match turn:
        case "superseded":
            first = _start(begins, kind, "done", seconds)
            successor_seconds = _length(midway, "done", rng)
            second = _start(midway, kind, "done", successor_seconds)
            return [first, second], midway + timedelta(seconds=successor_seconds)
        case "restarted":
            restart = Step(midway, Workspace.restart, "a server instance starts")
            return [_start(begins, kind, "done", seconds), restart], midway
        case "selected-late":
            selected = begins + timedelta(seconds=seconds + rng.uniform(1, 4) * 3600)
            selection = Step(selected, _select_current, "somebody selects what to import")
            ends = selected + timedelta(seconds=seconds)
            return [_start(begins, kind, "waiting", seconds), selection], ends
        case "stuck":
            ends += timedelta(seconds=_STUCK_FOR)
            return [_start(begins, kind, turn, seconds)], ends
        case _:
            return [_start(begins, kind, turn, seconds)], ends


def _length(begins: datetime, turn: Turn, rng: random.Random) -> float:
    """Seconds that an import takes: minutes to hours, and hours in the evening."""
    if turn == "instant":
        return 1.0
    if begins.hour >= 20:
        return round(rng.uniform(4, 9) * 3600)
    shortest, longest = rng.choice(((3, 15), (10, 40), (10, 40), (60, 150), (120, 240)))
    if turn in ("superseded", "restarted"):
        shortest, longest = 60, 180
    return round(rng.uniform(shortest, longest) * 60)


def _start(at: datetime, kind: str, ending: Ending, seconds: float) -> Step:
    action = partial(_start_import, kind=kind, ending=ending, seconds=seconds)
    return Step(at, action, f"{kind}, {ending}, {seconds:.0f} s")


def _start_import(workspace: Workspace, kind: str, ending: Ending, seconds: float) -> None:
    workspace.start_import(kind, ending, seconds, stuck_for=_STUCK_FOR)


def _select_current(workspace: Workspace) -> None:
    operation = workspace.current()
    if operation is not None:
        workspace.select(operation["_id"])
