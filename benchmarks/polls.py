"""What a poll costs in a process that goes on: processors' time, against the bare GET.

    python -m benchmarks.polls [--polls 200] [--turns 7]

Of one workspace nothing is ever new, of another a counter has moved at every look. Both are
simulated, in another process than the one whose time is taken; that has kept its connections.

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.figures import Figure, at_most, by_turns, print_all
from benchmarks.hosts import TOKEN, USER_ID, migrated, running_workspaces
from benchmarks.processes import CannotMeasure, run
from simulator.server import Server

GET, IDLE, CHANGING = "the bare GET", "an idle poll", "a poll with a change"
#: In milliseconds: an idle poll in all, and one with a change beyond the GET.
IDLE_GOAL, CHANGING_GOAL = 2.0, 4.0
STILL, MOVING = "still", "moving"


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure what a poll costs in a long run.")
    parser.add_argument("--polls", type=int, default=200, help="in a turn (default: 200)")
    parser.add_argument("--turns", type=int, default=7, help="(default: 7)")
    parser.add_argument("--poll", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.poll:
        print(json.dumps(poll(options.poll, options.polls, options.turns)))
        return 0
    return print_all(figures(options.polls, options.turns))


def figures(polls: int = 200, turns: int = 7) -> Iterator[Figure]:
    """Measure a poll in a long run."""
    still, moving = running_workspaces(2).values()
    # So long that it is not done before the last of them; a counter moves every 50 records.
    duration = 40.0 * polls * turns
    moving.start_import("slack-users", seconds=duration, records=240 * polls * turns)
    # By then it has been prepared, and is importing.
    moving.clock.advance(0.45 * duration)

    def advance(prefix: str, _path: str, _asked_at: float, _answered_at: float) -> None:
        if prefix == f"/{MOVING}":
            moving.clock.advance(10)

    served = {f"/{STILL}": still, f"/{MOVING}": moving}
    with Server(served, on_response=advance) as server:
        urls = {alias: f"{server.url}/{alias}" for alias in (STILL, MOVING)}
        with migrated(urls) as environment:
            command = [sys.executable, "-m", "benchmarks.polls"]
            command += ["--polls", str(polls), "--turns", str(turns)]
            told = json.loads(run(environment, [*command, "--poll", urls[STILL]]).out)
    if told["changes"][IDLE] or told["changes"][CHANGING] < 0.9:
        raise CannotMeasure(f"These were not the polls that were meant: {told['changes']}")
    get, idle, changing = (told["ms"][name] for name in (GET, IDLE, CHANGING))
    yield Figure(IDLE, idle, "ms CPU", GET, idle / get, at_most(IDLE_GOAL, "value"))
    yield Figure(
        f"{CHANGING}, beyond {GET}",
        changing - get,
        "ms CPU",
        GET,
        (changing - get) / get,
        at_most(CHANGING_GOAL, "value"),
    )


def poll(url: str, polls: int, turns: int) -> dict[str, Any]:
    """Return the milliseconds of CPU that a GET and a poll of each kind take: medians of turns.

    And how many changes a poll of each kind has found.
    """
    import django

    django.setup()
    import requests
    from django.db import close_old_connections

    from importmonitor import conf
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.poll import sync_workspace

    session = requests.Session()
    session.trust_env = False
    session.headers.update({"X-User-Id": USER_ID, "X-Auth-Token": TOKEN})
    found = {IDLE: 0, CHANGING: 0}

    def get() -> None:
        session.get(f"{url}/api/v1/getCurrentImportOperation", timeout=10).json()

    def look(name: str, client: Client) -> None:
        result = sync_workspace(client.workspace, client=client)
        close_old_connections()
        if not result.ok or result.skipped:
            raise RuntimeError(f"{name}: {result}")
        found[name] += len(result.changes)

    def timed(once: Callable[[], None]) -> float:
        began = time.process_time()
        for _ in range(polls):
            once()
        return (time.process_time() - began) / polls * 1000

    with Client(conf.workspace(STILL)) as still, Client(conf.workspace(MOVING)) as moving:
        jobs: dict[str, Callable[[], None]] = {
            GET: get,
            IDLE: partial(look, IDLE, still),
            CHANGING: partial(look, CHANGING, moving),
        }
        for job in jobs.values():
            # The first comes to know the workspace.
            for _ in range(20):
                job()
        found.update(dict.fromkeys(found, 0))
        times = by_turns(turns, {name: partial(timed, job) for name, job in jobs.items()})
    return {
        "ms": {name: statistics.median(each) for name, each in times.items()},
        "changes": {name: count / polls / turns for name, count in found.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
