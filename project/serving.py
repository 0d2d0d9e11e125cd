"""What `make demo` and `make run` share: a web server, and the sync beside it, until Ctrl-C."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import CommandError, call_command
from django.db import close_old_connections

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL = BASE_DIR / ".local"

_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 5.0


def stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def free_port(preferred: int) -> int:
    """Return a port of loopback that can be had: the preferred one, or else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As the server will: a port on which connections are still winding down is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no port of 127.0.0.1 is free")


@contextmanager
def web_server(port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve the project on loopback in a process of its own, which ends with the block.

    Raises SystemExit, with the end of its log, if it does not begin to answer.
    """
    command = [sys.executable, str(BASE_DIR / "manage.py"), "runserver", "--noreload", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - nothing in it comes from outside
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "project.settings"},
            # Ctrl-C reaches this process alone, which then ends the other.
            start_new_session=True,
        )
    try:
        waiting = threading.Event()
        for _ in range(int(_STARTS_WITHIN / 0.1)):
            if process.poll() is not None or _answers(port):
                break
            waiting.wait(0.1)
        if process.poll() is not None or not _answers(port):
            raise SystemExit(f"The web server did not start:\n{log.read_text()[-2000:]}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sync_until(
    stop: threading.Event,
    process: "subprocess.Popen[bytes]",
    *,
    interval: float,
    each_turn: Callable[[], None] | None = None,
) -> None:
    """Sync every `interval` seconds until told to stop or the web server is gone.

    What goes wrong is on the pages, and on stderr when it is not what went wrong before.
    """
    told = ""
    while not stop.is_set() and process.poll() is None:
        if each_turn is not None:
            each_turn()
        trouble = io.StringIO()
        try:
            call_command("sync_import_status", verbosity=0, stdout=io.StringIO(), stderr=trouble)
        except CommandError as error:
            # A database that is away for a moment, say: no reason to end.
            trouble.write(f"{error}\n")
        except SystemExit:
            pass
        if trouble.getvalue() != told:
            told = trouble.getvalue()
            sys.stderr.write(told or "The workspace can be looked at again.\n")
        close_old_connections()
        stop.wait(interval)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
