"""`sync_import_status --watch` as a process: its output, its end, and lost connections."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from simulator.workspace import Workspace
from tests.process.processes import (
    BASE_DIR,
    PATIENCE,
    Project,
    SilentServer,
    start_process,
    wait_for,
)
from tests.remote.servers import Connection, Server

WATCH = ("manage.py", "sync_import_status", "--watch")
OFTEN = ("--interval", "0.1", "--idle-interval", "0.1")


def lines_of(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")


def leases(project: Project) -> list[tuple[object, ...]]:
    return project.database.execute("SELECT holder, expires_at FROM importmonitor_workspace")


@pytest.mark.long
def test_watch_until_finished_shows_every_change_once(
    project: Project, workspace: Workspace
) -> None:
    workspace.start_import("csv", "done", 3600, records=1000)
    process = project.start(*WATCH, *OFTEN, "--until-finished")
    output = lines_of(process)
    lines = [next(output)]
    workspace.clock.advance(1800)
    lines.append(next(output))
    workspace.clock.advance(1800)
    lines += output
    assert (process.wait(PATIENCE), wait_for(process).stderr) == (0, "")
    # Rocket.Chat counts the users twice.
    assert "done (importer_done), 1,000 of 1,000, 100 %" in lines[-1]
    # A line is written only if something changed.
    assert len(lines) == len(set(lines)) > 2
    assert leases(project) == [("", None)]
    [(outcome, polls)] = project.database.execute(
        "SELECT outcome, period_polls FROM importmonitor_syncperiod AS period "
        "JOIN importmonitor_workspace AS workspace ON workspace.period_id = period.id"
    )
    assert outcome == "ok"
    assert int(str(polls)) >= len(lines)


@pytest.mark.long
def test_watch_until_finished_exits_with_3_after_a_failure(
    project: Project, workspace: Workspace
) -> None:
    workspace.start_import("csv", "failed", 0.5)
    arguments = ("--until-finished", "--fail-on-import-error", "--format", "json")
    result = project.run(*WATCH, *OFTEN, *arguments)
    assert (result.returncode, result.stderr) == (3, "")
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["operation"]["outcome"] == "failed"


def test_watch_until_finished_ends_at_once_without_import(project: Project) -> None:
    result = project.run(*WATCH, "--until-finished")
    assert (result.returncode, result.stdout) == (0, "default: nothing was ever imported\n")


@pytest.mark.long
def test_timeout_ends_a_watch_of_an_import_that_waits(
    project: Project, workspace: Workspace
) -> None:
    workspace.start_import("csv", "waiting", 3600)
    result = project.run(*WATCH, "--until-finished", "--timeout", "0.2")
    error = "CommandError: The timeout of 0.2 s is over.\n"
    assert (result.returncode, result.stderr) == (1, error)
    assert set(leases(project)) <= {("", None)}


@pytest.mark.long
def test_timeout_ends_a_watch_during_a_request(
    project: Project, silent_server: SilentServer
) -> None:
    url = {"ROCKETCHAT_URL": silent_server.url, "ROCKETCHAT_DEADLINE": str(PATIENCE)}
    result = project.run(*WATCH, "--timeout", "0.5", **url, ROCKETCHAT_TIMEOUT=str(PATIENCE))
    assert (result.returncode, "0.5 s is over" in result.stderr) == (1, True)
    assert set(leases(project)) <= {("", None)}


@pytest.mark.long
def test_revoked_token_ends_watch_until_finished(project: Project, workspace: Workspace) -> None:
    workspace.users.clear()
    patience = {"IMPORTMONITOR_UNREACHABLE_AFTER": "1"}
    result = project.run(*WATCH, *OFTEN, "--until-finished", **patience)
    assert result.returncode == 1
    assert "Rocket.Chat has refused the token of default" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.thorough(one_in=2)
def test_signal_ends_watch_during_a_request(
    project: Project, silent_server: SilentServer, number: signal.Signals
) -> None:
    process = project.start(
        *WATCH,
        ROCKETCHAT_URL=silent_server.url,
        ROCKETCHAT_TIMEOUT=str(PATIENCE),
        ROCKETCHAT_DEADLINE=str(PATIENCE),
    )
    silent_server.wait_for_request()
    [(holder, _)] = leases(project)
    assert holder
    started = time.monotonic()
    process.send_signal(number)
    result = wait_for(process)
    # Long before the timeout: it takes less than a second on an idle machine.
    assert time.monotonic() - started < PATIENCE / 2
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert leases(project) == [("", None)]


def test_signal_in_a_finalizer_ends_watch(project: Project, workspace: Workspace) -> None:
    """Python ignores there what the handler raises."""
    code = """
import os, signal, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
import django
django.setup()
from django.core.management import execute_from_command_line
from importmonitor.sync.pool import Pool

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(1000))  # Python calls the handler here.

class SignalledPool(Pool):
    def get(self, timeout):
        result = super().get(timeout)
        if result is not None:
            Finalized()
        return result

