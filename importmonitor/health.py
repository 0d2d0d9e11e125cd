"""How well each workspace can be looked at, for the faces to show."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import OuterRef, Subquery

from importmonitor import conf
from importmonitor.models import ImportOperation, SyncLease, SyncPeriod


class Freshness(StrEnum):
    """What a stored operation is worth now."""

    OK = "ok"
    STALE = "stale"
    FAILING = "failing"


@dataclass(frozen=True)
class WorkspaceHealth:
    """A configured workspace: its newest period of polls and its current operation, if any."""

    alias: str
    period: SyncPeriod | None
    operation: ImportOperation | None
    freshness: Freshness | None


def freshness(period: SyncPeriod, now: datetime) -> Freshness:
    """Tell how its newest period lets a workspace's data look.

    Stale is what nobody has looked at for twice as long as a workspace may be unreachable: an
    idle one is looked at every five minutes, and one look may be late.
    """
    if not period.is_good:
        return Freshness.FAILING
    late = now - period.last_at > 2 * conf.options().unreachable_after
    return Freshness.STALE if late else Freshness.OK


def workspaces(now: datetime) -> list[WorkspaceHealth]:
    """Return the health of every configured workspace, in at most three queries."""
    aliases = conf.aliases()
    here = {"workspace": OuterRef("workspace")}
    newest = SyncPeriod.objects.filter(**here).order_by("-pk").values("pk")[:1]
    current = ImportOperation.objects.filter(**here).newest_first().values("pk")[:1]
    # Every workspace that was ever looked at has one lease.
    known = {
        alias: (period, operation)
        for alias, period, operation in SyncLease.objects.filter(workspace__in=aliases)
        .annotate(period=Subquery(newest), operation=Subquery(current))
        .values_list("workspace", "period", "operation")
    }
    periods = SyncPeriod.objects.in_bulk([period for period, _ in known.values() if period])
    operations = ImportOperation.objects.in_bulk([each for _, each in known.values() if each])
    found = []
    for alias in aliases:
        period_pk, operation_pk = known.get(alias, (None, None))
        period = periods.get(period_pk)
        # A workspace that says it has none has none, whatever was seen of it before.
        empty = period is not None and period.outcome == SyncPeriod.EMPTY
        operation = None if empty else operations.get(operation_pk)
        looks = freshness(period, now) if period else None
        found.append(WorkspaceHealth(alias, period, operation, looks))
    return found
