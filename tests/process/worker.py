"""Processes that sync the configured workspaces repeatedly, until stdin ends:

    python -m tests.process.worker PROCESSES FILE

Each writes a line of JSON to stdout: how often it polled, how often another process had the lease,
and what else happened. Their alerts are appended to FILE. They are forked before any connection is
opened, since eight starts of Django take longer than the test.
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
    """Appends the keys of messages to the file PATH, one per line."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.path = Path(options["PATH"])

    def send(self, message: Any) -> None:
        # A single write: neither another process nor the end of this one can divide it.
        with self.path.open("ab", buffering=0) as file:
            bodies = message.body.get("alerts", [message.body])
            keys = [f"{body['idempotency_key']}\n" for body in bodies]
            file.write("".join(keys).encode())


def set_up(path: str) -> None:
    """Set up the host project with a channel that appends to a file; call it before a fork."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    channel = {"BACKEND": "tests.process.worker.FileChannel", "PATH": path}
    settings.IMPORTMONITOR["CHANNELS"] = {"file": channel}
    # Otherwise the first poll imports them while the other processes wait.
    for module in ("importmonitor.rocketchat.client", "tests.process.worker"):
        importlib.import_module(module)


def main(processes: int, path: str) -> int:
    """Run the processes; return the exit status, 1 if one of them failed."""
    set_up(path)
    fork = multiprocessing.get_context("fork")
    stop = fork.Event()
    arguments = (stop.is_set, os.getpid())
    workers = [fork.Process(target=work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    sys.stdin.read()
    stop.set()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def work(should_stop: Callable[[], bool], parent: int) -> None:
    """Sync until it should stop or the parent is gone; write the counts to stdout."""
    from importmonitor import conf
    from importmonitor.alerts import outbox
    from importmonitor.sync.lease import LEASED
    from importmonitor.sync.poll import sync_workspace

    aliases = list(conf.get_workspaces())
    counts: Counter[str] = Counter()
    while not should_stop() and os.getppid() == parent:
        result = sync_workspace(random.choice(aliases))
        if result.error is not None:
            counts[str(result.error)] += 1
        elif result.skipped is None:
            counts["polled"] += 1
        else:
            counts["leased" if result.skipped == LEASED else result.skipped] += 1
            # Any process delivers the alerts of all.
            outbox.deliver()
            # Without a pause, seven processes slow down the one that polls.
            time.sleep(random.uniform(0, 0.02))
    os.write(sys.stdout.fileno(), f"{json.dumps(counts)}\n".encode())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
