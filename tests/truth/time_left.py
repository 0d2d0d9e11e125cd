"""How accurate the estimated time left of an import is, half-way through simulated imports.

Each import is polled every 30 seconds, and the estimate gets what the sync would keep. It is
compared with the rule of three, `elapsed * (total - completed) / completed`, for two meanings of
"elapsed": since importing began, and since the operation was created, which is what Rocket.Chat's
`ts` offers; between the two are upload, preparation and selection.

All steps of the simulator have the same speed. Real ones do not, so the first meaning looks better
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
from typing import TYPE_CHECKING

from importmonitor.rocketchat.operation import parse_operation
from simulator.clock import Clock
from simulator.kinds import DONE, IMPORTING_STARTED
from simulator.workspace import Workspace
from simulator.writes import PACES, Pace
from tests.truth.__main__ import set_up

if TYPE_CHECKING:
    # Importable only after Django's setup.
    from importmonitor.sync.rate import Sample

GOAL = 0.20
POLL = 30.0
MAX_SAMPLES = 100
KINDS = ("csv", "slack", "slack-users")
HALF_OF_TIME, HALF_OF_RECORDS = "half of the time", "half of the records"
ESTIMATED, SINCE_IMPORTING, SINCE_CREATED = "estimate", "rule of 3, importing", "rule of 3, created"
ESTIMATES = (ESTIMATED, SINCE_IMPORTING, SINCE_CREATED)
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

#: By estimate: its error as a fraction of the actual time left; None if there is no estimate.
Errors = Mapping[str, float | None]


@dataclass(frozen=True)
class Observation:
    """What one poll showed, and whether a counter had moved since the poll before."""

    status: str
    sample: "Sample"
    moved: bool


@dataclass(frozen=True)
class Import:
    """A simulated import: its polls, and when things actually happened."""

    polls: list[Observation]
    created_at: datetime
    importing_at: datetime
    done_at: datetime
    halves: Mapping[str, datetime]


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Measure how accurate the estimated time left of an import is."
    )
    parser.add_argument(
        "--imports", type=int, default=100, help="number of imports of each pace (default: 100)"
    )
    options = parser.parse_args()
    set_up()
    measured = {pace: measure(pace, max(options.imports, 1)) for pace in PACES}
    for half in (HALF_OF_TIME, HALF_OF_RECORDS):
        report(half, {pace: errors[half] for pace, errors in measured.items()})
    steady = median_error(measured["steady"][HALF_OF_TIME])
    holds = steady < GOAL
    print(
        f"goal: a median error under {GOAL:.0%} at {HALF_OF_TIME}, where the pace is steady: "
        f"{steady:.1%}: {'holds' if holds else 'MISSED'}"
    )
    print(f"one estimate of {MAX_SAMPLES} samples takes {cost() * 1000:.2f} ms")
    return 0 if holds else 1


def measure(pace: Pace, imports: int) -> dict[str, list[Errors]]:
    """Return the errors of the estimates at both halves, import by import."""
    simulated = [simulate(pace, number) for number in range(imports)]
    return {
        half: [errors_at(one, one.halves[half]) for one in simulated]
        for half in (HALF_OF_TIME, HALF_OF_RECORDS)
    }


def simulate(pace: Pace, number: int) -> Import:
    """Run an import from beginning to end, and poll it every 30 seconds."""
    rng = random.Random(f"{pace}/{number}")
    clock = Clock(MONDAY)
    workspace = Workspace(clock, seed=number, rate_limit=None)
    workspace.start_import(
        rng.choice(KINDS),
        rng.choice(("done", "done-with-errors")),
        seconds=log_uniform(rng, 10 * 60, 9 * 3600),
        # Either a number that suits the time, or any number.
        records=rng.choice((None, round(log_uniform(rng, 2_000, 200_000)))),
        pace=pace,
    )
    clock.advance(rng.uniform(0, POLL))
    polls = [poll(workspace, None)]
    while polls[-1].status != DONE:
        clock.advance(POLL)
        polls.append(poll(workspace, polls[-1]))
    return with_actual_times(workspace, polls)


def log_uniform(rng: random.Random, minimum: float, maximum: float) -> float:
    """Return a random number of any magnitude: 1 to 10 is as likely as 10 to 100."""
    return math.exp(rng.uniform(math.log(minimum), math.log(maximum)))


def poll(workspace: Workspace, before: Observation | None) -> Observation:
    """Return what a poll shows."""
    from importmonitor.sync.rate import Sample

    operation = parse_operation(workspace.current())
    sample = Sample(
        workspace.clock.now(),
        operation.count_completed or 0,
        operation.count_error or 0,
        operation.count_total,
    )
    return Observation(operation.status, sample, before is None or before.sample[1:] != sample[1:])


def with_actual_times(workspace: Workspace, polls: list[Observation]) -> Import:
    """Read from the simulator's log when things actually happened."""
    handled = [
        (entry.at, entry.count.get("completed", 0) + entry.count.get("error", 0))
        for entry in workspace.log
    ]
    times = {entry.status: entry.at for entry in reversed(workspace.log)}
    importing_at, done_at = times[IMPORTING_STARTED], times[DONE]
    return Import(
        polls,
        workspace.log[0].at,
        importing_at,
        done_at,
        {
            HALF_OF_TIME: importing_at + (done_at - importing_at) / 2,
            HALF_OF_RECORDS: next(at for at, count in handled if count * 2 >= handled[-1][1]),
        },
    )


