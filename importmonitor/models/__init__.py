"""The store: what was seen of each workspace's imports, and how well we could look."""

from importmonitor.models.alerts import Alert, Delivery
from importmonitor.models.operations import EndReason, ImportOperation, Outcome
from importmonitor.models.samples import ProgressSample
from importmonitor.models.syncing import Known, SyncLease, SyncPeriod
from importmonitor.models.tokens import ApiToken
from importmonitor.models.transitions import StatusTransition

__all__ = [
    "Alert",
    "ApiToken",
    "Delivery",
    "EndReason",
    "ImportOperation",
    "Known",
    "Outcome",
    "ProgressSample",
    "StatusTransition",
    "SyncLease",
    "SyncPeriod",
]
