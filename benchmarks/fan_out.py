"""How long many workspaces take side by side, one of them hanging.

`sync_import_status` as cron runs it, for 200 workspaces that answer after 100 ms each and one more
that never does; first for the first time, when there is a list to ask for and everything to be
written, then again. The time is the whole process's, until the last of the good ones is told.

    python -m benchmarks.fan_out [--workspaces 200] [--latency 0.1]

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from statistics import median

from benchmarks.figures import Figure, at_most, by_turns
from benchmarks.hosts import BASE_DIR, migrated, running_workspaces
from benchmarks.processes import run
from benchmarks.startup import NOOP, NOOP_NAME, SYNC
from simulator.server import Server

#: Seconds until all others are done.
GOAL = 5.0
DEADLINE = 10.0
CONCURRENCY = 32
#: How many workspaces are told as figures.
COUNTS = (1, 100, 1000)


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure many workspaces side by side.")
    parser.add_argument("--workspaces", type=int, default=200, help="(default: 200)")
    parser.add_argument("--latency", type=float, default=0.1, help="in seconds (default: 0.1)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.workspaces, options.latency)
        return 0
    with (
        served(options.workspaces, options.latency) as url,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        urls = {f"w{number}": f"{url}/w{number}" for number in range(options.workspaces)}
        urls["silent"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with migrated(urls) as environment:
            environment |= {
                "ROCKETCHAT_SILENT_TIMEOUT": str(DEADLINE),
                "ROCKETCHAT_SILENT_DEADLINE": str(DEADLINE),
            }
            print(
                f"{platform.machine()}, {os.cpu_count()} processors, "
                f"Python {platform.python_version()}; {options.workspaces} workspaces at "
                f"{options.latency * 1000:.0f} ms, {CONCURRENCY} at a time, and one that hangs"
            )
            rounds = ceil(options.workspaces / CONCURRENCY) * options.latency
            # The first look asks for the list too.
            holds = [
                measure(environment, "first look", 2 * rounds),
                measure(environment, "second look", rounds),
            ]
    return 0 if all(holds) else 1


def figures(latency: float = 0.1, times: int = 3) -> Iterator[Figure]:
    """Measure a later look at few, some and many workspaces, whole processes."""
    for count in COUNTS:
        with (
            served(count, latency) as url,
            migrated({f"w{number}": f"{url}/w{number}" for number in range(count)}) as environment,
        ):
            # Everything comes to be known.
            run(environment, SYNC)
            ran = by_turns(
                times,
                {"noop": partial(run, environment, NOOP), "sync": partial(run, environment, SYNC)},
            )
        took, start = (median(each.wall for each in ran[name]) / 1000 for name in ("sync", "noop"))
        peak, least = (median(each.peak for each in ran[name]) for name in ("sync", "noop"))
        ideal = start + ceil(count / CONCURRENCY) * latency
        name, against = f"fan-out over {count:,} workspaces at {latency * 1000:.0f} ms", NOOP_NAME
        goals = (at_most(1.3), at_most(120, "value")) if count == COUNTS[-1] else (None, None)
        yield Figure(name, took, "s", f"the latencies alone, and {against}", took / ideal, goals[0])
        yield Figure(f"{name}, memory", peak, "MiB", against, peak / least, goals[1])


def measure(environment: dict[str, str], name: str, ideal: float) -> bool:
    """Run the command once and print how long it took; tell whether the goal holds."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sync_import_status", "--format", "json"],
        cwd=BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    arrived = {}
    good = True
    for line in process.stdout:
        told = json.loads(line)
        arrived[told["workspace"]] = time.monotonic() - began
        good &= told["ok"] == (told["workspace"] != "silent")
    process.wait()
    hanging = arrived.pop("silent")
    last = max(arrived.values())
    holds = good and last < GOAL and hanging > DEADLINE
    print(
        f"{name:<12} others done after {last:5.2f} s (goal < {GOAL:.0f}; latency alone {ideal:.2f})"
        f"   the one that hangs told after {hanging:5.2f} s (deadline {DEADLINE:.0f})"
        f"   {'holds' if holds else 'MISSED'}"
    )
    return holds


@contextmanager
def served(workspaces: int, latency: float) -> Iterator[str]:
    """Serve the workspaces in a process of their own, so that it is not us who are slow."""
    command = [sys.executable, "-m", "benchmarks.fan_out", "--serve"]
    process = subprocess.Popen(
        [*command, "--workspaces", str(workspaces), "--latency", str(latency)],
        cwd=BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate()


def serve(count: int, latency: float) -> None:
    """Serve until stdin ends."""
    with Server(running_workspaces(count), latency=latency) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main())
