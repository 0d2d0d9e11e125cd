"""Many workspaces at once: side by side, and each for itself."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.process.processes import PATIENCE, Project, finished

LATENCY = 0.1
COUNT = 200 if os.environ.get("LONG") else 20
DEADLINE = "12" if os.environ.get("LONG") else "2"


def workspaces(count: int) -> dict[str, Workspace]:
    """Workspaces by the prefix of their paths, each with an import that runs."""
    made = {}
    for number in range(count):
        workspace = Workspace(Clock(datetime.now(UTC)), seed=number, rate_limit=None)
        workspace.add_user("monitor", "token-of-the-monitor")
        workspace.start_import("csv", seconds=3600)
        made[f"/w{number}"] = workspace
    return made


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes longer than anybody waits."""
    with Server(workspaces(2), latency=60) as server:
        yield f"{server.url}/w0"


def environment(url: str, count: int) -> dict[str, str | None]:
    """Configure so many workspaces of a server, in the environment, and no other."""
    aliases = [f"w{number}" for number in range(count)]
    changes: dict[str, str | None] = {
        "ROCKETCHAT_URL": None,
        "ROCKETCHAT_USER_ID": None,
        "ROCKETCHAT_AUTH_TOKEN": None,
        "ROCKETCHAT_WORKSPACES": ",".join(aliases),
    }
    for alias in aliases:
        changes |= {
            f"ROCKETCHAT_{alias.upper()}_URL": f"{url}/{alias}",
            f"ROCKETCHAT_{alias.upper()}_USER_ID": "monitor",
            f"ROCKETCHAT_{alias.upper()}_AUTH_TOKEN": "token-of-the-monitor",
        }
    return changes


def test_all_are_tried_when_one_fails(project: Project) -> None:
    with Server(workspaces(3)) as server:
        changes = environment(server.url, 3) | {"ROCKETCHAT_W1_URL": "http://127.0.0.1:9"}
        ended = project.sync("--format", "json", **changes)
        assert ended.returncode == 1
        told = {each["workspace"]: each for each in map(json.loads, ended.stdout.splitlines())}
        assert {alias: each["ok"] for alias, each in told.items()} == {
            "w0": True,
            "w1": False,
            "w2": True,
        }
        [trouble] = ended.stderr.splitlines()
        assert trouble.startswith("Unreachable: w1: ")
        ended = project.sync("--workspace", "w2", "--workspace", "w2", **changes)
        assert (ended.returncode, ended.stderr, ended.stdout.count("\n")) == (0, "", 1)


def test_one_that_hangs_delays_no_other(project: Project, silent: str) -> None:
    """How long the others take, benchmarks/fan_out.py measures."""
    with Server(workspaces(COUNT), latency=LATENCY) as server:
        hangs = {"URL": silent, "DEADLINE": DEADLINE, "TIMEOUT": DEADLINE}
        changes = environment(server.url, COUNT)
        changes |= {f"ROCKETCHAT_W7_{key}": value for key, value in hangs.items()}
        ended = project.sync("--format", "json", **changes)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 1
    assert len(told) == COUNT
    assert [each["workspace"] for each in told if not each["ok"]] == ["w7"]
    assert told[-1]["workspace"] == "w7"
    assert f"within the deadline of {DEADLINE} s" in told[-1]["error"]["message"]
    assert 1000 * float(DEADLINE) <= told[-1]["duration_ms"] < 1000 * (float(DEADLINE) + 2)


def test_ended_in_the_middle_it_leaves_no_lease(project: Project, silent: str) -> None:
    changes = environment(silent.removesuffix("/w0"), 2)
    process = project.start("manage.py", "sync_import_status", **changes)
    ends_at = time.monotonic() + PATIENCE
    held = "SELECT COUNT(*) FROM importmonitor_synclease WHERE holder <> ''"
    while project.database.execute(held) != [(2,)] and time.monotonic() < ends_at:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    ended = finished(process)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
    assert project.database.execute(held) == [(0,)]
