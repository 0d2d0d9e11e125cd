"""Syncs the workspace `default`, each time in a process that is killed.

    python -m tests.process.killed FILE

Alerts are appended to FILE. For each line of stdin, a process is forked:

    before NUMBER   syncs once, and is killed before its query of that number (from 1; 0: never)
    after SECONDS   syncs repeatedly, and is killed after that time

Writes "killed" or "done STATUS" to stdout.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from tests.process.worker import set_up


def main(path: str) -> None:
    """Execute the lines of stdin until it ends."""
    set_up(path)
    for line in iter(sys.stdin.readline, ""):
        when, value = line.split()
        status = kill_after(float(value)) if when == "after" else kill_before(int(value))
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write("killed\n" if killed else f"done {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def kill_before(number: int) -> int:
    """Sync in a process that dies before the query of that number; return its wait status."""
    child = os.fork()
    if not child:
        sync_once(number)
    return os.waitpid(child, 0)[1]


def kill_after(seconds: float) -> int:
    """Sync repeatedly in a process that is killed after some time; return its wait status."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        sync_for_ever(writing, os.getppid())
    os.close(writing)
    # Counted from its first sync: connecting to a database can take longer than a poll.
    os.read(reading, 1)
    os.close(reading)
    time.sleep(seconds)
    # Its process id cannot be reused before it has been waited for.
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def sync_once(number: int) -> NoReturn:
    """Sync, but kill this process before the query of that number; end it afterwards."""
    from importmonitor.sync.poll import sync_workspace

    run_until(number, lambda: int(sync_workspace("default").skipped is not None))


def run_until(number: int, action: Callable[[], int]) -> NoReturn:
    """Kill this process before the query of that number; else end it with the action's status."""
    from django.db import connection

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
            status = action()
        connection.close()
    finally:
        os._exit(status)


def sync_for_ever(ready: int, parent: int) -> NoReturn:
    """Sync repeatedly while the parent exists; write a byte to a pipe before the first time."""
    from django.db import connection

    from importmonitor.sync.poll import sync_workspace

    try:
        connection.ensure_connection()
        os.write(ready, b".")
        while os.getppid() == parent:
            if sync_workspace("default").skipped:
                # The database has not noticed that the last holder is dead.
                time.sleep(0.001)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
