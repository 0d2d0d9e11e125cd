"""What a cron minute costs: `manage.py sync_import_status` against a command that does nothing.

Whole processes, from fork to exit, one of each in turn, so that a noisy minute hits both. The
poll is the usual one: the current operation is known and nothing about it is new. The workspace
is simulated, on loopback, in this process.

    python -m benchmarks.startup [--pairs 25]

Exit status: 0 measured, whether the goal holds or not; 1 could not be measured.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import django

from benchmarks.hosts import BASE_DIR, TOKEN, USER_ID, migrated
from project.simulator.clock import Clock
from project.simulator.server import Server
from project.simulator.workspace import Workspace

GOAL = 1.35
NOOP = ("manage.py", "noop")
SYNC = ("manage.py", "sync_import_status", "--verbosity", "0")

#: What an import costs is put down to the first of these that it was imported for.
GROUPS = ("requests", "urllib3", "sqlite3", "importmonitor")


class CannotMeasure(Exception):
    """A process that is to be measured did not do what it should."""


@dataclass(frozen=True)
class Run:
    """What a whole process took, in milliseconds: by the clock, and of processors."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Module:
    """A line of `-X importtime`: a module, those that were importing it, its own milliseconds."""

    name: str
    within: tuple[str, ...]
    own: float


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure what a cron minute costs.")
    parser.add_argument("--pairs", type=int, default=25, help="how many of each (default: 25)")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        print(json.dumps(probe()))
        return 0
    try:
        with surroundings() as environment:
            noop, sync = measure(environment, max(options.pairs, 1))
            modules = extra_modules(environment)
            inside = json.loads(run(environment, "-m", "benchmarks.startup", "--probe"))
    except (CannotMeasure, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    report(noop, sync)
    report_difference(noop, sync, modules, inside)
    return 0


@contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """Give the environment of the processes: a simulated workspace, a database that knows it."""
    workspace = Workspace(Clock(datetime.now(UTC)), seed=1, rate_limit=None)
    workspace.add_user(USER_ID, TOKEN)
    workspace.start_import("slack", "done", 60)
    workspace.clock.advance(120)
    with Server(workspace) as server, migrated({"default": server.url}) as environment:
        # The operation comes to be known, and the bytecode of everything to be there.
        for command in (SYNC, NOOP) * 2:
            run(environment, *command)
        yield environment


def run(environment: dict[str, str], *arguments: str) -> str:
    """Run Python to its end; return what it wrote. Raises CannotMeasure if it failed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotMeasure(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stderr if "importtime" in arguments else done.stdout


def measure(environment: dict[str, str], pairs: int) -> tuple[list[Run], list[Run]]:
    """Run both commands in turn; return what each run took."""
    took: dict[tuple[str, ...], list[Run]] = {NOOP: [], SYNC: []}
    for _ in range(pairs):
        for command, runs in took.items():
            spent, began = cpu_of_children(), time.perf_counter()
            run(environment, *command)
            wall = time.perf_counter() - began
            runs.append(Run(wall * 1000, (cpu_of_children() - spent) * 1000))
    return took[NOOP], took[SYNC]


def cpu_of_children() -> float:
    """Return the seconds of processors that all processes took that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def extra_modules(environment: dict[str, str]) -> list[Module]:
    """Return what the sync imports and the command that does nothing does not."""
    noop, sync = (
        imported(run(environment, "-X", "importtime", *command)) for command in (NOOP, SYNC)
    )
    known = {module.name for module in noop}
    return [module for module in sync if module.name not in known]


def imported(told: str) -> list[Module]:
    """Read what `-X importtime` wrote: a module comes after those that it imported."""
    modules: list[Module] = []
    importing: list[str] = []
    for line in reversed(told.splitlines()):
        parts = line.removeprefix("import time:").split("|")
        if not line.startswith("import time:") or not parts[0].strip().isdigit():
            continue
        name = parts[2].strip()
        depth = (len(parts[2]) - len(parts[2].lstrip()) - 1) // 2
        importing[depth:] = [name]
        modules.append(Module(name, tuple(importing), int(parts[0]) / 1000))
    return modules


def group_of(module: Module) -> str:
    """Return for which of the groups a module was imported."""
    packages = {name.partition(".")[0] for name in module.within}
    return next((group for group in GROUPS if group in packages), "other")


def probe() -> dict[str, float]:
    """Return the milliseconds of the parts of one poll, in a process that has imported all."""
    django.setup()
    from django.db import connection

    from importmonitor import conf
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync import sync_workspace

    times: dict[str, float] = defaultdict(float)

    def timed(execute: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            times["queries"] += time.perf_counter() - began
            times["number of queries"] += 1

    class TimedClient(Client):
        def current_operation(self) -> Any:
            began = time.perf_counter()
            try:
                return super().current_operation()
            finally:
                times["http"] += time.perf_counter() - began

    began = time.perf_counter()
    connection.ensure_connection()
    times["connect"] = time.perf_counter() - began
    began = time.perf_counter()
    with connection.execute_wrapper(timed), TimedClient(conf.workspace("default")) as client:
        sync_workspace("default", client=client)
    times["sync"] = time.perf_counter() - began
    return {
        name: value if name.startswith("number") else value * 1000 for name, value in times.items()
    }


def report(noop: list[Run], sync: list[Run]) -> None:
    """Print both medians and their ratio."""
    ratio = median_wall(sync) / median_wall(noop)
    cpu = [statistics.median(each.cpu for each in runs) for runs in (noop, sync)]
    singly = [b.wall / a.wall for a, b in zip(noop, sync, strict=True)]
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Django {django.__version__}, SQLite, "
        f"{len(noop)} pairs\n"
    )
    print(f"{'whole process, ms':<32}{'median':>10}{'least':>10}{'CPU':>10}")
    for command, runs, spent in ((NOOP, noop, cpu[0]), (SYNC, sync, cpu[1])):
        least = min(each.wall for each in runs)
        print(f"{' '.join(command[:2]):<32}{median_wall(runs):>10.0f}{least:>10.0f}{spent:>10.0f}")
    print(f"{'ratio':<32}{ratio:>10.2f}{'':>10}{cpu[1] / cpu[0]:>10.2f}")
    print(f"(single pairs: {min(singly):.2f} to {max(singly):.2f})")
    print(f"goal: at most {GOAL}: {'holds' if ratio <= GOAL else 'does NOT hold'}\n")


def median_wall(runs: list[Run]) -> float:
    """Return the median of what runs took by the clock."""
    return statistics.median(each.wall for each in runs)


def report_difference(
    noop: list[Run], sync: list[Run], modules: list[Module], inside: dict[str, float]
) -> None:
    """Print where the difference goes."""
    difference = median_wall(sync) - median_wall(noop)
    print(f"The difference of {difference:.0f} ms, part by part (each measured by itself, in ms):")
    spent: dict[str, float] = defaultdict(float)
    for module in modules:
        spent[group_of(module)] += module.own
    parts = {f"importing: {group}": milliseconds for group, milliseconds in spent.items()} | {
        "database: connecting": inside["connect"],
        f"database: {inside['number of queries']:.0f} queries": inside["queries"],
        "HTTP: asking and parsing": inside["http"],
        "the rest of the poll (ORM, settings)": inside["sync"] - inside["queries"] - inside["http"],
    }
    # Among it what Python does at the end: it visits all that was ever made.
    parts["none of these"] = difference - sum(parts.values())
    for name, milliseconds in parts.items():
        print(f"  {name:<38}{milliseconds:>8.1f}")
    print("\nThe dearest of the modules, their own time without what they import:")
    for module in sorted(modules, key=lambda each: -each.own)[:15]:
        print(f"  {module.own:>6.1f}  {module.name}")


if __name__ == "__main__":
    sys.exit(main())
