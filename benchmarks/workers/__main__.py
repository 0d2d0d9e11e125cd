"""Many workspaces polled by several of Celery's workers, one of which is killed in the middle.

    python -m benchmarks.workers --broker redis://127.0.0.1:6379/9 --postgres URL

Beat sends out a round of polls every so often, the workers share them. In the middle of the second
round one worker is killed with all its processes (SIGKILL). The workspaces themselves note who asks
when. Told are how many polls there were, how late the latest was, and whether any workspace was
ever asked twice at once.

The broker's database is emptied: name one that holds nothing else.

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.databases import throw_away
from benchmarks.hosts import BASE_DIR, migrated
from benchmarks.processes import run
from benchmarks.workers.workspaces import serve

#: Seconds for which a lost poll's lease outlasts the workspace's deadline (`sync/lease.py`).
LEASE_MARGIN = 5.0
CELERY = (sys.executable, "-m", "celery", "-A", "project.celery")


@dataclass(frozen=True)
class Workspaces:
    """The process that the workspaces are in."""

    process: "subprocess.Popen[str]"
    url: str

    def seen(self) -> dict[str, list[float]]:
        """Return when each was polled, and under "at once" when one was asked twice at once."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, list[float]] = json.loads(self.process.stdout.readline())
        return told


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers", description="Measure Celery's workers."
    )
    add = parser.add_argument
    add("--workspaces", type=int, default=2000, help="(default: 2000)")
    add("--workers", type=int, default=4, help="(default: 4)")
    add("--concurrency", type=int, default=4, help="processes of a worker (default: 4)")
    add("--latency", type=float, default=0.1, help="of an answer, in seconds (default: 0.1)")
    add("--every", type=float, default=60.0, help="seconds from round to round (default: 60)")
    add("--deadline", type=float, default=30.0, help="of a call, in seconds (default: 30)")
    add("--broker", default=os.environ.get("BROKER_URL", ""), help="(default: BROKER_URL)")
    add("--postgres", default=os.environ.get("POSTGRES_URL", ""), help="(default: POSTGRES_URL)")
    add("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.workspaces, options.latency)
        return 0
    if not options.broker or not options.postgres:
        parser.error("name a broker and a PostgreSQL database by --broker and --postgres")
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; "
        f"{options.workspaces:,} workspaces at {options.latency * 1000:.0f} ms, every "
        f"{options.every:.0f} s, by {options.workers} workers of {options.concurrency} processes"
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workspaces = stack.enter_context(served(options))
        urls = {f"w{number}": f"{workspaces.url}/w{number}" for number in range(options.workspaces)}
        deadlines = {f"ROCKETCHAT_{each.upper()}_DEADLINE": str(options.deadline) for each in urls}
        environment = stack.enter_context(migrated(urls)) | deadlines
        environment |= {
            "DATABASE_URL": stack.enter_context(throw_away(options.postgres, folder)),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "CELERY_BROKER_URL": options.broker,
            "CELERY_SYNC_EVERY": str(options.every),
        }
        run(environment, [sys.executable, "manage.py", "migrate", "--verbosity", "0"])
        run(environment, [*CELERY, "purge", "--force"])
        workers = [
            stack.enter_context(worker(number, options.concurrency, environment, folder))
            for number in range(options.workers)
        ]
        stack.enter_context(beat(environment, folder))
        wait_for_polls(workspaces, options.workspaces, 5 * options.every)
        # The first round is through. Of the second, some are done, and some are under way.
        count = polls(workspaces.seen())
        wait_for_polls(workspaces, count + options.workspaces // 4, 5 * options.every)
        os.killpg(workers[0].pid, signal.SIGKILL)
        killed_at = time.monotonic()
        time.sleep(latest_of(options) + options.every)
        return judge(workspaces.seen(), options, killed_at)


def latest_of(options: argparse.Namespace) -> float:
    """Return how many seconds there may be from a poll of a workspace to its next.

    A poll that was lost with its worker holds its lease for a while. The first round after that
    polls again, early or late in it.
    """
    seconds: float = options.deadline + LEASE_MARGIN + 2 * options.every
    return seconds


def judge(seen: dict[str, list[float]], options: argparse.Namespace, killed_at: float) -> int:
    """Print what was seen; return the exit status."""
    at_once = seen.pop("at once")
    gaps = [later - earlier for each in seen.values() for earlier, later in pairwise(each)]
    after = [min((at for at in each if at > killed_at), default=None) for each in seen.values()]
    forgotten = after.count(None) + options.workspaces - len(seen)
    latest, median = max(gaps), sorted(gaps)[len(gaps) // 2]
    print(
        f"{polls(seen):,} polls; from one of a workspace to its next {median:.1f} s (median), "
        f"{latest:.1f} s at most (goal: at most {latest_of(options):.0f})\n"
        f"never polled again after a worker was killed: {forgotten} (goal: none)\n"
        f"asked twice at once: {len(at_once)} (goal: never)"
    )
    holds = latest <= latest_of(options) and not forgotten and not at_once
    print("holds" if holds else "MISSED")
    return 0 if holds else 1


def polls(seen: Mapping[str, list[float]]) -> int:
    """Return how many polls there have been in all."""
    return sum(len(each) for prefix, each in seen.items() if prefix != "at once")


def wait_for_polls(workspaces: Workspaces, count: int, seconds: float) -> None:
    """Wait until there have been so many; ends the benchmark if that takes too long."""
    ends_at = time.monotonic() + seconds
    while (found := polls(workspaces.seen())) < count:
        if time.monotonic() > ends_at:
            sys.exit(f"Only {found} of {count} polls after {seconds:.0f} s.")
        time.sleep(0.2)


@contextmanager
def served(options: argparse.Namespace) -> Iterator[Workspaces]:
    """Serve the workspaces."""
    command = [sys.executable, "-m", "benchmarks.workers", "--serve"]
    process = subprocess.Popen(
        [*command, "--workspaces", str(options.workspaces), "--latency", str(options.latency)],
        cwd=BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Workspaces(process, process.stdout.readline().strip())
    finally:
        process.communicate()


@contextmanager
def worker(
    number: int, concurrency: int, environment: Mapping[str, str], folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Celery's workers, in a process group of its own."""
    command = ["worker", "--concurrency", str(concurrency), "--hostname", f"w{number}@%h"]
    with celery([*command, "--loglevel", "WARNING"], environment, folder) as process:
        yield process


@contextmanager
def beat(environment: Mapping[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run Celery's beat."""
    command = ["beat", "--schedule", str(folder / "schedule"), "--pidfile", ""]
    with celery(command, environment, folder) as process:
        yield process


@contextmanager
def celery(
    command: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Celery's commands, and end all of its processes afterwards."""
    with (folder / "celery.log").open("ab") as log:
        process = subprocess.Popen(
            [*CELERY, *command],
            cwd=BASE_DIR,
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
