"""The host project in processes of its own, as cron and people run it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.process.databases import Database

BASE_DIR = Path(__file__).resolve().parent.parent.parent

_PREFIXES = ("ROCKETCHAT_", "IMPORTMONITOR_", "SECURE_")
_SETTINGS = {
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "LOG_LEVEL",
    "SECRET_KEY",
}

#: Longer than anything here takes on a busy machine, in seconds; what takes longer hangs.
PATIENCE = 300.0

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def start_process(arguments: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a process with the default signal dispositions.

    A non-interactive shell starts its background jobs with SIGINT and SIGQUIT ignored, and all
    their children inherit that. A signal that is handled is reset to its default by exec.
    """
    ignored = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_args: None)
    try:
        return subprocess.Popen(arguments, **options)
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what the settings or requests read."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PREFIXES)
        and name not in _SETTINGS
        and not name.lower().endswith("_proxy")
    }


@dataclass
class Project:
    """The host project with its environment; `None` in a change removes a variable."""

    database: Database
    environment: dict[str, str]
    started: list["subprocess.Popen[str]"] = field(default_factory=list)
    #: Of the code to run.
    folder: Path = BASE_DIR

    def start(self, *arguments: str, **changes: str | None) -> "subprocess.Popen[str]":
        """Start Python with these arguments."""
        merged: dict[str, str | None] = {**self.environment, **changes}
        process: subprocess.Popen[str] = start_process(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={name: value for name, value in merged.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **changes: str | None) -> "subprocess.CompletedProcess[str]":
        """Run Python with these arguments until it ends."""
        return wait_for(self.start(*arguments, **changes))

    def sync(self, *arguments: str, **changes: str | None) -> "subprocess.CompletedProcess[str]":
        """Run `manage.py sync_import_status`."""
        return self.run("manage.py", "sync_import_status", *arguments, **changes)


def wait_for(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Wait for a process to end; return its result."""
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def terminating(processes: Iterable["subprocess.Popen[str]"]) -> Iterator[None]:
    """Kill those processes that still run when the block ends."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


class SilentServer:
    """A server on loopback that accepts requests and sends no response."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def wait_for_request(self) -> None:
        """Return when there is a request, whose client waits for the response."""
        connection, _address = self._listener.accept()
        connection.settimeout(PATIENCE)
        self._connections.append(connection)
        line, _, _headers = connection.recv(65536).partition(b"\r\n")
        assert line.endswith(b"/api/v1/getCurrentImportOperation HTTP/1.1")

    def close(self) -> None:
        """Hang up, and refuse all further connections."""
        self._listener.close()
        for connection in self._connections:
            connection.close()
