"""Many processes that sync one workspace at once do what one would have done."""

import json
import os
import sys
import time
from collections import Counter

from project.simulator.workspace import Workspace
from project.simulator.writes import Ending
from tests.process.history import assert_true_history, assert_up_to_date
from tests.process.processes import PATIENCE, Project, finished

PROCESSES = 8
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


def test_eight_processes_at_once(project: Project, workspace: Workspace) -> None:
    workers = project.start("-m", "tests.process.worker", str(SECONDS), str(PROCESSES))
    started = keep_importing(workspace, SECONDS - 0.5)
    # For the last moment nothing happens, so that everybody can see how it ended.
    workspace.clock.speed = 0
    ended = finished(workers)

    assert (ended.returncode, ended.stderr) == (0, "")
    told = [Counter(json.loads(line)) for line in ended.stdout.splitlines()]
    assert len(told) == PROCESSES
    counts = sum(told, Counter[str]())
    # They were at it at once, and nothing came of it but looks and leases.
    assert set(counts) == {"polled", "leased"}
    assert counts["polled"] > 3 * SECONDS

    history = assert_true_history(project.database, workspace)
    transitions = sum(map(len, history.values()))
    sys.stdout.write(f"{dict(counts)}, {len(history)} operations, {transitions} transitions\n")
    assert set(history) <= set(started)
    assert len(history) >= 3
    assert transitions > 2 * len(history)
    assert_up_to_date(project.database, workspace)

    polls = project.database.execute("SELECT SUM(polls) FROM importmonitor_syncperiod")
    assert polls == [(counts["polled"],)]
    leases = project.database.execute("SELECT holder, expires_at FROM importmonitor_synclease")
    assert leases == [("", None)]


def keep_importing(workspace: Workspace, seconds: float) -> list[str]:
    """Let imports run one after another, from the first call on; return their ids."""
    started: list[str] = []
    patience_ends_at = time.monotonic() + PATIENCE
    while not workspace.requests and time.monotonic() < patience_ends_at:
        time.sleep(0.01)
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        ending, pause = COURSE[len(started) % len(COURSE)]
        # Its counters are written every few milliseconds.
        started.append(workspace.start_import("slack", ending, 0.6, records=8000))
        time.sleep(min(pause, left))
        if len(started) % 5 == 0:
            workspace.restart()
    return started
