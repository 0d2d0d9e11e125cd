"""How well the time left of an import is estimated: simulated imports, asked when half-way.

Each is looked at every 30 seconds, and what the sync would keep is what the estimate gets. Beside
it stands the rule of three, `elapsed * (total - completed) / completed`, in both readings of
"elapsed": since importing began, and since the operation was created. The second is what one gets
from Rocket.Chat's `ts`; between the two lie the upload, preparing and somebody's selection.

The simulator's steps all go at the same speed. Real ones do not, so the first reading looks better
here than it is.

    python -m tests.truth.time_left [--imports 100]

Exit status: 0 the goal holds; 1 it does not.
"""

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from importmonitor.rocketchat.operation import parse_operation
from importmonitor.sync.rate import Sample, records_per_second
from simulator.clock import Clock
from simulator.kinds import DONE, IMPORTING_STARTED
from simulator.workspace import Workspace
from simulator.writes import PACES, Pace

GOAL = 0.20
POLL = 30.0
MOST_SAMPLES = 100
KINDS = ("csv", "slack", "slack-users")
HALF_OF_TIME, HALF_OF_RECORDS = "half of the time", "half of the records"
OURS, SINCE_IMPORTING, SINCE_CREATED = "ours", "naive, since importing", "naive, since created"
ESTIMATES = (OURS, SINCE_IMPORTING, SINCE_CREATED)
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

#: By estimate: how far off it was, as a part of the true time left; None where it says nothing.
Errors = Mapping[str, float | None]


@dataclass(frozen=True)
class Observation:
    """What one poll saw, and whether a counter had moved since the one before."""

    status: str
    sample: Sample
    moved: bool


@dataclass(frozen=True)
class Import:
    """A simulated import: what polls saw of it, and what they are to be measured by."""

    looks: list[Observation]
    created_at: datetime
    importing_at: datetime
    done_at: datetime
    halves: Mapping[str, datetime]


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure the estimate of an import's time left.")
    parser.add_argument(
        "--imports", type=int, default=100, help="how many of each pace (default: 100)"
    )
    options = parser.parse_args()
    measured = {pace: measure(pace, max(options.imports, 1)) for pace in PACES}
    for half in (HALF_OF_TIME, HALF_OF_RECORDS):
        report(half, {pace: errors[half] for pace, errors in measured.items()})
    steady = median_error(measured["steady"][HALF_OF_TIME])
    holds = steady < GOAL
    print(
        f"goal: a median error under {GOAL:.0%} at {HALF_OF_TIME}, where the pace is steady: "
        f"{steady:.1%}: {'holds' if holds else 'does NOT hold'}"
    )
    print(f"one estimate of {MOST_SAMPLES} samples takes {cost() * 1000:.2f} ms")
    return 0 if holds else 1


def measure(pace: Pace, imports: int) -> dict[str, list[Errors]]:
    """Return the errors of the estimates at both halves, import by import."""
    drawn = [simulate(pace, number) for number in range(imports)]
    return {
        half: [errors_at(each, each.halves[half]) for each in drawn]
        for half in (HALF_OF_TIME, HALF_OF_RECORDS)
    }


def simulate(pace: Pace, number: int) -> Import:
    """Let an import run from beginning to end, and look at it every 30 seconds."""
    rng = random.Random(f"{pace}/{number}")
    clock = Clock(MONDAY)
    workspace = Workspace(clock, seed=number, rate_limit=None)
    workspace.start_import(
        rng.choice(KINDS),
        rng.choice(("done", "done-with-errors")),
        seconds=between(rng, 10 * 60, 9 * 3600),
        # Either as many as suit the time, or any number in any time.
        records=rng.choice((None, round(between(rng, 2_000, 200_000)))),
        pace=pace,
    )
    clock.advance(rng.uniform(0, POLL))
    looks = [look(workspace, None)]
    while looks[-1].status != DONE:
        clock.advance(POLL)
        looks.append(look(workspace, looks[-1]))
    return judged(workspace, looks)


def between(rng: random.Random, least: float, most: float) -> float:
    """Draw a number of any size: as many are between 1 and 10 as between 10 and 100."""
    return math.exp(rng.uniform(math.log(least), math.log(most)))


