"""Processes that sync the configured workspaces over and over, until stdin ends:

    python -m tests.process.worker PROCESSES FILE

Each says on stdout, in a line of JSON, how often it looked, how often another was at it, and what
else happened. What they tell of it, they append to FILE. They are forked, before there is a
connection to anything, for eight starts of Django would take longer than the test.
"""

import importlib
import json
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import django
from django.conf import settings


class FileChannel:
    """Appends the key of each message to the file PATH, a line each."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.path = Path(options["PATH"])

    def send(self, message: Any) -> None:
        # One write, so that no other process, and no end of this one, comes in between.
        with self.path.open("ab", buffering=0) as file:
            file.write(f"{message.body['idempotency_key']}\n".encode())


def set_up(told: str) -> None:
    """Set the host project up, with a channel that appends to a file, all before a fork."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    channel = {"BACKEND": "tests.process.worker.FileChannel", "PATH": told}
    settings.IMPORTMONITOR["CHANNELS"] = {"file": channel}
    # Or the first to look would import them while the others wait.
    for module in ("importmonitor.rocketchat.client", "tests.process.worker"):
        importlib.import_module(module)


def main(processes: int, told: str) -> int:
    """Run the processes; return the exit status, 1 if one of them failed."""
    set_up(told)
    fork = multiprocessing.get_context("fork")
    enough = fork.Event()
    arguments = (enough.is_set, os.getpid())
    workers = [fork.Process(target=work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    sys.stdin.read()
    enough.set()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def work(is_enough: Callable[[], bool], parent: int) -> None:
    """Sync until it is enough, or nobody is left to be told how it went."""
    from importmonitor import conf
    from importmonitor.alerts import outbox
    from importmonitor.sync.lease import LEASED
    from importmonitor.sync.poll import sync_workspace

    aliases = conf.aliases()
    counts: Counter[str] = Counter()
    while not is_enough() and os.getppid() == parent:
        result = sync_workspace(random.choice(aliases))
        if result.error is not None:
            counts[str(result.error)] += 1
        elif result.skipped is None:
            counts["polled"] += 1
        else:
            counts["leased" if result.skipped == LEASED else result.skipped] += 1
            # One delivers what others have to tell, too.
            outbox.deliver()
            # Eight that ask without a breath leave the one that looks no time to do so.
            time.sleep(random.uniform(0, 0.02))
    os.write(sys.stdout.fileno(), f"{json.dumps(counts)}\n".encode())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
