"""Whether a long watch keeps memory or open files: `sync_import_status --watch` without pauses.

    python -m benchmarks.memory

A counter of the import moves at about every tenth poll.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.environments import project_environment
from benchmarks.figures import Figure, at_most, run_benchmark
from benchmarks.polls import long_import
from benchmarks.processes import CannotMeasure, child
from simulator.server import Server

#: The memory is first measured after this many polls.
FIRST = 500


def figures(polls: int = 2000) -> Iterator[Figure]:
    workspace = long_import(seconds=4 * polls)
    with (
        Server(workspace, on_response=lambda *_: workspace.clock.advance(1)) as server,
        # Several, because a watch claims no more often than ten times a second.
        project_environment({f"w{number}": server.url for number in range(20)}) as environment,
        child(environment) as call,
    ):
        watched = call("benchmarks.memory.watch", polls)
    first, last = watched["first"], watched["last"]
    if last["files"] > first["files"] + 1 or watched["changes"] < polls / 20:
        raise CannotMeasure(f"Files are left open, or nothing changed: {watched}")
    yield Figure(
        f"memory that {polls:,} polls keep",
        (last["kib"] - first["kib"]) / 1024,
        "MiB",
        f"after {FIRST} polls",
        last["kib"] / first["kib"],
        at_most(2, "value"),
    )


def watch(polls: int) -> dict[str, Any]:
    """Run the command in this process for that many polls; return its memory and open files."""
    from django.core.management import call_command

    output = CountingOutput(polls)
    # Not through the command's parser, which refuses such intervals.
    call_command(
        "sync_import_status",
        watch=True,
        interval=1e-9,
        idle_interval=1e-9,
        format="json",
        stdout=output,
    )
    return {"first": output.first, "last": resources(), "changes": output.changes}


class CountingOutput:
    """Counts the lines of the command, and interrupts it after the last poll."""

    def __init__(self, polls: int) -> None:
        self.polls = polls
        self.lines = self.changes = 0
        self.first: dict[str, int] = {}

    def write(self, line: str) -> None:
        self.lines += 1
        self.changes += '"changes": []' not in line
        if self.lines == FIRST:
            self.first = resources()
        if self.lines == self.polls:
            raise KeyboardInterrupt

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def resources() -> dict[str, int]:
    """Return this process's memory in KiB, and its number of open files."""
    [_, pages, *_] = Path("/proc/self/statm").read_text().split()
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {"kib": int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024, "files": files}


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
