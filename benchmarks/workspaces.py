"""Simulated workspaces; `serve` and `recorded_polls` are called in a process of their own."""

import threading
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from benchmarks.environments import TOKEN, USER_ID
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

_POLL = "/api/v1/getCurrentImportOperation"

#: By workspace: path, begin and end (monotonic, s) of every request.
_requests: defaultdict[str, list[tuple[float, float, str]]] = defaultdict(list)
_lock = threading.Lock()


def new_workspace(seed: int = 0) -> Workspace:
    """Return a workspace that the benchmark's user can read."""
    workspace = Workspace(Clock(datetime.now(UTC)), seed=seed, rate_limit=None)
    workspace.add_user(USER_ID, TOKEN)
    return workspace


def running_workspace(seed: int = 0) -> Workspace:
    """Return a workspace with an import that is half done."""
    workspace = new_workspace(seed)
    workspace.start_import("slack", seconds=3600)
    workspace.clock.advance(1800)
    return workspace


def workspace_urls(base_url: str, count: int) -> dict[str, str]:
    """Return the URLs of the workspaces of `serve`, by alias."""
    return {f"w{number}": f"{base_url}/w{number}" for number in range(count)}


def serve(count: int, latency: float) -> str:
    """Serve workspaces until the process ends; return their base URL."""
    workspaces = {f"/w{number}": running_workspace(number) for number in range(count)}
    server = Server(workspaces, latency=latency, on_response=_record)
    server.start()
    return server.url


def _record(prefix: str, path: str, started: float, ended: float) -> None:
    with _lock:
        _requests[prefix].append((started, ended, path))


def recorded_polls() -> dict[str, Any]:
    """Return the times of each workspace's polls, and how many requests overlapped another."""
    with _lock:
        requests = {prefix: sorted(of_one) for prefix, of_one in _requests.items()}
    return {
        "polls": {
            prefix: [started for started, _, path in of_one if path == _POLL]
            for prefix, of_one in requests.items()
        },
        "overlaps": sum(
            later[0] < earlier[1]
            for of_one in requests.values()
            for earlier, later in pairwise(of_one)
        ),
    }
