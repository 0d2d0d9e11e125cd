"""The faces in the Django admin: they read the store; "Sync now" calls the sync."""

from importmonitor.admin.alerts import AlertAdmin
from importmonitor.admin.operations import ImportOperationAdmin
from importmonitor.admin.tokens import ApiTokenAdmin
from importmonitor.admin.workspaces import SyncPeriodAdmin

__all__ = ["AlertAdmin", "ApiTokenAdmin", "ImportOperationAdmin", "SyncPeriodAdmin"]
