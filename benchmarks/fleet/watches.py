"""What a watch over many workspaces takes, and how punctual it is."""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.databases import available
from benchmarks.environments import project_environment
from benchmarks.figures import Figure, Goal, alternate, at_least, at_most, median_ratio
from benchmarks.fleet.apps import STATEMENTS
from benchmarks.fleet.processes import (
    ACTIVE,
    LATENCY,
    SECONDS,
    Request,
    Server,
    Watch,
    lateness,
    percentile,
    served,
    watching,
)
from benchmarks.processes import CannotMeasure, child

#: Polls a second, where a watch is not to be busy.
RATE = 50
#: The interval of a watch that is always behind, in seconds: the shortest that there is.
NO_PAUSE = 0.1
#: The number of workspaces of such a watch.
BUSY = 1000
FEW = 100
MAX_MEMORY = at_most(200, "value")
_START = 60.0


@dataclass(frozen=True)
class Watched:
    """What a watch took in a span, in which it made so many polls."""

    polls: int
    per_second: float
    cpu_ms: float
    main_thread_ms: float
    mib: float
    median_late: float
    late: float
    statements: float


def figures() -> Iterator[Figure]:
    """Measure quickly, with one database: PostgreSQL if there is one."""
    *_, (database, server) = available("SQLite", "PostgreSQL").items()
    yield from paces((FEW, 10_000), 5, database, server)
    yield from speed(5, 1, database, server)


def full_figures() -> Iterator[Figure]:
    """Measure up to 100,000 workspaces, with all databases."""
    for database, server in available("SQLite", "PostgreSQL").items():
        # Longer than the minute after which a watch reads the settings again.
        yield from paces((FEW, 1_000, 10_000, 100_000), 70, database, server)
        yield from speed(15, 3, database, server)


def paces(sizes: tuple[int, ...], seconds: float, database: str, server: str) -> Iterator[Figure]:
    """Compare watches that make the same number of polls in a second, over many or few."""
    few, *others = ((size, watch_for(size, size / RATE, seconds, server)) for size in sizes)
    for size, watched in (few, *others):
        name = f"watch over {size:,} workspaces, {database}"
        against = f"{few[0]:,} workspaces"
        goal: Goal | None = at_most(1.5) if size != few[0] else None
        ms = watched.main_thread_ms
        ratio = ms / few[1].main_thread_ms
        yield Figure(f"{name}, scheduling", ms, "ms CPU/poll", against, ratio, goal)
        ratio = watched.cpu_ms / few[1].cpu_ms
        yield Figure(f"{name}, all CPU", watched.cpu_ms, "ms CPU/poll", against, ratio)
        ratio = watched.statements / few[1].statements
        yield Figure(f"{name}, statements", watched.statements, "/poll", against, ratio)
        ratio = watched.mib / few[1].mib
        yield Figure(f"{name}, memory", watched.mib, "MiB", against, ratio, MAX_MEMORY)
        for part, ms in (("median", watched.median_late), ("99 %", watched.late)):
            ratio = ms / 1000 / LATENCY
            yield Figure(f"{name}, due to polled, {part}", ms, "ms", "the latency", ratio)


def speed(seconds: float, rounds: int, database: str, server: str) -> Iterator[Figure]:
    """Compare the polls of a watch that is always behind with bare GETs by as many threads."""
    with ExitStack() as stack:
        fleet, environment, folder = fleet_environment(stack, BUSY, BUSY, server)
        call = stack.enter_context(child(environment))
        threads = call("benchmarks.fleet.rows.concurrency")
        call("benchmarks.fleet.rows.schedule", NO_PAUSE, 0)
        watch = stack.enter_context(watching(environment, NO_PAUSE, folder))
        fleet.wait_for_polls(BUSY, _START)
        watch.stop()
        jobs = {
            "get": partial(call, "benchmarks.fleet.gets.measure", fleet.url, BUSY, threads, seconds)
        }
        measured = alternate(
            rounds, {**jobs, "poll": partial(busy_watch, fleet, environment, folder, seconds)}
        )
    polls, gets = ([run["per_second"] for run in measured[name]] for name in ("poll", "get"))
    cpu, get_cpu = ([run["cpu_ms"] for run in measured[name]] for name in ("poll", "get"))
    against = f"bare GETs by {threads} threads"
    name = f"polls by one watch at {LATENCY * 1000:.0f} ms, {database}"
    goal = at_least(0.6) if database == "PostgreSQL" else None
    ratio = median_ratio(polls, gets)
    yield Figure(name, statistics.median(polls), "/s", against, ratio, goal, is_speed=True)
    ratio = median_ratio(cpu, get_cpu)
    yield Figure(f"{name}, CPU", statistics.median(cpu), "ms CPU", against, ratio)


