"""The Django admin: it reads the store; "Sync now" runs the sync."""

from importmonitor.admin.alerts import AlertAdmin
from importmonitor.admin.incidents import IncidentAdmin
from importmonitor.admin.operations import ImportOperationAdmin
from importmonitor.admin.tokens import ApiTokenAdmin
from importmonitor.admin.workspaces import WorkspaceAdmin

__all__ = [
    "AlertAdmin",
    "ApiTokenAdmin",
    "ImportOperationAdmin",
    "IncidentAdmin",
    "WorkspaceAdmin",
]
