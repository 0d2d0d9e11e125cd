"""Months of plausible imports for the demo, with all their endings."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from typing import Literal

from simulator.workspace import Workspace
from simulator.writes import Ending

Scenario = Ending | Literal["superseded", "restarted", "selected-late"]

# Drawn in rounds, each of them shuffled, so that every month has some of each.
_SCENARIOS: tuple[Scenario, ...] = (
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
_SELECTING_KINDS = ("csv", "slack", "slack-users", "hipchat-enterprise", "omnichannel_contact")
_IMPORTS_PER_DAY = (0, *(1,) * 10, 2, 2)
_PAUSE = timedelta(minutes=20)
_STUCK_FOR = 2700.0


@dataclass(frozen=True, slots=True)
class Step:
    """One user action in the workspace.

    Attributes:
        at: the time of the action, an aware datetime.
        action: called with the workspace when its clock is at `at`.
        label: the action in words.
    """

    at: datetime
    action: Callable[[Workspace], None]
    label: str


def story(seed: int = 0, *, start: datetime, end: datetime) -> list[Step]:
    """Return the actions in a workspace, with some 70 imports in 90 days.

    Args:
        seed: the seed of the random numbers; the same seed and times give the same story.
        start: the first day, an aware datetime.
        end: when the last import has ended at the latest, an aware datetime.

    Returns:
        The steps in the order of their times.
    """
    rng = random.Random(f"story/{seed}")
    scenarios = _shuffled_rounds(_SCENARIOS, rng)
    free_from = start
    steps: list[Step] = []
    for planned_at in _start_times(rng, start, end):
        import_steps, ends_at = _plan(next(scenarios), max(planned_at, free_from), rng)
        if ends_at > end:
            break
        steps += import_steps
        free_from = ends_at + _PAUSE
    return steps


def _shuffled_rounds(scenarios: tuple[Scenario, ...], rng: random.Random) -> Iterator[Scenario]:
    while True:
        yield from rng.sample(scenarios, len(scenarios))


def _start_times(rng: random.Random, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield start times, most of them in working hours; long imports start in the evening."""
    day = start.date()
    while day <= end.date():
        if day.weekday() < 5:
            hours = rng.sample((8, 9, 10, 11, 13, 14, 15, 16, 20), rng.choice(_IMPORTS_PER_DAY))
            for hour in sorted(hours):
                moment = time(
                    hour, rng.randrange(60), rng.randrange(60), rng.randrange(1000) * 1000
                )
                yield max(datetime.combine(day, moment, start.tzinfo), start)
        day += timedelta(days=1)


def _plan(scenario: Scenario, start: datetime, rng: random.Random) -> tuple[list[Step], datetime]:
    """Return the steps of one import, and when it has ended."""
    kind = rng.choice(_SELECTING_KINDS if scenario in ("cancelled", "selected-late") else _KINDS)
    seconds = _duration(start, scenario, rng)
    end = start + timedelta(seconds=seconds)
    midway = start + timedelta(seconds=seconds * rng.uniform(0.55, 0.75))
    match scenario:
        case "superseded":
            first = _start(start, kind, "done", seconds)
            successor_seconds = _duration(midway, "done", rng)
            second = _start(midway, kind, "done", successor_seconds)
            return [first, second], midway + timedelta(seconds=successor_seconds)
        case "restarted":
            restart = Step(midway, Workspace.restart, "a server instance starts")
            return [_start(start, kind, "done", seconds), restart], midway
        case "selected-late":
            selected = start + timedelta(seconds=seconds + rng.uniform(1, 4) * 3600)
            selection = Step(selected, _select_current, "a selection of what to import")
            end = selected + timedelta(seconds=seconds)
            return [_start(start, kind, "waiting", seconds), selection], end
        case "stuck":
            end += timedelta(seconds=_STUCK_FOR)
            return [_start(start, kind, scenario, seconds)], end
        case _:
            return [_start(start, kind, scenario, seconds)], end


def _duration(start: datetime, scenario: Scenario, rng: random.Random) -> float:
    """Return an import's duration in seconds: minutes to hours, and hours in the evening."""
    if scenario == "instant":
        return 1.0
    if start.hour >= 20:
        return round(rng.uniform(4, 9) * 3600)
    shortest, longest = rng.choice(((3, 15), (10, 40), (10, 40), (60, 150), (120, 240)))
    if scenario in ("superseded", "restarted"):
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
