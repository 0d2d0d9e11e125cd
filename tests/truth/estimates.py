"""Estimates of the time left of simulated imports, and how accurate they are."""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from importmonitor.rocketchat.operation import COUNTS, parse_operation
from importmonitor.sync.forecast import Forecast, PresentImport, forecast
from importmonitor.sync.rate import Sample, records_per_second
from importmonitor.sync.speeds import Counts, PastImport, Transition, learn
from simulator.clock import Clock
from simulator.kinds import DONE, IMPORTING_STARTED, USER_SELECTION
from simulator.workspace import Workspace
from simulator.writes import PACES, Pace
from tests.truth.stepwise import KINDS, Server, log_uniform

#: The greatest median error of the forecast at half of the time, by pace.
GOALS: Mapping[Pace, float] = {"steady": 0.15, "slowing": 0.2, "bursty": 0.2, "growing": 0.2}
POLL = 30.0
MAX_SAMPLES = 100
HISTORY = 3
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

WAITING, TENTH, HALF, HALF_OF_RECORDS, NEARLY_DONE = MOMENTS = (
    "while it waits",
    "a tenth of the time",
    "half of the time",
    "half of the records",
    "nine tenths of the time",
)
FORECAST, FIRST, RATE, RULE = ESTIMATES = ("forecast", "first import", "rate alone", "rule of 3")


class Poll(NamedTuple):
    """What a poll showed."""

    at: datetime
    status: str
    counts: Counts


@dataclass(frozen=True)
class Import:
    """An import: its polls, and when things actually happened."""

    kind: str
    polls: Sequence[Poll]
    importing_at: datetime
    done_at: datetime
    half_of_records_at: datetime

    def at(self, moment: str) -> datetime:
        """Return when a moment of the import was."""
        share = {WAITING: 0.0, TENTH: 0.1, HALF: 0.5, NEARLY_DONE: 0.9}.get(moment)
        if share is None:
            return self.half_of_records_at
        return self.importing_at + (self.done_at - self.importing_at) * share


class Judged(NamedTuple):
    """An estimate by its error, a fraction of the truth; and whether the range held it."""

    error: float
    is_covered: bool


#: By estimate; None where there was none.
Judgements = Mapping[str, Judged | None]
#: Returns the imports of a workspace, the last of which is judged.
World = Callable[[Pace, int], list[Import]]


def measure(
    world: World, pace: Pace, imports: int, samples: str = "newest"
) -> dict[str, list[Judgements]]:
    """Return the judgements at all moments, import by import."""
    measured: dict[str, list[Judgements]] = {moment: [] for moment in MOMENTS}
    for number in range(imports):
        *past, present = world(pace, number)
        history = [learned(one) for one in reversed(past)]
        for moment in MOMENTS:
            measured[moment].append(judge(present, history, moment, samples))
    return measured


def simulated(pace: Pace, number: int, history: int = HISTORY, mixed: bool = False) -> list[Import]:
    """Run imports of the simulator, one after the other, in one workspace."""
    rng = random.Random(f"{pace}/{number}")
    kind = rng.choice(KINDS)
    clock = Clock(MONDAY)
    workspace = Workspace(clock, seed=number, rate_limit=None)
    imports = []
    for index in range(history + 1):
        workspace.start_import(
            kind,
            rng.choice(("done", "done-with-errors")),
            seconds=log_uniform(rng, 10 * 60, 9 * 3600),
            # Either a number that suits the time, or any number.
            records=rng.choice((None, round(log_uniform(rng, 2_000, 200_000)))),
            pace=rng.choice(PACES) if mixed and index < history else pace,
        )
        logged = len(workspace.log) - 1
        clock.advance(rng.uniform(0, POLL))
        polls = [poll(workspace)]
        while polls[-1].status != DONE:
            clock.advance(POLL)
            polls.append(poll(workspace))
        log = workspace.log[logged:]
        times = {entry.status: entry.at for entry in reversed(log)}
        amounts = [
            (entry.at, entry.count.get("completed", 0) + entry.count.get("error", 0))
            for entry in log
        ]
        half = next(at for at, amount in amounts if amount * 2 >= amounts[-1][1])
        imports.append(Import(kind, polls, times[IMPORTING_STARTED], times[DONE], half))
    return imports


