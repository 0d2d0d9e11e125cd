"""The store: the history of each workspace's imports, and of the polls that recorded it."""

from importmonitor.models.alerts import Alert, Delivery
from importmonitor.models.operations import EndReason, ImportOperation, Outcome
from importmonitor.models.samples import ProgressSample
from importmonitor.models.tokens import ApiToken
from importmonitor.models.transitions import StatusTransition
from importmonitor.models.workspaces import PollState, SyncLease, SyncPeriod

__all__ = [
    "Alert",
    "ApiToken",
    "Delivery",
    "EndReason",
    "ImportOperation",
    "Outcome",
    "PollState",
    "ProgressSample",
    "StatusTransition",
    "SyncLease",
    "SyncPeriod",
]
