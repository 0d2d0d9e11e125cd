"""The retention of history: old rows are deleted in batches, except those that still matter."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)

#: Rows deleted in one transaction: a sync waits for at most that many.
BATCH = 500


@dataclass
class Pruned:
    """The number of rows that were deleted, or would be."""

    operations: int = 0
    periods: int = 0
    alerts: int = 0


def prune_operations(before: datetime, *, dry_run: bool = False) -> Pruned:
    """Delete the operations that ended before a time, with all that belongs to them.

    Kept are operations that have not ended, the newest operation of each workspace, which is its
    current one, its last period of successful polls, and the periods since.
    """
    pruned = Pruned()
    aliases = list(SyncLease.objects.values_list("workspace", flat=True).order_by("pk"))
    for workspace in aliases:
        operations = ImportOperation.objects.filter(workspace=workspace)
        newest = operations.newest_first().values("pk")[:1]
        old = operations.filter(finished_at__lt=before).exclude(pk=newest).order_by("finished_at")
        periods = _old_periods(workspace, before)
        if dry_run:
            pruned.operations += old.count()
            pruned.periods += periods.count()
            continue
        while True:
            with transaction.atomic():
                # First: a running sync waits here, and then knows what not to insert again.
                SyncLease.objects.mark_pruned(workspace, before)
                keys = list(old.values_list("pk", flat=True)[:BATCH])
                # Table by table: Django would first read all rows to collect the related ones.
                Alert.objects.filter(operation__in=keys).delete()
                ProgressSample.objects.filter(operation__in=keys).delete()
                StatusTransition.objects.filter(operation__in=keys).delete()
                ImportOperation.objects.filter(pk__in=keys).delete()
            pruned.operations += len(keys)
            if len(keys) < BATCH:
                break
        pruned.periods += _delete(periods)
    alerts = Alert.objects.filter(operation=None, created_at__lt=before, next_attempt_at=None)
    # The alert of a present outage stays, or it would be sent again.
    failing = [alias for alias in aliases if _is_failing(alias)]
    alerts = alerts.exclude(workspace__in=failing)
    pruned.alerts = alerts.count() if dry_run else _delete(alerts)
    return pruned


def prune_samples(before: datetime, *, dry_run: bool = False) -> int:
    """Delete the samples of finished operations from before a time; return how many."""
    samples = ProgressSample.objects.filter(
        observed_at__lt=before, operation__finished_at__isnull=False
    )
    return samples.count() if dry_run else _delete(samples.order_by("observed_at"))


def _old_periods(workspace: str, before: datetime) -> QuerySet[SyncPeriod]:
    good = SyncPeriod.objects.last_good(workspace)
    # Without a good one, the first period is when the polls began to fail.
    return SyncPeriod.objects.filter(
        workspace=workspace, last_at__lt=before, pk__lt=good.pk if good else 0
    )


def _is_failing(workspace: str) -> bool:
    return SyncPeriod.objects.failing_since(workspace) is not None


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows by their keys, in batches: MySQL deletes no slice of a query."""
    deleted = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
