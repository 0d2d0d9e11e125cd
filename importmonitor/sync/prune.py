"""The retention of history: old rows are deleted in batches, except those that still matter."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from importmonitor.models.store import store_alias

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

    Kept are operations that have not ended, and the current operation and the open period of each
    workspace.
    """
    pruned = Pruned()
    workspaces = list(Workspace.objects.order_by("pk"))
    for workspace in workspaces:
        operations = ImportOperation.objects.filter(
            workspace=workspace.alias, finished_at__lt=before
        )
        current = Workspace.objects.filter(pk=workspace.pk, current_operation=OuterRef("pk"))
        old = operations.exclude(Exists(current)).order_by("finished_at")
        periods = SyncPeriod.objects.filter(workspace=workspace.alias, last_at__lt=before).exclude(
            pk=workspace.period_id or 0
        )
        if dry_run:
            pruned.operations += old.count()
            pruned.periods += periods.count()
            continue
        while True:
            with transaction.atomic(using=store_alias()):
                # First: a running sync waits here, and then knows what not to insert again.
                Workspace.objects.mark_pruned(workspace.alias, before)
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
    failing = [row.alias for row in workspaces if row.failing_since is not None]
    alerts = alerts.exclude(workspace__in=failing)
    pruned.alerts = alerts.count() if dry_run else _delete(alerts)
    return pruned


def prune_samples(before: datetime, *, dry_run: bool = False) -> int:
    """Delete the samples of finished operations from before a time; return how many."""
    samples = ProgressSample.objects.filter(
        observed_at__lt=before, operation__finished_at__isnull=False
    )
    return samples.count() if dry_run else _delete(samples.order_by("observed_at"))


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows by their keys, in batches: MySQL deletes no slice of a query."""
    deleted = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
