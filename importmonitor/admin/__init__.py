"""The faces in the Django admin: they read the store; "Sync now" calls the sync."""

from importmonitor.admin.operations import ImportOperationAdmin

__all__ = ["ImportOperationAdmin"]
