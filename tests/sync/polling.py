"""Polls by the simulator's clock."""

from typing import Any

from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import Workspace

#: What an idle poll asks, and how that is answered.
CURRENT = ("/api/v1/getCurrentImportOperation", 200)


def poll(rocketchat: Workspace, **options: Any) -> SyncResult:
    """Look by the simulator's clock."""
    return sync_workspace("default", now=rocketchat.clock.now, **options)
