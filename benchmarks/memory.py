"""What a watch that goes on for long keeps: memory and open files over thousands of polls.

One process runs `sync_import_status --watch` without a pause; an import is under way, and a
counter of it moves at every tenth look. The workspace is simulated, in this process.

    python -m benchmarks.memory [--polls 10000]

Exit status: 0 the goal holds; 1 it does not.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.hosts import BASE_DIR, migrated, running_workspaces
from simulator.server import Server

#: In KiB, from the hundredth poll to the last.
GOAL = 2048
FIRST = 100


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure what a watch keeps.")
    parser.add_argument("--polls", type=int, default=10_000, help="(default: 10000)")
    parser.add_argument("--watch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        watch(options.polls)
        return 0
    workspaces = running_workspaces(1)
    [workspace] = workspaces.values()
    workspace.start_import("slack", seconds=15_000, records=60_000)
    with Server(workspaces) as server, migrated({"w0": f"{server.url}/w0"}) as environment:
        command = [sys.executable, "-m", "benchmarks.memory", "--watch"]
        child = subprocess.Popen(
            [*command, "--polls", str(options.polls)],
            cwd=BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        began = time.monotonic()
        while child.poll() is None:
            # A hundred times as fast as time: a counter moves at every tenth look or so.
            workspace.clock.advance(5)
            time.sleep(0.05)
        took = time.monotonic() - began
        assert child.stdout is not None
        told = json.loads(child.stdout.read())
    grown = told["last"]["kib"] - told["first"]["kib"]
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    print(f"{options.polls:,} polls in {took:.0f} s, {told['changed']:,} of them with a change")
    print(f"memory at poll {FIRST}     {told['first']['kib']:>8,} KiB")
    print(f"memory at the last   {told['last']['kib']:>8,} KiB")
    holds = grown < GOAL
    print(
        f"grown by             {grown:>8,} KiB   goal < {GOAL:,}   {'holds' if holds else 'MISSED'}"
    )
    print(f"open files           {told['first']['files']:>4} then {told['last']['files']}")
    return 0 if holds and told["last"]["files"] <= told["first"]["files"] + 1 else 1


def watch(polls: int) -> None:
    """Run the command in this process until it has looked so often; print what it keeps."""
    import django
    from django.core.management import call_command

    django.setup()
    counting = Counting(polls)
    # Not through its parser, which does not let anybody ask so often.
    call_command(
        "sync_import_status",
        watch=True,
        interval=1e-9,
        idle_interval=1e-9,
        format="json",
        stdout=counting,
    )
    print(json.dumps({"first": counting.first, "last": kept(), "changed": counting.changed}))


class Counting:
    """Takes the command's lines, and ends it when there have been enough."""

    def __init__(self, polls: int) -> None:
        self.polls = polls
        self.seen = self.changed = 0
        self.first: dict[str, int] = {}

    def write(self, line: str) -> None:
        self.seen += 1
        self.changed += '"changes": []' not in line
        if self.seen == FIRST:
            self.first = kept()
        if self.seen == self.polls:
            raise KeyboardInterrupt

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def kept() -> dict[str, int]:
    """Return this process's memory in KiB, and how many files it has open."""
    [_, pages, *_] = Path("/proc/self/statm").read_text().split()
    files = len(list(Path("/proc/self/fd").iterdir()))
    return {"kib": int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024, "files": files}


if __name__ == "__main__":
    sys.exit(main())
