"""What a poll of a watch costs: CPU time, compared with the bare GET.

    python -m benchmarks.polls

Nothing is ever new in some workspaces; in the others a counter moves between every two polls, which
are ten seconds apart by the clock that both sides are given. They are claimed as a busy watch does
it, a batch at a time. The simulator runs in another process than the one that is measured.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.environments import TOKEN, USER_ID, project_environment
from benchmarks.figures import Figure, alternate, at_most, median_ratio, run_benchmark
from benchmarks.processes import CannotMeasure, child
from benchmarks.workspaces import new_workspace, running_workspace
from simulator.server import Server
from simulator.workspace import Workspace

if TYPE_CHECKING:
    from requests import Session

    from importmonitor.rocketchat.client import Client

GET, IDLE, CHANGING = "the bare GET", "an idle poll", "a poll with a change"
FIRST, FIRST_GETS = "the first poll of a workspace", "its three bare GETs"
#: What a first poll requests.
FIRST_PATHS = (
    "getCurrentImportOperation",
    "getLatestImportOperations",
    f"users.info?userId={USER_ID}",
)
#: Prefixes of the workspaces.
STILL, MOVING, NEW = "still", "moving", "new"
#: The workspaces that are claimed together: half of what a pool polls at a time.
BATCH = 16
#: Seconds between two polls of a workspace.
PAUSE = 10


def figures(polls: int = 208, times: int = 7) -> Iterator[Figure]:
    moving = long_import(seconds=4 * polls // BATCH * times * PAUSE)

    def advance(prefix: str, *_: object) -> None:
        if prefix == f"/{MOVING}":
            # All workspaces of a batch are this one.
            moving.clock.advance(PAUSE / BATCH)

    workspaces = {
        f"/{STILL}": running_workspace(),
        f"/{MOVING}": moving,
        f"/{NEW}": running_workspace(),
    }
    with Server(workspaces, on_response=advance) as server:
        urls = {
            f"{prefix}{number}": f"{server.url}/{prefix}"
            for prefix in (STILL, MOVING, NEW)
            for number in range(BATCH)
        }
        with project_environment(urls) as environment, child(environment) as call:
            url = urls[f"{STILL}0"]
            measured = call("benchmarks.polls.measure", url, polls // BATCH, times)
    changes = measured["changes"]
    if changes[IDLE] or changes[CHANGING] < 0.9 or changes[FIRST] != 1:
        raise CannotMeasure(f"The workspaces did not change as intended: {changes}")
    milliseconds = measured["ms"]
    for name, against, bound in ((IDLE, GET, 2.3), (CHANGING, GET, 4.5), (FIRST, FIRST_GETS, 3.0)):
        ratio = median_ratio(milliseconds[name], milliseconds[against])
        value = statistics.median(milliseconds[name])
        yield Figure(name, value, "ms CPU", against, ratio, at_most(bound))


def long_import(seconds: float) -> Workspace:
    """Return a workspace with an import of some 6 records a second, for half of this time."""
    workspace = new_workspace()
    workspace.start_import("slack-users", seconds=seconds, records=round(6 * seconds))
    # By then it is prepared, and imports.
    workspace.clock.advance(0.45 * seconds)
    return workspace


def measure(url: str, batches: int, times: int) -> dict[str, Any]:
    """Return the milliseconds of CPU of a GET and of each poll, and changes per poll."""
    session = new_session()
    still, moving, new = (Poller(prefix) for prefix in (STILL, MOVING, NEW))
    jobs: dict[str, Callable[[], float]] = {
        GET: partial(cpu_time, partial(get, session, url)),
        IDLE: partial(cpu_time, still.poll),
        CHANGING: partial(cpu_time, moving.poll),
        FIRST: new.poll_first,
        FIRST_GETS: partial(cpu_time, partial(get_first, url)),
    }
    for job in jobs.values():
        # The first poll stores the operation; the others warm up.
        for _ in range(3):
            job()
    for poller in (still, moving, new):
        poller.changes = 0
    measured = alternate(times * batches, jobs)
    polls = batches * BATCH * times
    return {
        # Of each turn: one of a batch alone is short.
        "ms": {
            name: [sum(values[turn::times]) / batches for turn in range(times)]
            for name, values in measured.items()
        },
        "changes": {
            name: poller.changes / polls
            for name, poller in ((IDLE, still), (CHANGING, moving), (FIRST, new))
        },
    }


def new_session() -> "Session":
    from requests import Session

    session = Session()
    session.trust_env = False
    session.headers.update({"X-User-Id": USER_ID, "X-Auth-Token": TOKEN})
    return session


def get(session: "Session", url: str) -> None:
    """Request a workspace's current operation, as often as a batch has workspaces."""
    for _ in range(BATCH):
        session.get(f"{url}/api/v1/getCurrentImportOperation", timeout=10).json()


def get_first(url: str) -> None:
    """Request what a first poll does, by a new connection for each workspace of a batch."""
    for _ in range(BATCH):
        with new_session() as session:
            for path in FIRST_PATHS:
                session.get(f"{url}/api/v1/{path}", timeout=10).json()


class Poller:
    """Claims and polls a batch of workspaces, and counts the changes."""

    def __init__(self, prefix: str) -> None:
        from django.utils import timezone

        self.names = [f"{prefix}{number}" for number in range(BATCH)]
        self.changes = 0
        self._now = timezone.now()
        self._start()

    def _start(self) -> None:
        from importmonitor.sync.fleet import Fleet

        self._clients: dict[str, Client] = {}
        self._fleet = Fleet(self.names, spread=1.0, longest=1.0, now=self.now)
        self._fleet.start(at_once=True)

    def now(self) -> datetime:
        return self._now

    def poll(self) -> None:
        """Poll each workspace once."""
        from importmonitor.rocketchat.client import Client
        from importmonitor.sync.poll import poll_claimed

        self._now += timedelta(seconds=PAUSE)
        claims = self._fleet.claim(BATCH)
        for claim in claims:
            alias = claim.config.alias
            if alias not in self._clients:
                self._clients[alias] = Client(claim.config, now=self.now)
            result = poll_claimed(claim, self._clients[alias], lambda *_: self.now(), self.now)
            if not result.ok or result.skipped:
                raise RuntimeError(f"{alias}: {result}")
            self.changes += len(result.changes)
        if len(claims) != BATCH:
            raise RuntimeError(f"{len(claims)} were claimed")

    def poll_first(self) -> float:
        """Poll each workspace for the first time; return the milliseconds of CPU of one."""
        from importmonitor.sync.prune import delete_workspace

        for client in self._clients.values():
            client.close()
        for name in self.names:
            delete_workspace(name)
        self._start()
        return cpu_time(self.poll)


def cpu_time(job: Callable[[], None]) -> float:
    """Return the milliseconds of CPU of a job, by the workspaces of a batch."""
    started = time.process_time()
    job()
    return (time.process_time() - started) / BATCH * 1000


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
