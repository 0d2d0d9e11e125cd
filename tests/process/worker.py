"""Processes that sync the workspace `default` over and over, for SECONDS:

    python -m tests.process.worker SECONDS PROCESSES

Each says on stdout, in a line of JSON, how often it looked, how often another was at it, and what
else happened. They are forked, before there is a connection to anything, for eight starts of
Django would take longer than the test.
"""

import importlib
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter

import django


def main(seconds: float, processes: int) -> int:
    """Run the processes; return the exit status, 1 if one of them failed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    # Before the start, or the first to look would import it while the others wait.
    importlib.import_module("importmonitor.rocketchat.client")
    ends_at = time.monotonic() + seconds
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work, args=(ends_at, os.getpid())) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def work(ends_at: float, parent: int) -> None:
    """Sync until the time is over, or nobody is left to be told how it went."""
    from importmonitor.looking import LEASED
    from importmonitor.sync import sync_workspace

    counts: Counter[str] = Counter()
    while time.monotonic() < ends_at and os.getppid() == parent:
        result = sync_workspace("default")
        if result.error is not None:
            counts[str(result.error)] += 1
        elif result.skipped is None:
            counts["polled"] += 1
        else:
            counts["leased" if result.skipped == LEASED else result.skipped] += 1
            # Eight that ask without a breath leave the one that looks no time to do so.
            time.sleep(random.uniform(0, 0.02))
    os.write(sys.stdout.fileno(), f"{json.dumps(counts)}\n".encode())


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
