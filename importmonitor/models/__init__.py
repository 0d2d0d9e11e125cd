"""The store: the history of each workspace's imports, and of the polls that recorded it."""

from importmonitor.models.alerts import Alert, Delivery
from importmonitor.models.group_sets import GroupSet
from importmonitor.models.incidents import Incident
from importmonitor.models.kinds import Unusual, earlier_of_kind, find_unusual
from importmonitor.models.operations import ImportOperation
from importmonitor.models.outcomes import EndReason, Outcome, TimeLeft
from importmonitor.models.periods import SyncPeriod
from importmonitor.models.samples import ProgressSample
from importmonitor.models.tokens import ApiToken
from importmonitor.models.totals import StoredTotals
from importmonitor.models.transitions import StatusTransition
from importmonitor.models.viewers import Viewer, get_viewer
from importmonitor.models.workspace_queries import Freshness
from importmonitor.models.workspaces import Workspace

__all__ = [
    "Alert",
    "ApiToken",
    "Delivery",
    "EndReason",
    "Freshness",
    "GroupSet",
    "ImportOperation",
    "Incident",
    "Outcome",
    "ProgressSample",
    "StatusTransition",
    "StoredTotals",
    "SyncPeriod",
    "TimeLeft",
    "Unusual",
    "Viewer",
    "Workspace",
    "earlier_of_kind",
    "find_unusual",
    "get_viewer",
]
