"""A cron minute compared with dlt, which does the same job: its REST source, merged on `_id`.

    python -m benchmarks.peer

Whole processes, alternately, on warm databases; before each of them an import has started.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.databases import available, temporary_database
from benchmarks.environments import TOKEN, USER_ID, project_environment
from benchmarks.figures import Figure, alternate, at_most, run_benchmark
from benchmarks.processes import CannotMeasure, Finished, run
from benchmarks.startup import SYNC
from benchmarks.workspaces import new_workspace
from simulator.server import Server
from simulator.workspace import Workspace

OURS, PEER = "importmonitor", "dlt"


def figures(times: int = 3) -> Iterator[Figure]:
    if find_spec("dlt") is None:
        raise CannotMeasure("dlt is not installed (requirements/bench.txt).")
    for database, server in available("SQLite", "PostgreSQL").items():
        workspace = new_workspace()
        with (
            TemporaryDirectory() as folder,
            Server(workspace) as simulator,
            project_environment(
                {"default": simulator.url}, server, RUNTIME__DLTHUB_TELEMETRY="false"
            ) as environment,
            temporary_database(server, Path(folder)) as url,
        ):
            arguments = (f"{folder}/dlt", for_dlt(url), simulator.url, USER_ID, TOKEN)
            commands = {OURS: SYNC, PEER: (sys.executable, "-m", "benchmarks.dlt_sync", *arguments)}

            contenders = {
                name: partial(start_import_and_run, workspace, environment, command)
                for name, command in commands.items()
            }
            alternate(1, contenders)
            finished = alternate(times, contenders)
        for measure, unit in (("wall", "ms"), ("peak", "MiB")):
            ours, peer = (
                median(getattr(one, measure) for one in finished[name]) for name in (OURS, PEER)
            )
            name = f"one poll, {database}{', memory' if unit == 'MiB' else ''}"
            yield Figure(name, ours, unit, PEER, ours / peer, at_most(1))


def start_import_and_run(
    workspace: Workspace, environment: Mapping[str, str], command: Sequence[str]
) -> Finished:
    workspace.start_import("csv", seconds=10)
    workspace.clock.advance(20)
    return run(environment, command)


def for_dlt(url: str) -> str:
    """Return a database's URL as dlt takes it, which insists on a password."""
    if url.startswith("sqlite") or urlsplit(url).password:
        return url.replace("postgres://", "postgresql://")
    return url.replace("postgres://", "postgresql://").replace("@", ":none@")


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
