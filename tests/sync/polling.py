"""Polls by the simulator's clock."""

from typing import Any

from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import Workspace

#: The only request of an idle poll, and the status of its response.
CURRENT = ("/api/v1/getCurrentImportOperation", 200)


def poll(rocketchat: Workspace, **options: Any) -> SyncResult:
    """Poll the workspace `default` at the simulator's time."""
    return sync_workspace("default", now=rocketchat.clock.now, **options)
