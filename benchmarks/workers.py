"""Many workspaces polled by the workers of tasks, one of which is killed in the middle of a round.

    python -m benchmarks.workers --postgres URL --broker redis://127.0.0.1:6379/9
    python -m benchmarks.workers --postgres URL --tasks django

The second needs Django 6.0 or later and django-tasks-db. Every few seconds a round of polls begins.
In the middle of the second round one worker is killed with all its processes (SIGKILL). The
workspaces record who requests what and when.

The broker's database is emptied: name one that holds nothing else.

Exit status: 0 the goals hold; 1 they do not.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.environments import project_environment
from benchmarks.fleet.processes import Request, count_overlaps, served
from benchmarks.processes import BASE_DIR, CannotMeasure, run

#: Seconds by which the lease of a lost poll outlasts the workspace's deadline (`sync/lease.py`).
LEASE_MARGIN = 5.0
CELERY = (sys.executable, "-m", "celery", "-A", "project.celery")
#: Django's tasks have no scheduler.
SCHEDULER = """
import sys, time
import django
django.setup()
from importmonitor.contrib.tasks import sync_workspaces
while True:
    sync_workspaces.enqueue()
    time.sleep(float(sys.argv[1]))
"""

Worker = subprocess.Popen[bytes]


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers", description="Measure the workers of tasks."
    )
    add = parser.add_argument
    add("--tasks", choices=["celery", "django"], default="celery", help="(default: celery)")
    add("--workspaces", type=int, default=2000, help="(default: 2000)")
    add("--workers", type=int, default=4, help="(default: 4)")
    add("--concurrency", type=int, default=4, help="processes of a worker (default: 4)")
    add("--latency", type=float, default=0.1, help="of a response, in seconds (default: 0.1)")
    add("--every", type=float, default=60.0, help="seconds between rounds (default: 60)")
    add("--deadline", type=float, default=30.0, help="of a call, in seconds (default: 30)")
    add("--broker", default=os.environ.get("BROKER_URL", ""), help="(default: BROKER_URL)")
    add("--postgres", default=os.environ.get("POSTGRES_URL", ""), help="(default: POSTGRES_URL)")
    options = parser.parse_args()
    if not options.postgres:
        parser.error("name a PostgreSQL database by --postgres")
    if options.tasks == "celery" and not options.broker:
        parser.error("name a broker by --broker")
    print(
        f"{options.workspaces:,} workspaces at {options.latency * 1000:.0f} ms, every "
        f"{options.every:.0f} s, by {options.workers} workers of {options.concurrency} processes: "
        f"{options.tasks}",
        flush=True,
    )
    # A lost poll holds its lease for a while. The first round after that polls again, early or
    # late in it.
    max_gap = options.deadline + LEASE_MARGIN + 2 * options.every
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        fleet = stack.enter_context(served(options.workspaces, latency=options.latency))
        variables = {
            **fleet.environment(),
            "FLEET_DEADLINE": str(options.deadline),
            "CELERY_BROKER_URL": options.broker,
            "CELERY_SYNC_EVERY": str(options.every),
            "TASKS": options.tasks,
        }
        environment = stack.enter_context(project_environment({}, options.postgres, **variables))
        start = {"celery": start_celery, "django": start_django}[options.tasks]
        worker = start(stack, options, environment, folder)
        fleet.wait_for_polls(options.workspaces, 5 * options.every)
        # The first round is complete. Kill when a quarter of the second is done.
        count = fleet.count_polls() + options.workspaces // 4
        fleet.wait_for_polls(count, 5 * options.every)
        for process in worker:
            os.killpg(process.pid, signal.SIGKILL)
        killed_at = time.time()
        time.sleep(max_gap + options.every)
        return report(fleet.requests(), options, killed_at, max_gap)


def report(
    requests: list[Request], options: argparse.Namespace, killed_at: float, max_gap: float
) -> int:
    """Print what the workspaces saw; return the exit status."""
    polls: defaultdict[int, list[float]] = defaultdict(list)
    for request in sorted(request for request in requests if request.is_poll):
        polls[request.number].append(request.started)
    overlaps = count_overlaps(requests)
    gaps = sorted(b - a for times in polls.values() for a, b in pairwise(times))
    forgotten = options.workspaces - sum(times[-1] > killed_at for times in polls.values())
    print(
        f"{sum(map(len, polls.values())):,} polls; between two polls of a workspace "
        f"{gaps[len(gaps) // 2]:.1f} s (median), {gaps[-1]:.1f} s at most "
        f"(goal: at most {max_gap:.0f})\n"
        f"workspaces not polled again after a worker was killed: {forgotten} (goal: none)\n"
        f"requests that overlapped another to the same workspace: {overlaps} (goal: none)"
    )
    holds = gaps[-1] <= max_gap and not forgotten and not overlaps
    print("holds" if holds else "MISSED")
    return 0 if holds else 1


def start_celery(
    stack: ExitStack, options: argparse.Namespace, environment: Mapping[str, str], folder: Path
) -> list[Worker]:
    """Start Celery's workers and its beat; return the processes of one worker."""
    run(environment, [*CELERY, "purge", "--force"])
    worker = [*CELERY, "worker", "--concurrency", str(options.concurrency), "--loglevel", "WARNING"]
    workers = [
        stack.enter_context(
            started([*worker, "--hostname", f"w{number}@%h"], environment, folder / "worker.log")
        )
        for number in range(options.workers)
    ]
    beat = [*CELERY, "beat", "--schedule", str(folder / "schedule"), "--pidfile="]
    stack.enter_context(started(beat, environment, folder / "beat.log"))
    # With the processes of its pool, which are of its group.
    return workers[:1]


def start_django(
    stack: ExitStack, options: argparse.Namespace, environment: Mapping[str, str], folder: Path
) -> list[Worker]:
    """Start workers of Django's tasks, and rounds; return the processes of one worker."""
    worker = [sys.executable, "manage.py", "db_worker"]
    processes = [
        stack.enter_context(started(worker, environment, folder / "worker.log"))
        for _ in range(options.workers * options.concurrency)
    ]
    rounds = [sys.executable, "-c", SCHEDULER, str(options.every)]
    stack.enter_context(started(rounds, environment, folder / "rounds.log"))
    return processes[: options.concurrency]


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Worker]:
    """Run a command in a process group of its own, and stop it afterwards."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env=dict(environment),
            stdout=output,
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
    try:
        sys.exit(main())
    except CannotMeasure as error:
        sys.exit(str(error))
