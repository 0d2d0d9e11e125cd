"""The sync: polls workspaces and is the only writer of operations and their history."""

from importmonitor.sync.poll import SyncResult, sync_workspace

__all__ = ["SyncResult", "sync_workspace"]
