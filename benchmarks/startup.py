"""What a cron minute costs: `sync_import_status` compared with a command that does nothing.

    python -m benchmarks.startup

Whole processes, alternately. The poll is the usual one: nothing about the operation is new.
"""

import statistics
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.environments import project_environment
from benchmarks.figures import Figure, alternate, at_most, median_ratio, run_benchmark
from benchmarks.processes import run
from benchmarks.workspaces import new_workspace
from simulator.server import Server

NOOP = (sys.executable, "manage.py", "noop")
SYNC = (sys.executable, "manage.py", "sync_import_status", "--verbosity", "0")
NOOP_NAME = "a command that does nothing"


def figures(times: int = 15) -> Iterator[Figure]:
    workspace = new_workspace()
    workspace.start_import("slack", "done", 60)
    workspace.clock.advance(120)
    with (
        Server(workspace) as server,
        project_environment({"default": server.url}) as environment,
    ):
        commands = {
            "noop": partial(run, environment, NOOP),
            "sync": partial(run, environment, SYNC),
        }
        # The first runs store the operation and write the bytecode.
        alternate(2, commands)
        finished = alternate(times, commands)
    noop, sync = ([process.wall for process in finished[name]] for name in ("noop", "sync"))
    ratio = median_ratio(sync, noop)
    yield Figure("a cron minute", statistics.median(sync), "ms", NOOP_NAME, ratio, at_most(1.1))


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
