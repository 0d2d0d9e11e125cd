"""Many processes that sync the same workspaces at once act like one."""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from simulator.workspace import Workspace
from simulator.writes import Ending
from tests.process.databases import Database
from tests.process.history import assert_all_alerted, assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, wait_for

PROCESSES = 8
#: Both are the same simulated workspace; their polls write to the same tables at once.
ALIASES = ("default", "other")
SECONDS = 10.0 if os.environ.get("LONG") else 2.0

#: How an import ends, and the seconds until the next one starts; it takes 0.6.
COURSE: tuple[tuple[Ending, float], ...] = (
    ("done", 0.8),
    ("done-with-errors", 0.3),
    ("failed", 0.8),
    ("cancelled", 0.8),
    ("done", 0.4),
    ("done-short", 0.7),
)


@pytest.mark.long
def test_eight_concurrent_processes_act_like_one(
    project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "alerts"
    workers = project.start(
        *("-m", "tests.process.worker", str(PROCESSES), str(path)),
        # Alerts that were not delivered because of the database are only a warning.
        LOG_LEVEL="WARNING",
        ROCKETCHAT_WORKSPACES="other",
        **{
            name.replace("ROCKETCHAT_", "ROCKETCHAT_OTHER_"): value
            for name, value in project.environment.items()
            if name.startswith("ROCKETCHAT_")
        },
    )
    # Imports that start before the first poll are not alerted.
    wait_for_polls(project.database, 1)
    started = keep_importing(workspace, project.database)
    # Nothing more happens. Two polls, since the first can have started before this.
    workspace.clock.speed = 0
    wait_for_polls(project.database, 2)
    result = wait_for(workers)

    assert (result.returncode, result.stderr) == (0, "")
    lines = [Counter(json.loads(line)) for line in result.stdout.splitlines()]
    assert len(lines) == PROCESSES
    counts = sum(lines, Counter[str]())
    sys.stdout.write(f"{dict(counts)}\n")
    # They ran at the same time, and nothing else happened.
    assert set(counts) == {"polled", "leased"}
    assert counts["polled"] > SECONDS
    assert sum(count_polls(project.database).values()) == counts["polled"]
    leases = project.database.execute("SELECT holder, expires_at FROM importmonitor_workspace")
    assert leases == [("", None)] * len(ALIASES)

    for alias in ALIASES:
        history = assert_true_history(project.database, workspace, alias)
        assert_up_to_date(project.database, workspace, alias)
        assert set(history) == set(started)
        assert len(history) >= 3
        transitions = sum(map(len, history.values()))
        assert transitions > len(history)
        deliveries = assert_all_alerted(project.database, path, alias)
        # No process was killed, so no alert was sent twice.
        assert set(deliveries.values()) == {1}
        sys.stdout.write(
            f"{alias}: {len(history)} operations, {transitions} transitions, "
            f"{len(deliveries)} alerts\n"
        )
    attempts = project.database.execute("SELECT DISTINCT attempts FROM importmonitor_alert")
    assert attempts == [(1,)]


def count_polls(database: Database) -> dict[str, int]:
    """Return how many polls of each workspace have ended."""
    # Those of the open period are counted in the workspace's row.
    rows = database.execute(
        "SELECT alias, SUM(polls) FROM ("
        "SELECT workspace AS alias, polls FROM importmonitor_syncperiod WHERE id NOT IN "
        "(SELECT period_id FROM importmonitor_workspace WHERE period_id IS NOT NULL) "
        "UNION ALL SELECT alias, period_polls AS polls FROM importmonitor_workspace"
        ") AS counted GROUP BY alias"
    )
    return dict.fromkeys(ALIASES, 0) | {workspace: int(polls) for workspace, polls in rows}


def wait_for_polls(database: Database, number: int) -> None:
    """Wait until some more polls of every workspace have ended."""
    before, patience_ends_at = count_polls(database), time.monotonic() + PATIENCE
    while any(count < before[alias] + number for alias, count in count_polls(database).items()):
        assert time.monotonic() < patience_ends_at
        time.sleep(0.01)


def has_steps(database: Database) -> bool:
    """Return whether every workspace has an operation that was polled at several steps."""
    counts = database.execute(
        "SELECT workspace, COUNT(*), COUNT(DISTINCT operation.id) "
        "FROM importmonitor_statustransition AS step "
        "JOIN importmonitor_importoperation AS operation ON operation.id = step.operation_id "
        "GROUP BY workspace"
    )
    return {alias for alias, steps, operations in counts if steps > operations} == set(ALIASES)


def keep_importing(workspace: Workspace, database: Database) -> list[str]:
    """Run imports one after another for some time; return their ids.

    On a busy machine it takes longer until a poll meets one that runs.
    """
    started: list[str] = []
    ends_at, patience_ends_at = time.monotonic() + SECONDS, time.monotonic() + PATIENCE
    while time.monotonic() < ends_at or len(started) < 3 or not has_steps(database):
        assert time.monotonic() < patience_ends_at
        if started and len(started) % 5 == 0:
            # The alert of an interruption waits for a newer import: the last one here has none.
            workspace.restart()
            time.sleep(0.1)
        ending, pause = COURSE[len(started) % len(COURSE)]
        # The counters change every few milliseconds.
        started.append(workspace.start_import("slack", ending, 0.6, records=8000))
        time.sleep(pause)
    return started
