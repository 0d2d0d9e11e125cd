"""Against a peer that does the same job: dlt, its REST source merged on `_id`.

    python -m benchmarks.peer [--turns 3]

Whole processes, by turns. A poll that finds a change, and one that finds twenty operations that are
new; the database and everything that dlt keeps are warm.

Exit status: 0 ours is ahead on every row; 1 it is not.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.databases import available, throw_away
from benchmarks.figures import Figure, at_most, by_turns, print_all
from benchmarks.hosts import TOKEN, USER_ID, migrated
from benchmarks.processes import CannotMeasure, Ran, run
from benchmarks.startup import SYNC
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

SCRIPT = Path(__file__).parent / "peers" / "dlt_sync.py"
#: The jobs: what dlt is to ask for, and where in the answer the operations are.
JOBS = {
    "one poll": ("getCurrentImportOperation", "operation"),
    "20 new operations": ("getLatestImportOperations", "$"),
}
OURS, PEER = "ours", "dlt"


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure against dlt.")
    parser.add_argument("--turns", type=int, default=3, help="(default: 3)")
    return print_all(figures(parser.parse_args().turns))


def figures(turns: int = 3) -> Iterator[Figure]:
    """Measure on SQLite and PostgreSQL."""
    if find_spec("dlt") is None:
        raise CannotMeasure("dlt is not installed (requirements/bench.txt).")
    for database, server in available().items():
        if database != "MariaDB":
            for job in JOBS:
                yield from compared(database, server, job, turns)


def compared(database: str, server: str, job: str, turns: int) -> Iterator[Figure]:
    """Measure one job on one kind of database."""
    workspace = Workspace(Clock(datetime.now(UTC)), seed=1, rate_limit=None)
    workspace.add_user(USER_ID, TOKEN)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulator = stack.enter_context(Server(workspace))
        environment = stack.enter_context(migrated({"default": simulator.url}))
        urls = [stack.enter_context(throw_away(server, folder)) for _ in range(2)]
        environment |= {"DATABASE_URL": urls[0], "RUNTIME__DLTHUB_TELEMETRY": "false"}
        run(environment, [sys.executable, "manage.py", "migrate", "--verbosity", "0"])
        theirs = urls[1].replace("postgres://", "postgresql://")
        if server and not urlsplit(server).password:
            # dlt wants one, be it needed or not.
            theirs = theirs.replace("@", ":none@")
        arguments = (str(folder / "dlt"), theirs, simulator.url, USER_ID, TOKEN, *JOBS[job])
        commands = {OURS: SYNC, PEER: (sys.executable, str(SCRIPT), *arguments)}

        def measured(name: str) -> Callable[[], Ran]:
            def measure() -> Ran:
                happen(workspace, job)
                return run(environment, commands[name])

            return measure

        contenders = {name: measured(name) for name in commands}
        by_turns(1, contenders)
        ran = by_turns(turns, contenders)
    for unit, taken in (("ms", "wall"), ("MiB", "peak")):
        ours, peer = (median(getattr(each, taken) for each in ran[name]) for name in (OURS, PEER))
        name = f"{job}, {database}{', memory' if taken == 'peak' else ''}"
        yield Figure(name, ours, unit, PEER, ours / peer, at_most(1))


def happen(workspace: Workspace, job: str) -> None:
    """Have something happen that the next process will find."""
    for _ in range(1 if job == "one poll" else 20):
        workspace.start_import("csv", seconds=10)
        workspace.clock.advance(20)


if __name__ == "__main__":
    sys.exit(main())
