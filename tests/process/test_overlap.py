"""Many processes that sync the same workspaces at once do what one would have done."""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from simulator.workspace import Workspace
from simulator.writes import Ending
from tests.process.databases import Database
from tests.process.history import assert_everything_told, assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, finished

PROCESSES = 8
#: Two that write to the same tables at once, each in its own turn; here they show the same.
ALIASES = ("default", "other")
SECONDS = 60.0 if os.environ.get("LONG") else 2.0

#: How an import ends, and after how many seconds of its 0.6 the next thing happens.
COURSE: tuple[tuple[Ending, float], ...] = (
    ("done", 0.8),
    ("done-with-errors", 0.3),
    ("failed", 0.8),
    ("cancelled", 0.8),
    ("done", 0.4),
    ("done-short", 0.7),
)


def test_eight_processes_at_once(project: Project, workspace: Workspace, tmp_path: Path) -> None:
    told_to = tmp_path / "told"
    workers = project.start(
        *("-m", "tests.process.worker", str(PROCESSES), str(told_to)),
        # That alerts were not delivered for trouble with the database is a warning, no more.
        LOG_LEVEL="WARNING",
        ROCKETCHAT_WORKSPACES="other",
        **{
            name.replace("ROCKETCHAT_", "ROCKETCHAT_OTHER_"): value
            for name, value in project.environment.items()
            if name.startswith("ROCKETCHAT_")
        },
    )
    # Of what began before the first look nobody is told.
    wait_for_looks(project.database, 1)
    started = keep_importing(workspace, SECONDS)
    # Nothing happens any more, and somebody looks: the last but one can have begun before that.
    workspace.clock.speed = 0
    wait_for_looks(project.database, 2)
    ended = finished(workers)

    assert (ended.returncode, ended.stderr) == (0, "")
    told = [Counter(json.loads(line)) for line in ended.stdout.splitlines()]
    assert len(told) == PROCESSES
    counts = sum(told, Counter[str]())
    sys.stdout.write(f"{dict(counts)}\n")
    # They were at it at once, and nothing came of it but looks and leases.
    assert set(counts) == {"polled", "leased"}
    assert counts["polled"] > SECONDS
    assert sum(looks(project.database).values()) == counts["polled"]
    leases = project.database.execute("SELECT holder, expires_at FROM importmonitor_synclease")
    assert leases == [("", None)] * len(ALIASES)

    for alias in ALIASES:
        history = assert_true_history(project.database, workspace, alias)
        assert_up_to_date(project.database, workspace, alias)
        assert set(history) == set(started)
        assert len(history) >= 3
        transitions = sum(map(len, history.values()))
        assert transitions > len(history)
        times_told = assert_everything_told(project.database, told_to, alias)
        # Nobody died in the middle of it, so nothing was told twice.
        assert set(times_told.values()) == {1}
        sys.stdout.write(
            f"{alias}: {len(history)} operations, {transitions} transitions, "
            f"{len(times_told)} alerts\n"
        )
    attempts = project.database.execute("SELECT DISTINCT attempts FROM importmonitor_alert")
    assert attempts == [(1,)]


def looks(database: Database) -> dict[str, int]:
    """Return how many looks at each workspace have come to their end."""
    counted = database.execute(
        "SELECT workspace, SUM(polls) FROM importmonitor_syncperiod GROUP BY workspace"
    )
    return dict.fromkeys(ALIASES, 0) | {workspace: int(polls) for workspace, polls in counted}


def wait_for_looks(database: Database, number: int) -> None:
    """Wait until so many more looks at each workspace have come to their end."""
    before, patience_ends_at = looks(database), time.monotonic() + PATIENCE
    while any(count < before[alias] + number for alias, count in looks(database).items()):
        assert time.monotonic() < patience_ends_at
        time.sleep(0.01)


def keep_importing(workspace: Workspace, seconds: float) -> list[str]:
    """Let imports run one after another for so long; return their ids."""
    started: list[str] = []
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        ending, pause = COURSE[len(started) % len(COURSE)]
        # Its counters are written every few milliseconds.
        started.append(workspace.start_import("slack", ending, 0.6, records=8000))
        time.sleep(min(pause, left))
        if len(started) % 5 == 0:
            workspace.restart()
    return started