def poll(workspace: Workspace) -> Poll:
    """Return what a poll of the simulator shows."""
    operation = parse_operation(workspace.current())
    counts = Counts(**{name: getattr(operation, f"count_{name}") for name in COUNTS})
    return Poll(workspace.clock.now(), operation.status, counts)


def stepwise(pace: Pace, number: int, history: int = HISTORY) -> list[Import]:
    """Return imports of a workspace whose steps differ in speed."""
    rng = random.Random(f"stepwise/{pace}/{number}")
    server, start, imports = Server(rng), MONDAY, []
    for _ in range(history + 1):
        writes = server.run(start, pace)
        at, index, polls = start + timedelta(seconds=rng.uniform(0, POLL)), 0, list[Poll]()
        while not polls or polls[-1].status != DONE:
            while index + 1 < len(writes) and writes[index + 1].at <= at:
                index += 1
            polls.append(Poll(at, writes[index].status, writes[index].counts))
            at += timedelta(seconds=POLL)
        importing_at = next(one.at for one in writes if one.status == IMPORTING_STARTED)
        last = writes[-1].counts.handled
        half = next(one.at for one in writes if one.counts.handled * 2 >= last)
        imports.append(Import(server.kind, polls, importing_at, writes[-1].at, half))
        start = writes[-1].at + timedelta(hours=1)
    return imports


WORLDS: Mapping[str, World] = {
    "simulator": simulated,
    "simulator, paces mixed": partial(simulated, mixed=True),
    "steps that differ": stepwise,
}


#: The estimates that have to reach the goals. Where steps differ, nothing says before the first
#: import has reached a step how fast that will be.
GOALS_OF: Mapping[str, tuple[str, ...]] = {
    "simulator": (FORECAST, FIRST),
    "simulator, paces mixed": (FORECAST, FIRST),
    "steps that differ": (FORECAST,),
}


def transitions(polls: Sequence[Poll]) -> list[Transition]:
    """Return the transitions that the sync would store."""
    stored: list[Transition] = []
    for at, status, counts in polls:
        if not stored or status != stored[-1].status:
            stored.append(Transition(at, status, counts.completed, counts.error, counts.total))
    return stored


def samples_of(polls: Sequence[Poll]) -> Iterator[Sample]:
    """Yield a sample of each poll at which a counter had moved."""
    before: Counts | None = None
    for at, _status, counts in polls:
        if before is None or counts != before:
            yield Sample(at, counts.completed or 0, counts.error or 0, counts.total)
        before = counts


def learned(one: Import) -> PastImport:
    """Return what a finished import teaches, from the samples that are kept of it."""
    samples = thinned(list(samples_of(one.polls)), 500)
    counts = one.polls[-1].counts
    return learn("default", one.kind, transitions(one.polls), counts, samples)


def thinned(samples: list[Sample], limit: int) -> list[Sample]:
    """Return at most `limit` samples, evenly spread."""
    if len(samples) <= limit:
        return samples
    return [samples[round(i * (len(samples) - 1) / (limit - 1))] for i in range(limit)]


def judge(one: Import, history: list[PastImport], moment: str, keep: str) -> Judgements:
    """Judge the estimates at a moment, by the polls until then."""
    now = one.at(moment)
    polls = [poll for poll in one.polls if poll.at <= now]
    if moment == WAITING:
        polls = [poll for poll in polls if poll.status != IMPORTING_STARTED]
    last = polls[-1]
    began = next((i for i, poll in enumerate(polls) if poll.status == last.status), 0)
    samples = list(samples_of(polls[began:]))
    newest = samples[-MAX_SAMPLES:]
    present = PresentImport(
        "default",
        one.kind,
        last.status,
        last.counts,
        transitions(polls),
        newest if keep == "newest" else thinned(samples, MAX_SAMPLES),
    )
    truth = (one.done_at - now).total_seconds()
    estimates = {
        FORECAST: forecast(present, history, now),
        FIRST: forecast(present, [], now),
        RATE: by_rate(newest, now),
        RULE: rule_of_three(last.counts, now - one.importing_at),
    }
    return {
        name: None if estimate is None else judged(estimate, truth)
        for name, estimate in estimates.items()
    }


