"""Syncs the workspace `default`, each time in a process of its own that kills itself.

For each number on stdin one process is forked, which is dead before its query of that number
(counted from 1; 0: never). Says "killed" or "done" on stdout.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django


def main() -> None:
    """Serve stdin until it ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    importlib.import_module("importmonitor.rocketchat.client")
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            sync(int(line))
        _pid, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write("killed\n" if killed else f"done {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def sync(number: int) -> None:
    """Sync, dying before the query of that number; end this process."""
    from django.db import connection

    from importmonitor.sync import sync_workspace

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


if __name__ == "__main__":
    main()
