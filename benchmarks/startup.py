"""What a cron minute costs: `manage.py sync_import_status` against a command that does nothing.

And against scripts that only ask and keep the answer. Whole processes, from fork to exit, one of
each in turn, so that a noisy minute hits all. The poll is the usual one: the current operation is
known and nothing about it is new. The workspace is simulated, on loopback, in this process.

    python -m benchmarks.startup [--pairs 25]

Exit status: 0 measured, whether the goal holds or not; 1 could not be measured.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

import django

from benchmarks.figures import Figure, at_most, by_turns, median_ratio
from benchmarks.hosts import TOKEN, USER_ID, migrated
from benchmarks.processes import CannotMeasure, Ran, run
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

GOAL = 1.35
NOOP = (sys.executable, "manage.py", "noop")
SYNC = (sys.executable, "manage.py", "sync_import_status", "--verbosity", "0")
NOOP_NAME, SYNC_NAME = "a command that does nothing", "sync_import_status"
SCRIPT_NAME, CURL_NAME = "a script with requests and sqlite3", "curl | sqlite3"

#: What an import costs is put down to the first of these that it was imported for.
GROUPS = ("requests", "urllib3", "sqlite3", "importmonitor")


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
        with surroundings() as (environment, commands):
            runs = measure(environment, commands, max(options.pairs, 1))
            modules = extra_modules(environment)
            probed = run(environment, [sys.executable, "-m", "benchmarks.startup", "--probe"])
    except (CannotMeasure, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    report(runs)
    report_difference(runs, modules, json.loads(probed.out))
    return 0


def figures(pairs: int = 11) -> Iterator[Figure]:
    """Measure the cron minute against all others."""
    with surroundings() as (environment, commands):
        runs = measure(environment, commands, pairs)
    ours = [each.wall for each in runs.pop(SYNC_NAME)]
    for name, others in runs.items():
        ratio = median_ratio(ours, [each.wall for each in others])
        goal = at_most(GOAL) if name == NOOP_NAME else None
        yield Figure("a cron minute", statistics.median(ours), "ms", name, ratio, goal)


@contextmanager
def surroundings() -> Iterator[tuple[dict[str, str], dict[str, Sequence[str]]]]:
    """Give the environment of the processes, and their command lines by name.

    There is a simulated workspace, and a database that knows it.
    """
    workspace = Workspace(Clock(datetime.now(UTC)), seed=1, rate_limit=None)
    workspace.add_user(USER_ID, TOKEN)
    workspace.start_import("slack", "done", 60)
    workspace.clock.advance(120)
    with Server(workspace) as server, migrated({"default": server.url}) as environment:
        peers = Path(__file__).parent / "peers"
        kept = Path(environment["DATABASE_URL"].removeprefix("sqlite:///")).parent / "peer.sqlite3"
        arguments = (str(kept), server.url, USER_ID, TOKEN)
        commands: dict[str, Sequence[str]] = {
            NOOP_NAME: NOOP,
            SYNC_NAME: SYNC,
            SCRIPT_NAME: (sys.executable, str(peers / "bare_script.py"), *arguments),
        }
        if which("curl") and which("sqlite3"):
            commands[CURL_NAME] = ("sh", str(peers / "curl.sh"), *arguments)
        # The operation comes to be known, and the bytecode of everything to be there.
        for command in (*commands.values(), *commands.values()):
            run(environment, command)
        yield environment, commands


def measure(
    environment: dict[str, str], commands: Mapping[str, Sequence[str]], times: int
) -> dict[str, list[Ran]]:
    """Run all commands in turn, so often; return what each run took."""
    runs = {name: partial(run, environment, command) for name, command in commands.items()}
    return by_turns(times, runs)


def extra_modules(environment: dict[str, str]) -> list[Module]:
    """Return what the sync imports and the command that does nothing does not."""
    noop, sync = (
        imported(run(environment, [sys.executable, "-X", "importtime", *command[1:]]).err)
        for command in (NOOP, SYNC)
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
    from importmonitor.sync.poll import sync_workspace

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


def report(runs: Mapping[str, Sequence[Ran]]) -> None:
    """Print all medians and the ratio."""
    noop, sync = runs[NOOP_NAME], runs[SYNC_NAME]
    singly = [b.wall / a.wall for a, b in zip(noop, sync, strict=True)]
    ratio = statistics.median(singly)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Django {django.__version__}, SQLite, "
        f"{len(noop)} of each\n"
    )
    print(f"{'whole process, ms':<36}{'median':>10}{'least':>10}{'CPU':>10}")
    for name, each in runs.items():
        least, cpu = min(one.wall for one in each), statistics.median(one.cpu for one in each)
        print(f"{name:<36}{median_wall(each):>10.0f}{least:>10.0f}{cpu:>10.0f}")
    print(f"\n{SYNC_NAME} takes {ratio:.2f} × what {NOOP_NAME} takes")
    print(f"(single pairs: {min(singly):.2f} to {max(singly):.2f})")
    print(f"goal: at most {GOAL}: {'holds' if ratio <= GOAL else 'does NOT hold'}\n")


def median_wall(runs: Sequence[Ran]) -> float:
    """Return the median of what runs took by the clock."""
    return statistics.median(each.wall for each in runs)


def report_difference(
    runs: Mapping[str, Sequence[Ran]], modules: list[Module], inside: dict[str, float]
) -> None:
    """Print where the difference goes."""
    difference = median_wall(runs[SYNC_NAME]) - median_wall(runs[NOOP_NAME])
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