def errors_at(imported: Import, moment: datetime) -> Errors:
    """Return the errors of the estimates at a moment, from the polls until then."""
    polls = [observed for observed in imported.polls if observed.sample.at <= moment]
    step = [observed for observed in polls if observed.status == polls[-1].status]
    samples = [observed.sample for observed in step if observed.moved][-MAX_SAMPLES:]
    last = polls[-1].sample
    estimates = {
        ESTIMATED: time_left(samples, moment),
        SINCE_IMPORTING: rule_of_three(last, moment - imported.importing_at),
        SINCE_CREATED: rule_of_three(last, moment - imported.created_at),
    }
    true = (imported.done_at - moment).total_seconds()
    return {
        name: None if estimate is None else abs(estimate - true) / true
        for name, estimate in estimates.items()
    }


def time_left(samples: "list[Sample]", moment: datetime) -> float | None:
    """Return the seconds left as `ImportOperation.time_left` does."""
    from importmonitor.sync.rate import records_per_second

    rate = records_per_second(samples)
    if rate is None:
        return None
    at, completed, error, total = samples[-1]
    if total is None:
        return None
    remaining = total - completed - error
    seconds = remaining / rate - (moment - at).total_seconds()
    return seconds if seconds > 0 else None


def rule_of_three(last: "Sample", elapsed: timedelta) -> float | None:
    """Return the seconds left by the rule of three."""
    if last.total is None or not last.completed:
        return None
    return elapsed.total_seconds() * (last.total - last.completed) / last.completed


def median_error(errors: list[Errors]) -> float:
    """Return the median error of the estimate; infinite if there never is one."""
    known = [error for one in errors if (error := one[ESTIMATED]) is not None]
    return statistics.median(known) if known else math.inf


def report(half: str, measured: Mapping[Pace, list[Errors]]) -> None:
    """Print a table of the errors at one of the halves."""
    print(f"At {half}: the error of the time left. Median and 90th percentile are over the")
    print("imports that have all three estimates; none: how often there is no estimate.\n")
    print(f"{'':<10}" + "".join(f"{name:>27}" for name in ESTIMATES))
    print(f"{'pace':<10}" + f"{'median':>11}{'90 %':>8}{'none':>8}" * len(ESTIMATES))
    for pace, errors in measured.items():
        complete = [one for one in errors if None not in one.values()]
        line = f"{pace:<10}"
        for name in ESTIMATES:
            values = sorted(error for one in complete if (error := one[name]) is not None)
            if values:
                nearly_worst = values[math.ceil(0.9 * len(values)) - 1]
                line += f"{statistics.median(values):>11.1%}{nearly_worst:>8.0%}"
            else:
                line += f"{'-':>11}{'-':>8}"
            line += f"{sum(one[name] is None for one in errors) / len(errors):>8.0%}"
        print(line)
    print()


def cost() -> float:
    """Return the seconds that one estimate takes, from the largest number of samples."""
    from importmonitor.sync.rate import Sample, records_per_second

    samples = [
        Sample(MONDAY + timedelta(seconds=POLL * i), i * i, 0, None) for i in range(MAX_SAMPLES)
    ]
    began = time.perf_counter()
    for _ in range(100):
        records_per_second(samples)
    return (time.perf_counter() - began) / 100


if __name__ == "__main__":
    sys.exit(main())
