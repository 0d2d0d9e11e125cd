"""Simulated workspaces."""

from datetime import UTC, datetime

from benchmarks.environments import TOKEN, USER_ID
from simulator.clock import Clock
from simulator.workspace import Workspace


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
