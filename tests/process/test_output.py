"""Output that cannot be written: to a closed or full stream, a pipe without a reader, or in ASCII.

It ends no watch, loses no poll and changes no exit status.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from importmonitor.management.base import Output
from simulator.workspace import Workspace
from tests.process.processes import BASE_DIR, PATIENCE, Project, start_process, wait_for

WATCH = ("manage.py", "sync_import_status", "--watch", "--interval", "0.1")
ASCII = {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C", "PYTHONUTF8": "0"}


@contextmanager
def full_device() -> Iterator[int]:
    with Path("/dev/full").open("w") as full:
        yield full.fileno()


@contextmanager
def pipe_without_reader() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def closed_descriptor() -> Iterator[None]:
    yield None


OUTPUTS = [full_device, pipe_without_reader, closed_descriptor]


def start(project: Project, open_output: Callable[[], Any], *arguments: str) -> Any:
    """Start Python with both streams going nowhere."""
    with open_output() as descriptor:
        # `subprocess` cannot start a process with a closed stream.
        closing = "" if descriptor is not None else " >&- 2>&-"
        process: subprocess.Popen[str] = start_process(
            ["sh", "-c", f'exec "$0" "$@"{closing}', sys.executable, *arguments],
            cwd=BASE_DIR,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
        )
    project.started.append(process)
    return process


@pytest.mark.parametrize("open_output", OUTPUTS)
@pytest.mark.long
def test_watch_continues_without_output(
    project: Project, workspace: Workspace, open_output: Callable[[], Any]
) -> None:
    workspace.start_import("csv", seconds=3600)
    process = start(project, open_output, *WATCH, "--format", "json")
    ends_at = time.monotonic() + PATIENCE
    while workspace.requests["/api/v1/getCurrentImportOperation", 200] < 4:
        assert process.poll() is None
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 0
    leases = project.database.execute("SELECT holder, expires_at FROM importmonitor_workspace")
    assert leases == [("", None)]


@pytest.mark.parametrize("open_output", OUTPUTS)
@pytest.mark.parametrize("command", ["sync_import_status", "check_rocketchat"])
@pytest.mark.thorough(one_in=10)
def test_exit_status_is_that_of_the_work(
    project: Project, workspace: Workspace, open_output: Callable[[], Any], command: str
) -> None:
    assert start(project, open_output, "manage.py", command).wait(PATIENCE) == 0
    workspace.users.clear()
    assert start(project, open_output, "manage.py", command).wait(PATIENCE) == 1
    if command == "sync_import_status":
        polls = "SELECT outcome FROM importmonitor_syncperiod ORDER BY id"
        assert project.database.execute(polls) == [("empty",), ("Unauthenticated",)]


@pytest.mark.long
def test_name_that_the_locale_lacks_is_escaped(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv", seconds=3600, file_name="Отчёт 😀.zip")
    process = project.start(*WATCH, **ASCII)
    assert process.stdout is not None
    escaped = "\\u041e\\u0442\\u0447\\u0451\\u0442 \\U0001f600.zip"
    assert any(escaped in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    result = wait_for(process)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.long
def test_no_token_is_created_that_cannot_be_shown(project: Project) -> None:
    code = (
        "import django; django.setup(); from django.contrib.auth.models import User; "
        "User.objects.create(username='tool')"
    )
    project.environment["DJANGO_SETTINGS_MODULE"] = "project.settings"
    assert project.run("-c", code).returncode == 0
    process = start(project, full_device, "manage.py", "create_api_token", "tool")
    assert process.wait(PATIENCE) == 1
    assert project.database.execute("SELECT name FROM importmonitor_apitoken") == []


def test_output_continues_when_the_stream_can_be_written_again(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as stream, (tmp_path / "log").open("w") as log:
        output = Output(stream)
        output.write("lost")
        assert output.has_failed
        os.dup2(log.fileno(), stream.fileno())
        output.write("written")
        assert (tmp_path / "log").read_text().endswith("written\n")
