"""A sync that is ended in the middle leaves nothing that the next one cannot live with."""

import signal
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from project.simulator.workspace import Workspace
from tests.process.history import assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, finished

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


def test_killed_before_any_of_its_queries(project: Project, workspace: Workspace) -> None:
    """What is stored is always true, and the next poll completes it."""
    process = project.start("-m", "tests.process.killed")

    def sync(*, killed_before: int = 0) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{killed_before}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    queries = 1
    for queries in range(1, 30):
        # Each time there is one to be closed, one to be made, and a transition for both.
        workspace.start_import("csv", seconds=3600)
        end = sync(killed_before=queries)
        assert_true_history(project.database, workspace)
        if end != "killed":
            break
        let_the_lease_expire(project)
        assert sync() == "done 0"
        assert_true_history(project.database, workspace)
        assert_up_to_date(project.database, workspace)
    assert end == "done 0"
    assert queries > 8
    ended = finished(process)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert leases(project) == [("", None)]


def leases(project: Project) -> list[tuple[Any, ...]]:
    return project.database.execute("SELECT holder, expires_at FROM importmonitor_synclease")


def let_the_lease_expire(project: Project) -> None:
    project.database.execute(
        "UPDATE importmonitor_synclease SET expires_at = '2020-01-01 00:00:00' "
        "WHERE expires_at IS NOT NULL"
    )


def moment(value: str | datetime) -> datetime:
    """Read a time as the drivers hand it out: as text, without a zone, or with one."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return read if read.tzinfo else read.replace(tzinfo=UTC)
