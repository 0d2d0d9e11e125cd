"""Two hosts that watch the workspace `default`, the clock of one of them ten minutes ahead.

    python -m tests.process.hosts FILE PORT

Alerts are appended to FILE, and sent to a webhook at PORT of loopback. For each line of stdin,
SECONDS SECONDS, two processes are forked, and each is killed after its time; for the line "end",
one polls once and delivers what is due. Writes "killed" or "done" to stdout.
"""

import os
import signal
import sys
import time
from datetime import datetime, timedelta
from typing import NoReturn

from tests.process.worker import set_up

OFFSETS = (timedelta(0), timedelta(minutes=10))


def main(path: str, port: str) -> None:
    """Execute the lines of stdin until it ends."""
    set_up(path)
    from django.conf import settings
    from django.db import connection

    from importmonitor.alerts import outbox
    from importmonitor.sync.poll import sync_workspace

    settings.IMPORTMONITOR["CHANNELS"]["hook"] = {
        "BACKEND": "importmonitor.alerts.channels.AppriseChannel",
        "URL": f"json://127.0.0.1:{port}/",
    }
    outbox.DELIVERY_DEADLINE = 0.3
    for line in iter(sys.stdin.readline, ""):
        if line == "end\n":
            result = sync_workspace("default")
            connection.close()
            sys.stdout.write("leased\n" if result.skipped else "done\n")
        else:
            kill_both([float(word) for word in line.split()])
            sys.stdout.write("killed\n")
        sys.stdout.flush()


def kill_both(lifetimes: list[float]) -> None:
    """Start both hosts, and kill each after its time, in seconds."""
    reading, writing = os.pipe()
    hosts = {}
    for offset, lifetime in zip(OFFSETS, lifetimes, strict=True):
        child = os.fork()
        if not child:
            watch(offset, writing, os.getppid())
        hosts[child] = lifetime
    os.close(writing)
    for _ in hosts:
        os.read(reading, 1)
    os.close(reading)
    started = time.monotonic()
    for child, lifetime in sorted(hosts.items(), key=lambda item: item[1]):
        time.sleep(max(0.0, started + lifetime - time.monotonic()))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def watch(offset: timedelta, ready: int, parent: int) -> NoReturn:
    """Poll by a clock that is ahead, and deliver in another thread as a watch does."""
    from django.db import connection
    from django.utils import timezone

    from importmonitor.sync.courier import Courier
    from importmonitor.sync.poll import poll_workspace

    def now() -> datetime:
        return timezone.now() + offset

    courier = Courier(now)
    try:
        connection.ensure_connection()
        os.write(ready, b".")
        while os.getppid() == parent:
            result = poll_workspace("default", now=now)
            if result.alerts_due:
                courier.wake()
            if result.skipped:
                time.sleep(0.005)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
