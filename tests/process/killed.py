"""Syncs the workspace `default`, each time in a process of its own that is killed.

    python -m tests.process.killed FILE

What it tells of it, it appends to FILE. For each line on stdin one process is forked:

    before NUMBER   syncs once, and is dead before its query of that number (from 1; 0: never)
    after SECONDS   syncs over and over, and is killed when so much time has passed

Says "killed" or "done" on stdout.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from tests.process.worker import set_up


def main(told: str) -> None:
    """Serve stdin until it ends."""
    set_up(told)
    for line in iter(sys.stdin.readline, ""):
        how, value = line.split()
        status = killed_after(float(value)) if how == "after" else killed_before(int(value))
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write("killed\n" if killed else f"done {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def killed_before(number: int) -> int:
    """Sync, dead before the query of that number; return how the process ended."""
    child = os.fork()
    if not child:
        sync_until(number)
    return os.waitpid(child, 0)[1]


def killed_after(seconds: float) -> int:
    """Sync over and over for so long; return how the process ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        sync_for_ever(writing, os.getppid())
    os.close(writing)
    # Counted from when it begins to sync: to connect to a database can take longer than a poll.
    os.read(reading, 1)
    os.close(reading)
    time.sleep(seconds)
    # By its number, which stays its own until it has been waited for.
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def sync_until(number: int) -> NoReturn:
    """Sync, dying before the query of that number; end this process."""
    from django.db import connection

    from importmonitor.sync.poll import sync_workspace

    left = number

    def count_down(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(*arguments)

    status = 1
    try:
        with connection.execute_wrapper(count_down):
            status = int(sync_workspace("default").skipped is not None)
        connection.close()
    finally:
        os._exit(status)


def sync_for_ever(ready: int, parent: int) -> NoReturn:
    """Sync over and over, unless nobody is left to end it; say when it begins."""
    from django.db import connection

    from importmonitor.sync.poll import sync_workspace

    try:
        connection.ensure_connection()
        os.write(ready, b".")
        while os.getppid() == parent:
            if sync_workspace("default").skipped:
                # The database has not noticed yet that the last holder is dead.
                time.sleep(0.001)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