def fleet_environment(
    stack: ExitStack, size: int, made: int, server: str, **variables: str
) -> tuple[Server, dict[str, str], Path]:
    """Serve a fleet, and fill a database with what the first `made` workspaces show."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    fleet = stack.enter_context(served(size))
    environment = stack.enter_context(
        project_environment({}, server, **fleet.environment(), **variables)
    )
    with child(environment) as call:
        call("benchmarks.fleet.rows.fill", size, made, ACTIVE, SECONDS)
    return fleet, environment, folder


def busy_watch(
    fleet: Server, environment: Mapping[str, str], folder: Path, seconds: float
) -> dict[str, float]:
    """Return the polls in a second, and the milliseconds of CPU of one, of a busy watch."""
    with watching(environment, NO_PAUSE, folder) as watch:
        before = fleet.count_polls()
        # The settings are read, and all threads work.
        fleet.wait_for_polls(before + BUSY // 4, _START)
        watched, _polls = observe(fleet, watch, seconds)
        watch.stop()
    return watched


def observe(fleet: Server, watch: Watch, seconds: float) -> tuple[dict[str, float], list[Request]]:
    """Return what a watch takes for a poll, and the polls, in a span of time."""
    started, cpu, main = time.time(), watch.cpu(), watch.main_thread_cpu()
    time.sleep(seconds)
    ended, cpu, main = time.time(), watch.cpu() - cpu, watch.main_thread_cpu() - main
    polls = [poll for poll in fleet.polls() if started <= poll.ended < ended]
    if not polls:
        raise CannotMeasure(f"The watch polls nothing: {watch.last_errors()}")
    if not all(poll.status == 200 for poll in polls):
        raise CannotMeasure("Polls failed.")
    return {
        "per_second": len(polls) / (ended - started),
        "cpu_ms": cpu / len(polls) * 1000,
        "main_thread_ms": main / len(polls) * 1000,
    }, polls


def watch_for(size: int, interval: float, seconds: float, server: str) -> Watched:
    """Watch a fleet for some seconds, polling every workspace at this interval."""
    with ExitStack() as stack:
        # It takes some seconds until the first poll.
        count = round(RATE * (seconds + _START))
        fleet, environment, folder = fleet_environment(stack, size, count, server)
        statements = folder / "statements"
        environment[STATEMENTS] = str(statements)
        with child(environment) as call:
            due = call("benchmarks.fleet.rows.schedule", interval, count)
        watch = stack.enter_context(watching(environment, interval, folder))
        fleet.wait_for_polls(1, _START)
        # What came due before it began to poll is polled at once.
        time.sleep(2)
        costs, polls = observe(fleet, watch, seconds)
        mib = watch.peak()
        watch.stop()
        all_polls = fleet.polls()
        executed = int(statements.read_text())
    first = {number: due["first"] + due["step"] * number for number in range(size)}
    late = [
        seconds * 1000
        for poll, seconds in lateness(all_polls, first, interval)
        if poll.started >= polls[0].started
    ]
    return Watched(
        polls=len(polls),
        mib=mib,
        median_late=percentile(late, 50),
        late=percentile(late, 99),
        statements=executed / len(all_polls),
        **costs,
    )
