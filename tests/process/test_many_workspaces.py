"""Many workspaces are polled concurrently and independently."""

import json
import os
import signal
from datetime import UTC, datetime

import pytest

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.process.processes import PATIENCE, Project, SilentServer, wait_for

COUNT = 100 if os.environ.get("LONG") else 20


def workspaces(count: int) -> dict[str, Workspace]:
    """Return workspaces with a running import, by the prefixes of their paths."""
    workspaces = {}
    for number in range(count):
        workspace = Workspace(Clock(datetime.now(UTC)), seed=number, rate_limit=None)
        workspace.add_user("monitor", "token-of-the-monitor")
        workspace.start_import("csv", seconds=3600)
        workspaces[f"/w{number}"] = workspace
    return workspaces


def environment(url: str, count: int) -> dict[str, str | None]:
    """Return the environment that configures workspaces of a server, and no other."""
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


@pytest.mark.long
def test_failing_workspace_does_not_stop_the_others(project: Project) -> None:
    with Server(workspaces(3)) as server:
        changes = environment(server.url, 3) | {"ROCKETCHAT_W1_URL": "http://127.0.0.1:9"}
        result = project.sync("--format", "json", **changes)
        assert result.returncode == 1
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert {line["workspace"]: line["ok"] for line in lines} == {
            "w0": True,
            "w1": False,
            "w2": True,
        }
        [error] = result.stderr.splitlines()
        assert error.startswith("Unreachable: w1: ")
        result = project.sync("--workspace", "w2", "--workspace", "w2", **changes)
        assert (result.returncode, result.stderr, result.stdout.count("\n")) == (0, "", 1)


@pytest.mark.long
def test_hanging_workspace_delays_no_other(project: Project, silent_server: SilentServer) -> None:
    """All others end while it hangs; `benchmarks/fan_out.py` measures how fast."""
    with Server(workspaces(COUNT)) as server:
        changes = environment(server.url, COUNT)
        changes |= {
            "ROCKETCHAT_W7_URL": silent_server.url,
            "ROCKETCHAT_W7_TIMEOUT": str(PATIENCE),
            "ROCKETCHAT_W7_DEADLINE": str(PATIENCE),
        }
        process = project.start("manage.py", "sync_import_status", "--format", "json", **changes)
        silent_server.wait_for_request()
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(COUNT - 1)]
        silent_server.close()
        result = wait_for(process)
    assert {line["workspace"] for line in lines if line["ok"]} == {
        f"w{number}" for number in range(COUNT) if number != 7
    }
    last = json.loads(result.stdout)
    assert (last["workspace"], last["ok"], last["error"]["kind"]) == ("w7", False, "Unreachable")
    assert result.returncode == 1


def test_terminated_command_releases_all_leases(
    project: Project, silent_server: SilentServer
) -> None:
    process = project.start("manage.py", "sync_import_status", **environment(silent_server.url, 2))
    for _ in range(2):
        silent_server.wait_for_request()
    held = "SELECT COUNT(*) FROM importmonitor_workspace WHERE holder <> ''"
    assert project.database.execute(held) == [(2,)]
    process.send_signal(signal.SIGTERM)
    result = wait_for(process)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")
    assert project.database.execute(held) == [(0,)]
