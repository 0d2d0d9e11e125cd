"""What `make demo` and `make run` share: a web server and a sync loop, until Ctrl-C."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.core.management import CommandError, call_command
from django.db import close_old_connections

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL = BASE_DIR / ".local"

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 5.0


def stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def free_port(preferred: int) -> int:
    """Return a free port of 127.0.0.1: the preferred one, or else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As the server does: a port with connections in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise OSError("no port of 127.0.0.1 is free")


@contextmanager
def web_server(port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve the project on 127.0.0.1 in a child process, which ends with the block.

    Raises SystemExit, with the end of its log, if the server does not start.
    """
    command = [sys.executable, str(BASE_DIR / "manage.py"), "runserver", "--noreload", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - no part of it is user input
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "project.settings"},
            # Ctrl-C reaches only this process, which then ends the child.
            start_new_session=True,
        )
    try:
        ends_at = time.monotonic() + _START_TIMEOUT
        while process.poll() is None and not _accepts_connections(port):
            if time.monotonic() > ends_at:
                break
            time.sleep(0.05)
        if process.poll() is not None or not _accepts_connections(port):
            raise SystemExit(f"The web server did not start:\n{log.read_text()[-2000:]}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sync_until(
    stop: threading.Event,
    process: "subprocess.Popen[bytes]",
    *,
    interval: float,
    workspaces: Sequence[str] = (),
    before_sync: Callable[[], None] | None = None,
) -> None:
    """Sync every `interval` seconds until `stop` is set or the web server has ended.

    `workspaces` are the aliases of those to sync; without them, all. An error is written to stderr
    when it differs from that of the sync before.
    """
    last_error = ""
    while not stop.is_set() and process.poll() is None:
        if before_sync is not None:
            before_sync()
        stderr = io.StringIO()
        try:
            call_command(
                "sync_import_status",
                workspace=list(workspaces),
                verbosity=0,
                stdout=io.StringIO(),
                stderr=stderr,
            )
        except CommandError as error:
            # It may pass, like a database that is down for a moment.
            stderr.write(f"{error}\n")
        except SystemExit:
            pass
        if stderr.getvalue() != last_error:
            last_error = stderr.getvalue()
            sys.stderr.write(last_error or "The sync succeeded again.\n")
        close_old_connections()
        stop.wait(interval)


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
