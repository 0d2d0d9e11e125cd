"""A sync that is ended in the middle leaves nothing that the next one cannot live with."""

import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.workspace import Workspace
from simulator.writes import Ending
from tests.process.history import assert_everything_told, assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, finished

LONG = bool(os.environ.get("LONG"))
KILLS = 300 if LONG else 10
#: How many queries further on it is killed each time.
STRIDE = 1 if LONG else 4
#: How many imports may have come that nobody lived to see: Rocket.Chat lists its latest 20.
UNSEEN = 15
ENDINGS: tuple[Ending, ...] = ("done", "failed", "done-with-errors", "cancelled", "done-short")
BEING_SYNCED = "default: skipped, being synced by another process\n"


class Silence:
    """A server that accepts and says nothing."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def wait_for_a_request(self) -> None:
        """Return when somebody has asked, and so waits for an answer."""
        connection, _address = self.listener.accept()
        connection.settimeout(PATIENCE)
        self.connections.append(connection)
        assert connection.recv(65536).startswith(b"GET /api/v1/getCurrentImportOperation ")


@pytest.fixture
def silence() -> Iterator[Silence]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        silence = Silence(listener)
        yield silence
        for connection in silence.connections:
            connection.close()


@pytest.mark.long
def test_killed_while_it_waits_for_an_answer(
    project: Project, workspace: Workspace, silence: Silence
) -> None:
    operation_id = workspace.start_import("csv")
    process = project.start(
        "manage.py", "sync_import_status", ROCKETCHAT_URL=silence.url, ROCKETCHAT_DEADLINE="20"
    )
    silence.wait_for_a_request()
    process.kill()
    assert finished(process).returncode == -signal.SIGKILL

    # What it held is held a little longer than it could have taken, and no more.
    [(holder, expires_at)] = leases(project)
    assert holder
    left = moment(expires_at) - datetime.now(UTC)
    assert timedelta(seconds=10) < left <= timedelta(seconds=25)
    skipped = project.sync()
    assert (skipped.returncode, skipped.stdout, skipped.stderr) == (0, BEING_SYNCED, "")
    assert not workspace.requests

    let_the_lease_expire(project)
    synced = project.sync()
    assert (synced.returncode, synced.stderr) == (0, "")
    found = project.database.execute("SELECT remote_id FROM importmonitor_importoperation")
    assert found == [(operation_id,)]
    assert leases(project) == [("", None)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.thorough(one_in=2)
def test_interrupted_while_it_waits_for_an_answer(
    project: Project, silence: Silence, number: signal.Signals
) -> None:
    process = project.start("manage.py", "sync_import_status", ROCKETCHAT_URL=silence.url)
    silence.wait_for_a_request()
    began = time.monotonic()
    process.send_signal(number)
    interrupted = finished(process)
    assert time.monotonic() - began < 2
    assert (interrupted.returncode, interrupted.stdout, interrupted.stderr) == (130, "", "")
    assert leases(project) == [("", None)]
    # Nobody could look, but nobody was kept from it either.
    assert project.database.execute("SELECT outcome FROM importmonitor_syncperiod") == []


def test_killed_before_any_of_its_queries(
    project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    """What is stored is always true, and the next poll completes it."""
    killing = Killing(project, tmp_path / "told")
    assert killing.sync("before 0") == "done 0"
    queries = 1
    for queries in range(1, 60, STRIDE):
        # Each time there is one to be closed, one to be made, and a transition for both.
        workspace.start_import("csv", seconds=3600)
        end = killing.sync(f"before {queries}")
        assert_true_history(project.database, workspace)
        if end != "killed":
            break
        let_a_minute_pass(project)
        assert killing.sync("before 0") == "done 0"
        assert_true_history(project.database, workspace)
        assert_up_to_date(project.database, workspace)
        assert_everything_told(project.database, killing.told_to)
    assert end == "done 0"
    assert queries > 15
    killing.end()
    # Of what was on its way when it was killed: there are two alerts each time.
    times_told = assert_everything_told(project.database, killing.told_to)
    assert sum(times_told.values()) - len(times_told) <= 2


def test_killed_at_any_moment(project: Project, workspace: Workspace, tmp_path: Path) -> None:
    killing = Killing(project, tmp_path / "told")
    assert killing.sync("before 0") == "done 0"
    began = time.monotonic()
    assert killing.sync("before 0") == "done 0"
    # A few polls, for this one had to connect first.
    longest = 2 * (time.monotonic() - began)
    started: list[str] = []
    in_the_middle = 0
    for number in range(KILLS):
        if number % 3 == 0 and len(started) - seen(project) < UNSEEN:
            ending = ENDINGS[len(started) % len(ENDINGS)]
            started.append(workspace.start_import("slack", ending, 0.2, records=8000))
        if number % 7 == 6:
            workspace.restart()
        assert killing.sync(f"after {random.uniform(0, longest):f}") == "killed"
        in_the_middle += leases(project) != [("", None)]
        let_a_minute_pass(project)
        if number % 25 == 0:
            assert_true_history(project.database, workspace)
    workspace.clock.speed = 0
    # A database server notices a moment later that a process is dead, and does until then what
    # that has asked of it.
    time.sleep(0.2)
    let_a_minute_pass(project)
    assert killing.sync("before 0") == "done 0"
    killing.end()

    history = assert_true_history(project.database, workspace)
    assert set(history) == set(started)
    assert_up_to_date(project.database, workspace)
    times_told = assert_everything_told(project.database, killing.told_to)
    twice = sum(times_told.values()) - len(times_told)
    sys.stdout.write(
        f"{KILLS} killed, {in_the_middle} of them with the lease, {len(history)} operations, "
        f"{sum(map(len, history.values()))} transitions, {len(times_told)} alerts, {twice} twice\n"
    )
    assert in_the_middle > KILLS / 10


class Killing:
    """`tests.process.killed`, and what its processes told."""

    def __init__(self, project: Project, told_to: Path) -> None:
        self.project = project
        self.told_to = told_to
        told_to.touch()
        self.process = project.start(
            *("-m", "tests.process.killed", str(told_to)), LOG_LEVEL="WARNING"
        )

    def sync(self, order: str) -> str:
        """Let a process sync that is killed as ordered; return how it ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """Assert that all else went well: nobody complained, and nobody has the lease."""
        ended = finished(self.process)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert leases(self.project) == [("", None)]


def seen(project: Project) -> int:
    """Return how many operations are known."""
    return len(project.database.execute("SELECT id FROM importmonitor_importoperation"))


def leases(project: Project) -> list[tuple[Any, ...]]:
    return project.database.execute("SELECT holder, expires_at FROM importmonitor_synclease")


def let_the_lease_expire(project: Project) -> None:
    project.database.execute(
        "UPDATE importmonitor_synclease SET expires_at = '2020-01-01 00:00:00' "
        "WHERE expires_at IS NOT NULL"
    )


def let_a_minute_pass(project: Project) -> None:
    """Let a lease expire, and a new attempt be made at what somebody was about to tell."""
    let_the_lease_expire(project)
    project.database.execute(
        "UPDATE importmonitor_alert SET next_attempt_at = '2020-01-01 00:00:00' "
        "WHERE next_attempt_at IS NOT NULL"
    )


def moment(value: str | datetime) -> datetime:
    """Read a time as the drivers hand it out: as text, without a zone, or with one."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return read if read.tzinfo else read.replace(tzinfo=UTC)
