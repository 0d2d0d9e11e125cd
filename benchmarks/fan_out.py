"""How long many workspaces take side by side, and how long while one of them hangs.

    python -m benchmarks.fan_out

`sync_import_status` as cron runs it, whole processes. The workspaces know nothing new.
"""

import json
import socket
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from math import ceil
from statistics import median

from benchmarks.environments import project_environment
from benchmarks.figures import Figure, alternate, at_most, run_benchmark
from benchmarks.fleet.processes import served
from benchmarks.processes import run
from benchmarks.startup import NOOP, NOOP_NAME, SYNC

#: How many workspaces are polled at a time.
CONCURRENCY = 32
COUNTS = (1, 100, 1000)
LATENCY = 0.1
#: The share of the workspaces with an active import.
NOTHING_NEW = 1e-6
#: Seconds until the workspace that hangs is given up.
DEADLINE = "10"


def figures() -> Iterator[Figure]:
    for count in COUNTS:
        yield from many_workspaces(count)
    yield one_hangs(200)


def many_workspaces(count: int, times: int = 3) -> Iterator[Figure]:
    """Measure that many workspaces after the first poll."""
    with (
        served(count, active=NOTHING_NEW, latency=LATENCY) as fleet,
        project_environment({}, **fleet.environment()) as environment,
    ):
        run(environment, SYNC)
        commands = {
            "noop": partial(run, environment, NOOP),
            "sync": partial(run, environment, SYNC),
        }
        finished = alternate(times, commands)
    noop, sync = finished["noop"], finished["sync"]
    startup, seconds = (median(one.wall for one in some) / 1000 for some in (noop, sync))
    least, peak = (median(one.peak for one in some) for some in (noop, sync))
    minimum = startup + ceil(count / CONCURRENCY) * LATENCY
    is_last = count == COUNTS[-1]
    name = f"fan-out over {count:,} workspaces at {LATENCY * 1000:.0f} ms"
    yield Figure(
        name,
        seconds,
        "s",
        f"the latencies alone, and {NOOP_NAME}",
        seconds / minimum,
        at_most(1.3) if is_last else None,
    )
    yield Figure(
        f"{name}, memory",
        peak,
        "MiB",
        NOOP_NAME,
        peak / least,
        at_most(120, "value") if is_last else None,
    )


def one_hangs(count: int) -> Figure:
    """Measure how long the others take while one workspace accepts and never responds."""
    with (
        served(count, active=NOTHING_NEW, latency=LATENCY) as fleet,
        socket.create_server(("127.0.0.1", 0)) as silent,
        project_environment(
            {
                "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
                **{f"w{number}": f"{fleet.url}/w{number}" for number in range(count)},
            },
            ROCKETCHAT_SILENT_TIMEOUT=DEADLINE,
            ROCKETCHAT_SILENT_DEADLINE=DEADLINE,
        ) as environment,
    ):
        started = time.time()
        # 1: one workspace could not be polled.
        finished = run(environment, (*SYNC[:-2], "--format", "json"), exit_status=1)
    results = map(json.loads, finished.output.splitlines())
    seconds = max(
        datetime.fromisoformat(result["polled_at"]).timestamp()
        + result["duration_ms"] / 1000
        - started
        for result in results
        if result["ok"]
    )
    # The first poll of a workspace requests the list too.
    minimum = ceil(count / CONCURRENCY) * 2 * LATENCY
    name = f"{count} workspaces, the first time, while one hangs"
    return Figure(name, seconds, "s", "the latencies alone", seconds / minimum, at_most(5, "value"))


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
