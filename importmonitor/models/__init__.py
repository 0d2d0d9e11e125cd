"""The store: what was seen of each workspace's imports, and how well we could look."""

from importmonitor.models.operations import EndReason, ImportOperation, StatusTransition
from importmonitor.models.syncing import SyncLease, SyncPeriod
from importmonitor.models.tokens import ApiToken

__all__ = [
    "ApiToken",
    "EndReason",
    "ImportOperation",
    "StatusTransition",
    "SyncLease",
    "SyncPeriod",
]
