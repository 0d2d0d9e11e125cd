"""What a poll costs in a long-running process: CPU time, compared with the bare GET.

    python -m benchmarks.polls

Nothing is ever new in one workspace; in the other a counter moves between every two polls. The
simulator runs in another process than the one that is measured.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.environments import TOKEN, USER_ID, project_environment
from benchmarks.figures import Figure, alternate, at_most, run_benchmark
from benchmarks.processes import CannotMeasure, child
from benchmarks.workspaces import new_workspace, running_workspace
from simulator.server import Server
from simulator.workspace import Workspace

GET, IDLE, CHANGING = "the bare GET", "an idle poll", "a poll with a change"
#: Aliases of the workspaces.
STILL, MOVING = "still", "moving"


def figures(polls: int = 200, times: int = 7) -> Iterator[Figure]:
    moving = long_import(polls * times, seconds_per_poll=10)

    def advance(prefix: str, *_: object) -> None:
        if prefix == f"/{MOVING}":
            moving.clock.advance(10)

    workspaces = {f"/{STILL}": running_workspace(), f"/{MOVING}": moving}
    with Server(workspaces, on_response=advance) as server:
        urls = {alias: f"{server.url}/{alias}" for alias in (STILL, MOVING)}
        with project_environment(urls) as environment, child(environment) as call:
            measured = call("benchmarks.polls.measure", urls[STILL], polls, times)
    changes = measured["changes"]
    if changes[IDLE] or changes[CHANGING] < 0.9:
        raise CannotMeasure(f"The workspaces did not change as intended: {changes}")
    get, idle, changing = (measured["ms"][name] for name in (GET, IDLE, CHANGING))
    yield Figure(IDLE, idle, "ms CPU", GET, idle / get, at_most(2.3))
    yield Figure(CHANGING, changing, "ms CPU", GET, changing / get, at_most(4.5))


def long_import(polls: int, seconds_per_poll: float) -> Workspace:
    """Return a workspace that imports 6 records a second, for more than these polls."""
    workspace = new_workspace()
    seconds = 4 * polls * seconds_per_poll
    workspace.start_import("slack-users", seconds=seconds, records=round(6 * seconds))
    # By then it is prepared, and imports.
    workspace.clock.advance(0.45 * seconds)
    return workspace


def measure(url: str, polls: int, times: int) -> dict[str, Any]:
    """Return the median milliseconds of CPU of a GET and of each poll, and changes per poll."""
    import requests
    from django.db import close_old_connections

    from importmonitor import conf
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.poll import sync_workspace

    session = requests.Session()
    session.trust_env = False
    session.headers.update({"X-User-Id": USER_ID, "X-Auth-Token": TOKEN})
    changes = {IDLE: 0, CHANGING: 0}

    def get() -> None:
        session.get(f"{url}/api/v1/getCurrentImportOperation", timeout=10).json()

    def poll(name: str, client: Client) -> None:
        result = sync_workspace(client.workspace, client=client)
        close_old_connections()
        if not result.ok or result.skipped:
            raise RuntimeError(f"{name}: {result}")
        changes[name] += len(result.changes)

    def cpu_time(job: Callable[[], None]) -> float:
        started = time.process_time()
        for _ in range(polls):
            job()
        return (time.process_time() - started) / polls * 1000

    with Client(conf.get_workspace(STILL)) as still, Client(conf.get_workspace(MOVING)) as moving:
        jobs: dict[str, Callable[[], None]] = {
            GET: get,
            IDLE: partial(poll, IDLE, still),
            CHANGING: partial(poll, CHANGING, moving),
        }
        for job in jobs.values():
            # The first poll stores the operation; the others warm up.
            for _ in range(20):
                job()
        changes.update(dict.fromkeys(changes, 0))
        measured = alternate(times, {name: partial(cpu_time, job) for name, job in jobs.items()})
    return {
        "ms": {name: statistics.median(values) for name, values in measured.items()},
        "changes": {name: count / polls / times for name, count in changes.items()},
    }


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