def judged(estimate: Forecast | float, truth: float) -> Judged:
    """Compare an estimate with the truth."""
    if isinstance(estimate, float):
        return Judged(abs(estimate - truth) / truth, False)
    covered = estimate.low <= truth <= estimate.high
    return Judged(abs(estimate.seconds - truth) / truth, covered)


def by_rate(samples: list[Sample], now: datetime) -> float | None:
    """Return the seconds left by the present rate."""
    rate = records_per_second(samples)
    if rate is None:
        return None
    at, completed, error, total = samples[-1]
    if total is None:
        return None
    seconds = (total - completed - error) / rate - (now - at).total_seconds()
    return seconds if seconds > 0 else None


def rule_of_three(counts: Counts, elapsed: timedelta) -> float | None:
    """Return the seconds left by the rule of three."""
    if counts.total is None or not counts.completed:
        return None
    seconds = elapsed.total_seconds() * (counts.total - counts.completed) / counts.completed
    return max(seconds, 0.0)


def median_error(judgements: Sequence[Judgements], estimate: str = FORECAST) -> float:
    """Return the median error of an estimate; infinite if there never is one."""
    errors = [known.error for one in judgements if (known := one[estimate]) is not None]
    return statistics.median(errors) if errors else math.inf


def report(name: str, imports: int, samples: str, moments: Sequence[str]) -> list[str]:
    """Print how accurate the estimates are in a world; return the goals that it misses."""
    world = WORLDS[name]
    measured = {pace: measure(world, pace, imports, samples) for pace in PACES}
    for moment in moments:
        print(f"{name}, {moment}: median error, 90th percentile, none, truth within the range\n")
        print(f"{'':<10}" + "".join(f"{estimate:>28}" for estimate in ESTIMATES))
        for pace in PACES:
            print(f"{pace:<10}" + "".join(columns(measured[pace][moment])))
        print()
    errors = {
        (pace, estimate): median_error(measured[pace][HALF], estimate)
        for pace in PACES
        for estimate in GOALS_OF[name]
    }
    return [
        f"{name}, {pace}, {estimate}, {HALF}: {error:.1%}, not {GOALS[pace]:.0%}"
        for (pace, estimate), error in errors.items()
        if error > GOALS[pace]
    ]


def columns(judgements: Sequence[Judgements]) -> Iterator[str]:
    """Yield the figures of the estimates at a moment."""
    for name in ESTIMATES:
        known = [judgement for one in judgements if (judgement := one[name]) is not None]
        errors = sorted(judgement.error for judgement in known)
        none, covered = 1 - len(known) / len(judgements), ""
        if not known:
            yield f"{'-':>10}{'-':>6}{none:>6.0%}{'':>6}"
            continue
        if name in (FORECAST, FIRST):
            covered = f"{statistics.fmean(one.is_covered for one in known):.0%}"
        nearly_worst = errors[math.ceil(0.9 * len(errors)) - 1]
        yield f"{statistics.median(errors):>10.1%}{nearly_worst:>6.0%}{none:>6.0%}{covered:>6}"


def cost() -> float:
    """Return the seconds that one forecast takes, from the largest number of samples."""
    samples = [
        Sample(MONDAY + timedelta(seconds=POLL * i), i * i, 0, 100_000) for i in range(MAX_SAMPLES)
    ]
    status = "importer_importing_messages"
    counts = Counts(total=100_000, completed=samples[-1].completed, messages=100_000)
    steps = [Transition(MONDAY, USER_SELECTION), Transition(MONDAY, status)]
    present = PresentImport("default", "csv", status, counts, steps, samples)
    began = time.perf_counter()
    for _ in range(100):
        forecast(present, [], samples[-1].at)
    return (time.perf_counter() - began) / 100
