"""Two hosts ten minutes apart, killed again and again, and a webhook that drips."""

import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulator.workspace import Workspace
from tests.process.history import assert_all_alerted, assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, wait_for
from tests.process.test_killed import (
    ENDINGS,
    MAX_UNSTORED,
    count_operations,
    expire_lease_and_claims,
)
from tests.remote.servers import Connection, Server

if TYPE_CHECKING:
    import subprocess

#: How many processes are killed; with KILLS=300 it takes some minutes.
KILLS = int(os.environ.get("KILLS", "40"))


class Webhook:
    """Answers 200; while it drips, each second body takes longer than a delivery may."""

    def __init__(self) -> None:
        self.drips = threading.Event()
        self.drips.set()

    def respond(self, connection: Connection) -> None:
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(random.choice((1, 1000))):
            if self.drips.is_set() and connection.pause(0.02):
                connection.send(b"1\r\nx\r\n")
        connection.send(b"0\r\n\r\n")


@pytest.mark.long
def test_killed_hosts_with_different_clocks_lose_nothing(
    project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "alerts"
    path.touch()
    webhook = Webhook()
    with Server(webhook.respond) as server:
        hosts = project.start("-m", "tests.process.hosts", str(path), str(server.port))
        assert order(hosts, "end") == "done"
        started: list[str] = []
        claimed = 0
        for number in range(KILLS // 2):
            if len(started) - count_operations(project) < MAX_UNSTORED:
                ending = ENDINGS[len(started) % len(ENDINGS)]
                started.append(workspace.start_import("slack", ending, 0.3, records=8000))
            if number % 7 == 6:
                workspace.restart()
            lifetimes = [random.uniform(0, 0.4) for _host in range(2)]
            assert order(hosts, " ".join(map(str, lifetimes))) == "killed"
            if number % 5 == 4:
                # As if a quarter of an hour had passed.
                claimed += count(project, "channel = 'file' AND claimed_until IS NOT NULL")
                expire_lease_and_claims(project)
                assert_true_history(project.database, workspace, one_clock=False)
        webhook.drips.clear()
        workspace.clock.speed = 0
        claimed += count(project, "channel = 'file' AND claimed_until IS NOT NULL")
        patience_ends_at = time.monotonic() + PATIENCE
        # A database server takes a moment to notice that a process is dead.
        time.sleep(0.2)
        expire_lease_and_claims(project)
        while order(hosts, "end") != "done" or count(project, "delivered_at IS NULL"):
            assert time.monotonic() < patience_ends_at
            expire_lease_and_claims(project)
        assert wait_for(hosts).returncode == 0
    history = assert_true_history(project.database, workspace, one_clock=False)
    assert set(history) == set(started)
    assert_up_to_date(project.database, workspace)
    deliveries = assert_all_alerted(project.database, path)
    twice = sum(deliveries.values()) - len(deliveries)
    sys.stdout.write(
        f"{KILLS} killed, {len(history)} operations, {len(deliveries)} alerts, {twice} of them "
        f"twice, {claimed} claimed by a killed process, {server.connections} calls of the webhook\n"
    )
    # Only what a killed process was delivering.
    assert twice <= claimed


def order(hosts: "subprocess.Popen[str]", line: str) -> str:
    assert hosts.stdin is not None
    assert hosts.stdout is not None
    hosts.stdin.write(f"{line}\n")
    hosts.stdin.flush()
    answer = hosts.stdout.readline().strip()
    assert answer, wait_for(hosts).stderr
    return answer


def count(project: Project, condition: str) -> int:
    """Return the number of alerts that match an SQL condition."""
    rows = project.database.execute(f"SELECT count(*) FROM importmonitor_alert WHERE {condition}")
    return int(rows[0][0])
