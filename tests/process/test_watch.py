"""`sync_import_status --watch` as a process: what it shows, how it ends, what it survives."""

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from simulator.workspace import Workspace
from tests.process.processes import BASE_DIR, PATIENCE, Project, finished

WATCH = ("manage.py", "sync_import_status", "--watch")
OFTEN = ("--interval", "0.1", "--idle-interval", "0.1")


def lines_of(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")


def leases(project: Project) -> list[tuple[object, ...]]:
    return project.database.execute("SELECT holder, expires_at FROM importmonitor_synclease")


def test_until_it_is_finished(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv", "done", 3600, records=1000)
    process = project.start(*WATCH, *OFTEN, "--until-finished")
    told = lines_of(process)
    lines = [next(told)]
    workspace.clock.advance(1800)
    lines.append(next(told))
    workspace.clock.advance(1800)
    lines += told
    assert (process.wait(PATIENCE), finished(process).stderr) == (0, "")
    assert "done (importer_done), 1,000 of 1,000, 100 %" in lines[-1]
    # What has not changed is not said again.
    assert len(lines) == len(set(lines)) > 2
    assert leases(project) == [("", None)]
    periods = project.database.execute("SELECT outcome, polls FROM importmonitor_syncperiod")
    assert [outcome for outcome, _ in periods] == ["ok"]
    assert int(str(periods[0][1])) >= len(lines)


@pytest.mark.long
def test_until_it_is_finished_tells_trouble_by_its_status(
    project: Project, workspace: Workspace
) -> None:
    workspace.start_import("csv", "failed", 0.5)
    arguments = ("--until-finished", "--fail-on-import-error", "--format", "json")
    ended = project.run(*WATCH, *OFTEN, *arguments)
    assert (ended.returncode, ended.stderr) == (3, "")
    last = json.loads(ended.stdout.splitlines()[-1])
    assert last["operation"]["outcome"] == "failed"


def test_nothing_to_wait_for(project: Project) -> None:
    ended = project.run(*WATCH, "--until-finished")
    assert (ended.returncode, ended.stdout) == (0, "default: nothing was ever imported\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.thorough(one_in=2)
def test_it_ends_at_once_in_the_middle_of_a_request(
    project: Project, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = project.start(*WATCH, ROCKETCHAT_URL=url)
        connection, _address = listener.accept()
        with connection:
            assert connection.recv(65536).startswith(b"GET /api/v1/getCurrentImportOperation ")
            [(holder, _)] = leases(project)
            assert holder
            began = time.monotonic()
            process.send_signal(number)
            ended = finished(process)
            took = time.monotonic() - began
    # Under a second where nothing else runs; the margin is for a machine with much to do.
    assert took < 3
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert leases(project) == [("", None)]


@pytest.mark.long
def test_what_was_to_be_waited_for_has_not_come_when_it_is_ended(
    project: Project, workspace: Workspace
) -> None:
    workspace.start_import("csv", seconds=3600)
    process = project.start(*WATCH, "--until-finished")
    assert next(lines_of(process)).startswith("default: CSV")
    process.send_signal(signal.SIGINT)
    assert finished(process).returncode == 130


def test_a_database_that_goes_away_and_comes_back(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv", seconds=3600)
    process = project.start("-m", "tests.process.fast_retry_manage", *WATCH[1:], *OFTEN)
    lines = lines_of(process)
    assert "importer_" in next(lines)
    away = "importmonitor_synclease"
    project.database.execute(f"ALTER TABLE {away} RENAME TO {away}_away")
    try:
        assert process.stderr is not None
        told = process.stderr.readline()
    finally:
        project.database.execute(f"ALTER TABLE {away}_away RENAME TO {away}")
    assert told.startswith("default: the database could not be used: ")
    workspace.cancel(str((workspace.current() or {})["_id"]))
    assert any("canceled" in line for line in lines)
    process.send_signal(signal.SIGTERM)
    ended = finished(process)
    assert ended.returncode == 0
    assert "Traceback" not in told + ended.stderr


@pytest.mark.long
def test_a_connection_that_is_lost_in_the_middle_of_a_poll(
    project: Project, workspace: Workspace
) -> None:
    """Each thread has one, and is not to keep it when it is dead."""
    # The lease could not be given back, and lasts five seconds longer than this.
    arguments = ("-m", "tests.process.fast_retry_manage", "--losing", *WATCH[1:], *OFTEN)
    process = project.start(*arguments, ROCKETCHAT_DEADLINE="1")
    workspace.start_import("csv", seconds=3600)
    assert process.stderr is not None
    # A pool of connections says itself, before that, which one it throws away.
    told = next(line for line in process.stderr if line.startswith("default: "))
    assert told.startswith("default: the database could not be used: ")
    assert any("importer_" in line for line in lines_of(process))
    process.send_signal(signal.SIGTERM)
    assert finished(process).returncode == 0


def test_bars_on_a_terminal(project: Project, workspace: Workspace) -> None:
    workspace.start_import("slack", "done", 1.0, records=3000)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *WATCH, *OFTEN, "--until-finished"],
        cwd=BASE_DIR,
        env=project.environment | {"TERM": "xterm", "COLUMNS": "120", "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    project.started.append(process)  # type: ignore[arg-type] # its streams are no text
    os.close(theirs)
    shown = read_to_end(ours)
    assert process.wait(PATIENCE) == 0
    assert "default" in shown
    assert "3,000 / 3,000" in shown
    assert "━" in shown
    # Shown in place: no line for each look.
    assert shown.count("\n") < 20


def read_to_end(descriptor: int) -> str:
    """Read a terminal until nobody is left on its other side."""
    parts = []
    ends_at = time.monotonic() + PATIENCE
    with contextlib.suppress(OSError):
        while time.monotonic() < ends_at:
            if select.select([descriptor], [], [], 1)[0]:
                part = os.read(descriptor, 65536)
                if not part:
                    break
                parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--watch", "--dry-run"), "--dry-run cannot be used with --watch"),
        (("--watch", "--fail-on-import-error"), "also needs --until-finished"),
        (("--interval", "5"), "--interval can only be used with --watch"),
        (("--until-finished",), "--until-finished can only be used with --watch"),
        (("--watch", "--interval", "0"), "not a number of seconds"),
        (("--watch", "--idle-interval", "soon"), "not a number of seconds"),
    ],
)
@pytest.mark.thorough(one_in=5)
def test_misused(project: Project, arguments: tuple[str, ...], words: str) -> None:
    ended = project.sync(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
