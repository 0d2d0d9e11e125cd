"""What a poll of a watch costs: CPU time, compared with the bare GET.

    python -m benchmarks.polls

Nothing is ever new in some workspaces; in the others a counter moves between every two polls. They
are claimed as a busy watch does it, a batch at a time. The simulator runs in another process than
the one that is measured.
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
#: Prefixes of the workspaces.
STILL, MOVING = "still", "moving"
#: The workspaces that are claimed together: half of what a pool polls at a time.
BATCH = 16


def figures(polls: int = 208, times: int = 7) -> Iterator[Figure]:
    moving = long_import(polls * times, seconds_per_poll=10)

    def advance(prefix: str, *_: object) -> None:
        if prefix == f"/{MOVING}":
            moving.clock.advance(10)

    workspaces = {f"/{STILL}": running_workspace(), f"/{MOVING}": moving}
    with Server(workspaces, on_response=advance) as server:
        urls = {
            f"{prefix}{number}": f"{server.url}/{prefix}"
            for prefix in (STILL, MOVING)
            for number in range(BATCH)
        }
        with project_environment(urls) as environment, child(environment) as call:
            url = urls[f"{STILL}0"]
            measured = call("benchmarks.polls.measure", url, polls // BATCH, times)
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


def measure(url: str, batches: int, times: int) -> dict[str, Any]:
    """Return the median milliseconds of CPU of a GET and of each poll, and changes per poll."""
    import requests

    session = requests.Session()
    session.trust_env = False
    session.headers.update({"X-User-Id": USER_ID, "X-Auth-Token": TOKEN})
    changes = {IDLE: 0, CHANGING: 0}
    jobs: dict[str, Callable[[], None]] = {
        GET: partial(get, session, url),
        IDLE: poller(IDLE, STILL, changes),
        CHANGING: poller(CHANGING, MOVING, changes),
    }
    for job in jobs.values():
        # The first poll stores the operation; the others warm up.
        for _ in range(3):
            job()
    changes.update(dict.fromkeys(changes, 0))
    timed = {name: partial(cpu_time, job, batches) for name, job in jobs.items()}
    measured = alternate(times, timed)
    polls = batches * BATCH * times
    return {
        "ms": {name: statistics.median(values) for name, values in measured.items()},
        "changes": {name: count / polls for name, count in changes.items()},
    }


def get(session: Any, url: str) -> None:
    """Request a workspace's current operation, as often as a batch has workspaces."""
    for _ in range(BATCH):
        session.get(f"{url}/api/v1/getCurrentImportOperation", timeout=10).json()


def poller(name: str, prefix: str, changes: dict[str, int]) -> Callable[[], None]:
    """Return a function that claims and polls a batch, and counts the changes."""
    from django.utils import timezone

    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.fleet import Fleet
    from importmonitor.sync.poll import poll_claimed

    clients: dict[str, Client] = {}
    names = [f"{prefix}{number}" for number in range(BATCH)]
    fleet = Fleet(names, spread=1.0, longest=1.0)
    fleet.start(at_once=True)

    def poll() -> None:
        claims = fleet.claim(BATCH)
        for claim in claims:
            alias = claim.config.alias
            if alias not in clients:
                clients[alias] = Client(claim.config)
            result = poll_claimed(claim, clients[alias], lambda *_: timezone.now())
            if not result.ok or result.skipped:
                raise RuntimeError(f"{name}: {result}")
            changes[name] += len(result.changes)
        if len(claims) != BATCH:
            raise RuntimeError(f"{name}: {len(claims)} were claimed")

    return poll


def cpu_time(job: Callable[[], None], batches: int) -> float:
    """Return the milliseconds of CPU of a job, by the workspaces of its batches."""
    started = time.process_time()
    for _ in range(batches):
        job()
    return (time.process_time() - started) / batches / BATCH * 1000


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