def look(workspace: Workspace, before: Observation | None) -> Observation:
    """Read the current operation as a poll does."""
    operation = parse_operation(workspace.current())
    sample = Sample(
        workspace.clock.now(),
        operation.count_completed or 0,
        operation.count_error or 0,
        operation.count_total,
    )
    return Observation(operation.status, sample, before is None or before.sample[1:] != sample[1:])


def judged(workspace: Workspace, looks: list[Observation]) -> Import:
    """Read from the simulator's log when things really happened."""
    handled = [
        (entry.at, entry.count.get("completed", 0) + entry.count.get("error", 0))
        for entry in workspace.log
    ]
    times = {entry.status: entry.at for entry in reversed(workspace.log)}
    importing_at, done_at = times[IMPORTING_STARTED], times[DONE]
    return Import(
        looks,
        workspace.log[0].at,
        importing_at,
        done_at,
        {
            HALF_OF_TIME: importing_at + (done_at - importing_at) / 2,
            HALF_OF_RECORDS: next(at for at, count in handled if count * 2 >= handled[-1][1]),
        },
    )


def errors_at(imported: Import, moment: datetime) -> Errors:
    """Return how far off the estimates are at a moment, by what had been seen until then."""
    seen = [each for each in imported.looks if each.sample.at <= moment]
    step = [each for each in seen if each.status == seen[-1].status]
    samples = [each.sample for each in step if each.moved][-MOST_SAMPLES:]
    last = seen[-1].sample
    estimates = {
        OURS: time_left(samples, moment),
        SINCE_IMPORTING: naive(last, moment - imported.importing_at),
        SINCE_CREATED: naive(last, moment - imported.created_at),
    }
    true = (imported.done_at - moment).total_seconds()
    return {
        name: None if estimate is None else abs(estimate - true) / true
        for name, estimate in estimates.items()
    }


def time_left(samples: list[Sample], moment: datetime) -> float | None:
    """Return the seconds left as `ImportOperation.time_left`: they run down between samples."""
    rate = records_per_second(samples)
    if rate is None:
        return None
    at, completed, error, total = samples[-1]
    if total is None:
        return None
    remaining = total - completed - error
    seconds = remaining / rate - (moment - at).total_seconds()
    return seconds if seconds > 0 else None


def naive(last: Sample, elapsed: timedelta) -> float | None:
    """Return the seconds left by the rule of three."""
    if last.total is None or not last.completed:
        return None
    return elapsed.total_seconds() * (last.total - last.completed) / last.completed


def median_error(errors: list[Errors]) -> float:
    """Return the median of our errors; infinite where we never say anything."""
    said = [error for each in errors if (error := each[OURS]) is not None]
    return statistics.median(said) if said else math.inf


def report(half: str, measured: Mapping[Pace, list[Errors]]) -> None:
    """Print a table of the errors at one of the halves."""
    print(f"At {half}: how far off the time left is. Median and 90th percentile are over the")
    print("imports of which all three say something; silent: how often one says nothing.\n")
    print(f"{'':<10}" + "".join(f"{name:>27}" for name in ESTIMATES))
    print(f"{'pace':<10}" + f"{'median':>11}{'90 %':>8}{'silent':>8}" * len(ESTIMATES))
    for pace, errors in measured.items():
        said = [each for each in errors if None not in each.values()]
        line = f"{pace:<10}"
        for name in ESTIMATES:
            values = sorted(error for each in said if (error := each[name]) is not None)
            if values:
                nearly_worst = values[math.ceil(0.9 * len(values)) - 1]
                line += f"{statistics.median(values):>11.1%}{nearly_worst:>8.0%}"
            else:
                line += f"{'-':>11}{'-':>8}"
            line += f"{sum(each[name] is None for each in errors) / len(errors):>8.0%}"
        print(line)
    print()


def cost() -> float:
    """Return the seconds that one estimate takes, of as many samples as there may be."""
    samples = [
        Sample(MONDAY + timedelta(seconds=POLL * i), i * i, 0, None) for i in range(MOST_SAMPLES)
    ]
    began = time.perf_counter()
    for _ in range(100):
        records_per_second(samples)
    return (time.perf_counter() - began) / 100


if __name__ == "__main__":
    sys.exit(main())
