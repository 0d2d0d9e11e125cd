"""How many workspaces there are by what can be said of each: the totals that metrics show."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models
from django.db.models import Count

from importmonitor.models.store import StoreQuerySet
from importmonitor.models.workspace_queries import WorkspaceQuerySet, is_since

#: The totals of more workspaces than this can be MAX_AGE old: counting 100,000 takes as long as the
#: rest of a scrape, and on PostgreSQL several times as long while they are being polled: it reads
#: the table then, because an index alone does not say which of its rows are visible.
MANY = 1_000
MAX_AGE = timedelta(seconds=15)


class Summary(NamedTuple):
    """What workspaces are counted by; one index has it all."""

    sync_status: str
    import_state: str
    import_outcome: str


class Totals(NamedTuple):
    """How many workspaces there are by summary, and how many of all were not polled recently."""

    counted_at: datetime
    summaries: dict[Summary, int]
    late: int

    @property
    def total(self) -> int:
        """The number of workspaces."""
        return sum(self.summaries.values())


def count_totals(rows: WorkspaceQuerySet, now: datetime) -> Totals:
    """Count these workspaces."""
    # Not their keys: PostgreSQL would read the table for those.
    groups = rows.values_list(*Summary._fields).annotate(number=Count("*")).order_by()
    summaries = {Summary(*summary): number for *summary, number in groups}
    return Totals(now, summaries, rows.late(now).count())


class StoredTotalsQuerySet(StoreQuerySet["StoredTotals"]):
    def newest(self, now: datetime, max_age: timedelta = MAX_AGE) -> "StoredTotals | None":
        """Return the row if its totals are no older than this, and not of a clock ahead."""
        row = self.filter(pk=StoredTotals.KEY).first()
        return row if row and is_since(row.counted_at, now - max_age, now) else None

    def replace(self, totals: Totals) -> None:
        """Store totals of all configured workspaces."""
        values = {
            "counted_at": totals.counted_at,
            "numbers": [[*summary, number] for summary, number in totals.summaries.items()],
            "late": totals.late,
        }
        self.update_or_create(pk=StoredTotals.KEY, defaults=values)


class StoredTotals(models.Model):
    """The totals of all configured workspaces, which a watch counts if there are many; one row."""

    #: The primary key of the row.
    KEY = 1

    counted_at = models.DateTimeField()
    #: Lists of what a Summary has, and a number.
    numbers = models.JSONField()
    late = models.PositiveBigIntegerField()

    objects = StoredTotalsQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.counted_at:%Y-%m-%d %H:%M:%S}"

    @property
    def totals(self) -> Totals:
        """The totals."""
        summaries = {Summary(*summary): number for *summary, number in self.numbers}
        return Totals(self.counted_at, summaries, self.late)
