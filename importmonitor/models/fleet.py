"""How many workspaces there are in which state, and which need attention first.

Each is read from the end of an index, so that it costs the same for ten workspaces and for a
hundred thousand: whatever is counted is counted up to a limit.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet, Subquery

from importmonitor.models.operations import ImportOperation
from importmonitor.models.store import RowCount
from importmonitor.models.workspace_queries import Urgency, WorkspaceQuerySet
from importmonitor.models.workspaces import Workspace

#: Workspaces are counted up to this: a page says that there are more, not how many more.
MAX_COUNT = 1_000

# Of the columns of one query that reads other things too.
_COUNT, _KEY = "workspaces_", "workspace_key_"


class FleetCounts(NamedTuple):
    """Numbers of workspaces, up to MAX_COUNT + 1."""

    total: int = 0
    #: That were ever polled; up to one.
    polled: int = 0
    #: Whose current import failed or is stalled.
    failed: int = 0
    #: Whose last poll failed, or is too long ago.
    unpolled: int = 0
    #: Whose current import is active; of the others.
    active: int = 0

    @property
    def urgency(self) -> Urgency:
        """The highest urgency of them."""
        if self.failed:
            return Urgency.FAILED
        if self.unpolled:
            return Urgency.FAILING
        return Urgency.ACTIVE if self.active else Urgency.CALM


def read_values(expressions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of subqueries by their names, in one query; without rows, all are None."""
    for rows in (Workspace.objects.all(), ImportOperation.objects.all()):
        # Of any one row: a query needs a table.
        any_row: QuerySet[Any] = rows.order_by("pk").annotate(**expressions)
        if (values := any_row.values(*expressions).first()) is not None:
            return dict(values)
    return dict.fromkeys(expressions)


def expressions(rows: WorkspaceQuerySet, now: datetime, limit: int = 0) -> dict[str, Any]:
    """Return the subqueries that `read_counts` and `read_workspaces` need, for `read_values`.

    `limit` is the number of the workspaces to read, of each urgency.
    """
    late = rows.filter(urgency__gt=Urgency.FAILING).late(now).order_by("last_polled_at")
    active = rows.filter(urgency=Urgency.ACTIVE).order_by("pk")
    counted = {
        "total": rows.order_by("urgency", "pk"),
        "failed": rows.filter(urgency=Urgency.FAILED).order_by("pk"),
        "failing": rows.filter(urgency=Urgency.FAILING).order_by("pk"),
        "late": late,
        "active": active,
        "late_active": late.filter(urgency=Urgency.ACTIVE),
    }
    polled = rows.filter(last_polled_at__isnull=False).order_by("-last_polled_at")
    result: dict[str, Any] = {f"{_COUNT}polled": RowCount(polled.values("pk")[:1])}
    for name, part in counted.items():
        result[_COUNT + name] = RowCount(part.values("pk")[: MAX_COUNT + 1])
    for part in (rows.order_by("urgency", "pk"), late, active):
        for number in range(limit):
            key = Subquery(part.values("pk")[number : number + 1])
            result[f"{_KEY}{len(result)}"] = key
    return result


def read_counts(values: Mapping[str, Any]) -> FleetCounts:
    """Return the numbers of workspaces by what they need."""
    numbers = {
        name.removeprefix(_COUNT): count or 0
        for name, count in values.items()
        if name.startswith(_COUNT)
    }
    return FleetCounts(
        total=numbers["total"],
        polled=numbers["polled"],
        failed=numbers["failed"],
        unpolled=min(numbers["failing"] + numbers["late"], MAX_COUNT + 1),
        active=max(0, numbers["active"] - numbers["late_active"]),
    )


def read_workspaces(values: Mapping[str, Any], now: datetime) -> list[Workspace]:
    """Return workspaces with their current imports, the most urgent first, in one query.

    Of those that are most urgent and of those with a running import, as many as `expressions` was
    given. Equally urgent ones are in the order of the settings.
    """
    keys = {key for name, key in values.items() if name.startswith(_KEY) and key is not None}
    rows = Workspace.objects.filter(pk__in=keys).with_imports().order_by("pk")
    return sorted(rows, key=lambda row: row.present_urgency(now))