import importmonitor.sync.pool
importmonitor.sync.pool.Pool = SignalledPool
execute_from_command_line(sys.argv)
"""
    process = project.start("-c", code, *WATCH[1:], *OFTEN)
    result = wait_for(process)
    assert result.returncode == 0
    assert "Exception ignored in: <function Finalized.__del__" in result.stderr
    assert leases(project) == [("", None)]


@pytest.mark.long
def test_hangup_is_ignored_under_nohup(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv", seconds=3600)
    code = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    process = project.start("-c", code, *WATCH, *OFTEN, "--format", "json")
    lines = lines_of(process)
    next(lines)
    process.send_signal(signal.SIGHUP)
    polled = len(list(zip(range(3), lines, strict=False)))
    assert (polled, process.poll()) == (3, None)
    process.send_signal(signal.SIGTERM)
    assert wait_for(process).returncode == 0


@pytest.mark.long
def test_interrupted_watch_until_finished_exits_with_130(
    project: Project, workspace: Workspace
) -> None:
    workspace.start_import("csv", seconds=3600)
    process = project.start(*WATCH, "--until-finished")
    assert next(lines_of(process)).startswith("default: CSV")
    process.send_signal(signal.SIGINT)
    assert wait_for(process).returncode == 130


@pytest.mark.long
def test_watch_continues_after_the_database_returns(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv", seconds=3600)
    process = project.start("-m", "tests.process.fast_retry_manage", *WATCH[1:], *OFTEN)
    lines = lines_of(process)
    assert "importer_" in next(lines)
    away = "importmonitor_workspace"
    project.database.execute(f"ALTER TABLE {away} RENAME TO {away}_away")
    try:
        assert process.stderr is not None
        error = process.stderr.readline()
    finally:
        project.database.execute(f"ALTER TABLE {away}_away RENAME TO {away}")
    assert error.startswith("default: the database could not be used: ")
    workspace.cancel(str((workspace.current() or {})["_id"]))
    assert any("canceled" in line for line in lines)
    process.send_signal(signal.SIGTERM)
    result = wait_for(process)
    assert result.returncode == 0
    assert "Traceback" not in error + result.stderr


@pytest.mark.long
def test_watch_continues_after_a_lost_connection(project: Project, workspace: Workspace) -> None:
    """Every thread has a connection, and closes it if it is unusable."""
    arguments = ("-m", "tests.process.fast_retry_manage", "--lose-connection", *WATCH[1:], *OFTEN)
    # The lease could not be released, and lasts five seconds longer than this.
    process = project.start(*arguments, ROCKETCHAT_DEADLINE="1")
    workspace.start_import("csv", seconds=3600)
    assert process.stderr is not None
    # A connection pool logs before that which connection it discards.
    error = next(line for line in process.stderr if line.startswith("default: "))
    assert error.startswith("default: the database could not be used: ")
    assert any("importer_" in line for line in lines_of(process))
    process.send_signal(signal.SIGTERM)
    assert wait_for(process).returncode == 0


@pytest.mark.long
def test_watch_draws_progress_bars_on_a_terminal(project: Project, workspace: Workspace) -> None:
    workspace.start_import("slack", "done", 1.0, records=3000)
    terminal, process_end = pty.openpty()
    process = start_process(
        [sys.executable, *WATCH, *OFTEN, "--until-finished"],
        cwd=BASE_DIR,
        env=project.environment | {"TERM": "xterm", "COLUMNS": "120", "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        stdout=process_end,
        stderr=process_end,
    )
    project.started.append(process)
    os.close(process_end)
    output = read_to_end(terminal)
    assert process.wait(PATIENCE) == 0
    assert "default" in output
    # Rocket.Chat counts the users twice.
    assert "3,000 / 3,000, 100 %" in output
    assert "━" in output
    # The bar is redrawn in place, without a line for each poll.
    assert output.count("\n") < 20


def read_to_end(descriptor: int) -> str:
    """Read a terminal until its other end is closed."""
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
        (("--timeout", "60"), "--timeout can only be used with --watch"),
        (("--watch", "--interval", "0"), "not a number of seconds"),
        (("--watch", "--idle-interval", "soon"), "not a number of seconds"),
        (("--watch", "--timeout", "0"), "not a number of seconds"),
    ],
)
@pytest.mark.thorough(one_in=10)
def test_misuse_exits_with_2(project: Project, arguments: tuple[str, ...], words: str) -> None:
    result = project.sync(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


@pytest.mark.long
def test_watch_polls_on_while_a_webhook_drips(project: Project, workspace: Workspace) -> None:
    """A hook that answers 200, and then a byte at a time for ever."""
    hooked = threading.Event()

    def drip(connection: Connection) -> None:
        connection.read_head()
        hooked.set()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while connection.pause(0.1):
            connection.send(b"1\r\nx\r\n")

    with Server(drip) as server:
        process = project.start(
            *WATCH,
            *OFTEN,
            IMPORTMONITOR_ALERT_URLS=f"json://127.0.0.1:{server.port}/",
            IMPORTMONITOR_BASE_URL="",
        )
        output = lines_of(process)
        next(output)
        workspace.start_import("csv", seconds=3600, records=1000)
        next(output)
        assert hooked.wait(PATIENCE)
        for _ in range(3):
            # Each is a line that a later poll writes.
            workspace.clock.advance(600)
            next(output)
        process.send_signal(signal.SIGINT)
        assert wait_for(process).returncode == 0
        assert server.connections == 1
    [(delivered_at, attempts)] = project.database.execute(
        "SELECT delivered_at, attempts FROM importmonitor_alert"
    )
    assert (delivered_at, attempts) == (None, 1)
