"""The retention of history: old rows are deleted in batches, except those that still matter."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from importmonitor.alerts.drafts import DIGEST
from importmonitor.models import (
    Alert,
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from importmonitor.sync.lease import Lease
from importmonitor.tenancy import store_alias

#: Rows deleted in one transaction: a sync waits for at most that many.
BATCH = 500
#: In seconds: more than it takes to delete a batch.
_BATCH_DEADLINE = 55.0


class WorkspaceLeased(Exception):
    """Another process is polling the workspace."""


@dataclass
class Pruned:
    """The number of rows that were deleted, or would be.

    `alerts` are those about no import; for a whole workspace, all.
    """

    operations: int = 0
    periods: int = 0
    alerts: int = 0


def prune_operations(before: datetime, *, dry_run: bool = False) -> Pruned:
    """Delete the operations that ended before a time, with all that belongs to them.

    Kept are operations that have not ended, and the current operation and the open period of each
    workspace.
    """
    pruned = Pruned()
    for workspace in Workspace.objects.order_by("pk"):
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
                _delete_operations(keys)
            pruned.operations += len(keys)
            if len(keys) < BATCH:
                break
        pruned.periods += _delete(periods)
    alerts = Alert.objects.filter(operation=None, created_at__lt=before, next_attempt_at=None)
    alerts = alerts.exclude(incident__in=Incident.objects.filter(until=None).order_by())
    # The row keeps a digest from being sent twice, for as long as its week is the last one.
    alerts = alerts.exclude(event=DIGEST, created_at__gt=timezone.now() - timedelta(days=8))
    pruned.alerts = alerts.count() if dry_run else _delete(alerts)
    if not dry_run:
        _delete(Incident.objects.filter(operation=None, until__lt=before))
    return pruned


def prune_samples(before: datetime, *, dry_run: bool = False) -> int:
    """Delete the samples of finished operations from before a time; return how many."""
    samples = ProgressSample.objects.filter(
        observed_at__lt=before, operation__finished_at__isnull=False
    )
    return samples.count() if dry_run else _delete(samples.order_by("observed_at"))


def count_workspace(alias: str) -> Pruned:
    """Return how many rows `delete_workspace` would delete, not counting the workspace's own."""
    return Pruned(*(rows.count() for rows in _rows_of(alias)))


def delete_workspace(alias: str) -> Pruned:
    """Delete the whole history of a workspace and its state, whether it is configured or not.

    Raises WorkspaceLeased if it is being polled. LeaseLost ends it in the middle, if another
    process no longer believed in the lease; then the rest can be deleted by another call.
    """
    # A wait that Rocket.Chat asked for concerns only polls.
    Workspace.objects.filter(alias=alias).update(not_before=None)
    operations, periods, alerts = _rows_of(alias)
    pruned = Pruned()
    with Lease(alias, timezone.now, deadline=_BATCH_DEADLINE) as lease:
        if not lease.is_held:
            raise WorkspaceLeased
        # By date, which an index of the workspace has.
        while keys := list(
            operations.order_by("-started_at", "-pk").values_list("pk", flat=True)[:BATCH]
        ):
            with transaction.atomic(using=store_alias()):
                lease.renew()
                pruned.alerts += alerts.filter(operation__in=keys).count()
                _delete_operations(keys)
            pruned.operations += len(keys)
        lease.renew()
        pruned.periods, pruned.alerts = _delete(periods), pruned.alerts + _delete(alerts)
        _delete(Incident.objects.filter(workspace=alias))
        Workspace.objects.filter(alias=alias, holder=lease.holder).delete()
    return pruned


def _rows_of(alias: str) -> list[QuerySet[Any]]:
    """Return the rows of a workspace that `Pruned` counts, in its order."""
    models = (ImportOperation, SyncPeriod, Alert)
    return [model.objects.filter(workspace=alias) for model in models]


def _delete_operations(keys: list[int]) -> None:
    """Delete operations with all that belongs to them.

    Table by table: Django would first read all rows to collect the related ones.
    """
    Alert.objects.filter(operation__in=keys).delete()
    Incident.objects.filter(operation__in=keys).delete()
    ProgressSample.objects.filter(operation__in=keys).delete()
    StatusTransition.objects.filter(operation__in=keys).delete()
    ImportOperation.objects.filter(pk__in=keys).delete()


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows by their keys, in batches: MySQL deletes no slice of a query."""
    deleted = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
