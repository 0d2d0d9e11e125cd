"""The host project run as processes of its own, as cron and people run it."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.process.databases import Database

BASE_DIR = Path(__file__).resolve().parent.parent.parent

_OURS = ("ROCKETCHAT_", "IMPORTMONITOR_")
_SETTINGS = {
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "LOG_LEVEL",
    "SECRET_KEY",
    "SECURE_SSL_REDIRECT",
}

#: Longer than anything here takes on a busy machine; a process that takes longer hangs.
PATIENCE = 60.0


def surroundings() -> dict[str, str]:
    """Return this process's environment without what the settings or requests would read."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS)
        and name not in _SETTINGS
        and not name.lower().endswith("_proxy")
    }


@dataclass
class Project:
    """The host project with its environment; `None` in a change of it takes a variable out."""

    database: Database
    environment: dict[str, str]
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *arguments: str, **changes: str | None) -> "subprocess.Popen[str]":
        """Start Python with these arguments."""
        merged: dict[str, str | None] = {**self.environment, **changes}
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            env={name: value for name, value in merged.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, **changes: str | None) -> "subprocess.CompletedProcess[str]":
        """Run Python with these arguments to its end."""
        return finished(self.start(*arguments, **changes))

    def sync(self, *arguments: str, **changes: str | None) -> "subprocess.CompletedProcess[str]":
        """Run `manage.py sync_import_status`."""
        return self.run("manage.py", "sync_import_status", *arguments, **changes)


def finished(process: "subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Wait for a process to end; return how it went."""
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def ending_all(processes: Iterable["subprocess.Popen[str]"]) -> Iterator[None]:
    """Leave no process behind, however the block ends."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
