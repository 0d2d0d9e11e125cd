"""A killed or interrupted sync leaves nothing that stops the next one."""

import os
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.workspace import Workspace
from simulator.writes import Ending
from tests.process.history import assert_all_alerted, assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, SilentServer, wait_for

LONG = bool(os.environ.get("LONG"))
KILLS = 40 if LONG else 10
#: Every how many queries it is killed.
STRIDE = 1 if LONG else 4
#: The maximum of started imports that are not stored: Rocket.Chat lists its latest 20.
MAX_UNSTORED = 15
ENDINGS: tuple[Ending, ...] = ("done", "failed", "done-with-errors", "cancelled", "done-short")
BEING_SYNCED = "default: skipped, being synced by another process\n"


@pytest.mark.long
def test_killed_during_a_request_leaves_an_expiring_lease(
    project: Project, workspace: Workspace, silent_server: SilentServer
) -> None:
    operation_id = workspace.start_import("csv")
    process = project.start(
        "manage.py",
        "sync_import_status",
        ROCKETCHAT_URL=silent_server.url,
        ROCKETCHAT_DEADLINE="20",
    )
    silent_server.wait_for_request()
    process.kill()
    assert wait_for(process).returncode == -signal.SIGKILL

    # The lease lasts a little longer than the deadline.
    [(holder, expires_at)] = leases(project)
    assert holder
    left = as_datetime(expires_at) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=25)
    skipped = project.sync()
    assert (skipped.returncode, skipped.stdout, skipped.stderr) == (0, BEING_SYNCED, "")
    assert not workspace.requests

    expire_lease(project)
    synced = project.sync()
    assert (synced.returncode, synced.stderr) == (0, "")
    rows = project.database.execute("SELECT remote_id FROM importmonitor_importoperation")
    assert rows == [(operation_id,)]
    assert leases(project) == [("", None)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.thorough(one_in=2)
def test_signal_during_a_request_releases_the_lease(
    project: Project, silent_server: SilentServer, number: signal.Signals
) -> None:
    process = project.start(
        "manage.py",
        "sync_import_status",
        ROCKETCHAT_URL=silent_server.url,
        ROCKETCHAT_TIMEOUT=str(PATIENCE),
        ROCKETCHAT_DEADLINE=str(PATIENCE),
    )
    silent_server.wait_for_request()
    started = time.monotonic()
    process.send_signal(number)
    interrupted = wait_for(process)
    # Long before the timeout.
    assert time.monotonic() - started < PATIENCE / 2
    assert (interrupted.returncode, interrupted.stdout, interrupted.stderr) == (130, "", "")
    assert leases(project) == [("", None)]
    # An interrupted poll neither succeeded nor failed.
    assert project.database.execute("SELECT outcome FROM importmonitor_syncperiod") == []


@pytest.mark.long
def test_killed_before_any_query_is_completed_by_the_next_poll(
    project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    """The stored history is always true, and the next poll completes it."""
    killer = Killer(project, tmp_path / "alerts")
    assert killer.sync("before 0") == "done 0"
    queries = 1
    for queries in range(1, 60, STRIDE):
        # Each poll closes an operation and creates one, with a transition for both.
        workspace.start_import("csv", seconds=3600)
        end = killer.sync(f"before {queries}")
        assert_true_history(project.database, workspace)
        if end != "killed":
            break
        expire_lease_and_claims(project)
        assert killer.sync("before 0") == "done 0"
        assert_true_history(project.database, workspace)
        assert_up_to_date(project.database, workspace)
        assert_all_alerted(project.database, killer.path)
    assert end == "done 0"
    assert queries > 15
    killer.end()
    # Only alerts in delivery are sent twice, and each poll has two.
    deliveries = assert_all_alerted(project.database, killer.path)
    assert sum(deliveries.values()) - len(deliveries) <= 2


@pytest.mark.long
def test_killed_at_random_times_keeps_the_history_true(
    project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    killer = Killer(project, tmp_path / "alerts")
    assert killer.sync("before 0") == "done 0"
    synced_at = time.monotonic()
    assert killer.sync("before 0") == "done 0"
    # Time for some polls, since this one had to connect first.
    max_seconds = 2 * (time.monotonic() - synced_at)
    started: list[str] = []
    killed_with_lease = 0
    for number in range(KILLS):
        if number % 3 == 0 and len(started) - count_operations(project) < MAX_UNSTORED:
            ending = ENDINGS[len(started) % len(ENDINGS)]
            started.append(workspace.start_import("slack", ending, 0.2, records=8000))
        if number % 7 == 6:
            workspace.restart()
        assert killer.sync(f"after {random.uniform(0, max_seconds):f}") == "killed"
        killed_with_lease += leases(project) != [("", None)]
        expire_lease_and_claims(project)
        if number % 25 == 0:
            assert_true_history(project.database, workspace)
    workspace.clock.speed = 0
    # A database server takes a moment to notice that a process is dead, and until then still
    # executes its last statement, which can acquire the lease.
    patience_ends_at = time.monotonic() + PATIENCE
    time.sleep(0.2)
    expire_lease_and_claims(project)
    while killer.sync("before 0") != "done 0":
        assert time.monotonic() < patience_ends_at
        expire_lease_and_claims(project)
    killer.end()

    history = assert_true_history(project.database, workspace)
    assert set(history) == set(started)
    assert_up_to_date(project.database, workspace)
    deliveries = assert_all_alerted(project.database, killer.path)
    twice = sum(deliveries.values()) - len(deliveries)
    sys.stdout.write(
        f"{KILLS} killed, {killed_with_lease} of them with the lease, {len(history)} operations, "
        f"{sum(map(len, history.values()))} transitions, {len(deliveries)} alerts, {twice} twice\n"
    )
    assert killed_with_lease > KILLS / 10


class Killer:
    """`tests.process.killed`, and the file of its processes' alerts."""

    def __init__(self, project: Project, path: Path) -> None:
        self.project = project
        self.path = path
        path.touch()
        self.process = project.start(
            *("-m", "tests.process.killed", str(path)), LOG_LEVEL="WARNING"
        )

    def sync(self, order: str) -> str:
        """Sync in a process that is killed as ordered; return how it ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """Assert that nothing was logged, and that the lease is released."""
        result = wait_for(self.process)
        assert (result.returncode, result.stderr) == (0, "")
        assert leases(self.project) == [("", None)]


def count_operations(project: Project) -> int:
    return len(project.database.execute("SELECT id FROM importmonitor_importoperation"))


def leases(project: Project) -> list[tuple[Any, ...]]:
    return project.database.execute("SELECT holder, expires_at FROM importmonitor_workspace")


def expire_lease(project: Project) -> None:
    project.database.execute(
        "UPDATE importmonitor_workspace SET expires_at = '2020-01-01 00:00:00' "
        "WHERE expires_at IS NOT NULL"
    )


def expire_lease_and_claims(project: Project) -> None:
    """Let the lease expire, and make all undelivered alerts due."""
    expire_lease(project)
    project.database.execute(
        "UPDATE importmonitor_alert "
        "SET next_attempt_at = '2020-01-01 00:00:00', claimed_until = NULL "
        "WHERE next_attempt_at IS NOT NULL"
    )


def as_datetime(value: str | datetime) -> datetime:
    """Return a time that a driver returned: as text, without a time zone, or with one."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo else at.replace(tzinfo=UTC)
