"""Fills the new table and columns from what is stored, and corrects ends that were not true.

Rows by rows where there is one for each workspace, in single statements where there can be many.
"""

from typing import Any

from django.db import migrations
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

GOOD = ("ok", "empty")
COUNT_USERS_TWICE = ("csv", "slack", "slack-users")
PENDING = ("pending-avatars", "pending-files")
#: The records that were imported or failed.
HANDLED = F("count_completed") + Coalesce("count_error", 0)
#: An import can count a record or two too many.
TOLERANCE = 2
BATCH = 500
LEASE_FIELDS = (
    "list_due_at",
    "list_refused",
    "pruned_before",
    "pruned_at",
    "holder",
    "expires_at",
    "not_before",
)


def fill_workspaces(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    models = {
        name: apps.get_model("importmonitor", name).objects.using(using)
        for name in ("SyncLease", "SyncPeriod", "ImportOperation", "Workspace")
    }
    workspaces = []
    for lease in models["SyncLease"].order_by("pk"):
        periods = models["SyncPeriod"].filter(workspace=lease.workspace).order_by("pk")
        good = periods.filter(outcome__in=GOOD)
        period, last_good, first_good = periods.last(), good.last(), good.first()
        values = {name: getattr(lease, name) for name in LEASE_FIELDS}
        if period is not None:
            failing = periods.filter(pk__gt=last_good.pk if last_good else 0).first()
            values |= {
                "sync_status": period.outcome,
                "message": period.message,
                "period_id": period.pk,
                "period_started_at": period.first_at,
                "period_polls": period.polls,
                "watched": period.watched,
                "last_polled_at": period.last_at,
                "first_synced_at": first_good.first_at if first_good else None,
                "last_synced_at": last_good.last_at if last_good else None,
                "failing_since": failing.first_at if failing else None,
            }
        if last_good is not None and last_good.outcome != "empty":
            operations = models["ImportOperation"].filter(workspace=lease.workspace)
            newest = operations.order_by("-started_at", "-pk").only("pk").first()
            values["current_operation_id"] = newest.pk if newest else None
            values["changed_at"] = last_good.first_at
        workspaces.append(models["Workspace"].model(alias=lease.workspace, **values))
    models["Workspace"].bulk_create(workspaces, batch_size=100)


def empty_workspaces(apps: Any, schema_editor: Any) -> None:
    """Store the leases and the ends of the open periods as before."""
    using = schema_editor.connection.alias
    models = {
        name: apps.get_model("importmonitor", name).objects.using(using)
        for name in ("SyncLease", "SyncPeriod", "Workspace")
    }
    for workspace in models["Workspace"].order_by("pk"):
        values = {name: getattr(workspace, name) for name in LEASE_FIELDS}
        models["SyncLease"].create(workspace=workspace.alias, **values)
        if workspace.period_id is not None:
            models["SyncPeriod"].filter(pk=workspace.period_id).update(
                last_at=workspace.last_polled_at,
                polls=workspace.period_polls,
                watched=workspace.watched,
                message=workspace.message,
            )
    models["Workspace"].all().delete()


def store_how_users_are_counted(apps: Any, schema_editor: Any) -> None:
    operations = apps.get_model("importmonitor", "ImportOperation").objects
    rows = operations.using(schema_editor.connection.alias)
    counted = Q(importer_key__in=COUNT_USERS_TWICE, count_users__gt=0)
    rows.exclude(counted).update(users_twice=False)
    rows = rows.filter(counted).alias(handled=HANDLED)
    rows.filter(handled__gt=F("count_total") + TOLERANCE).update(users_twice=True)
    rows.filter(status="importer_done", handled=F("count_total")).update(users_twice=False)


def correct_ends(apps: Any, schema_editor: Any) -> None:
    """Correct the outcomes of imports that were aborted, and called done.

    Up to now, an import that was seen invalid before its end became "done" when Rocket.Chat wrote
    `importer_done`. Pending files and avatars, and imports up to 6.2, do not notice it.
    """
    using = schema_editor.connection.alias
    operations = apps.get_model("importmonitor", "ImportOperation").objects.using(using)
    transitions = apps.get_model("importmonitor", "StatusTransition").objects.using(using)
    done = operations.filter(end_reason="done", valid=False).exclude(importer_key__in=PENDING)
    done_before = transitions.filter(
        operation=OuterRef("operation"),
        to_status="importer_done",
        observed_at__lt=OuterRef("observed_at"),
    )
    put_aside = (
        transitions.filter(reason__in=("invalidated", "superseded"))
        # What was done, and opened and run again, stays done.
        .exclude(Exists(done_before) | Q(to_status="importer_done"))
        .order_by("observed_at", "pk")
    )
    of_row = put_aside.filter(operation=OuterRef("pk"))
    first = {name: Subquery(of_row.values(name)[:1]) for name in ("reason", "observed_at")}
    aborted: dict[str, list[int]] = {"invalidated": [], "superseded": []}
    rows = done.annotate(reason=first["reason"]).exclude(reason=None)
    for key, reason, payload in rows.values_list("pk", "reason", "payload"):
        created = payload.get("ts")
        is_legacy = isinstance(created, int) or (isinstance(created, str) and created.isdecimal())
        if not is_legacy:
            aborted[reason].append(key)
    for reason, end in (("invalidated", "interrupted"), ("superseded", "superseded")):
        keys = aborted[reason]
        # In batches: SQLite limits the number of variables.
        for start in range(0, len(keys), BATCH):
            operations.filter(pk__in=keys[start : start + BATCH]).update(
                end_reason=end, outcome=end, invalidated_at=first["observed_at"]
            )
    is_pending = Q(importer_key__in=PENDING)
    # Never counted, or fewer than the file holds when users are counted twice.
    ends = operations.filter(~is_pending, outcome="done", count_total__gt=0).alias(handled=HANDLED)
    ends.filter(count_completed=None).update(outcome="incomplete")
    ends.filter(users_twice=True, handled__lt=F("count_total") + F("count_users")).update(
        outcome="incomplete"
    )
    # Their counters go on after the end.
    operations.filter(is_pending, outcome="incomplete").update(outcome="done")


class Migration(migrations.Migration):
    dependencies = [
        ("importmonitor", "0007_workspaces"),
    ]

    operations = [
        migrations.RunPython(fill_workspaces, empty_workspaces, elidable=True),
        migrations.RunPython(store_how_users_are_counted, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(correct_ends, migrations.RunPython.noop, elidable=True),
        migrations.DeleteModel(name="SyncLease"),
    ]
