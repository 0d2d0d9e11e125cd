"""How well each workspace can be looked at, for the faces to show."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import OuterRef, Subquery

from importmonitor import conf
from importmonitor.models import ImportOperation, SyncLease, SyncPeriod


class Freshness(StrEnum):
    """What a stored operation is worth now."""

    OK = "ok"
    STALE = "stale"
    FAILING = "failing"


@dataclass(frozen=True)
class Looks:
    """How a workspace was looked at: the newest period of polls, and the newest good one."""

    period: SyncPeriod
    good: SyncPeriod | None
    freshness: Freshness

    @property
    def synced_at(self) -> datetime | None:
        """When what is stored was last seen to be so."""
        return self.good.last_at if self.good else None


@dataclass(frozen=True)
class WorkspaceHealth:
    """A configured workspace: how it was looked at, if it was, and its current operation."""

    alias: str
    looks: Looks | None
    operation: ImportOperation | None

    @property
    def workspace(self) -> str:
        """The alias, by the name that it has in rows."""
        return self.alias

    @property
    def period(self) -> SyncPeriod | None:
        return self.looks.period if self.looks else None

    @property
    def freshness(self) -> Freshness | None:
        return self.looks.freshness if self.looks else None


def freshness(period: SyncPeriod, now: datetime) -> Freshness:
    """Tell how its newest period lets a workspace's data look."""
    if not period.is_good:
        return Freshness.FAILING
    return Freshness.STALE if is_late(period, now) else Freshness.OK


def is_late(period: SyncPeriod, now: datetime) -> bool:
    """Tell whether nobody has looked for so long that something is wrong with that."""
    return now - period.last_at > conf.options().late_after


def looks(aliases: Collection[str], now: datetime) -> dict[str, Looks]:
    """Return how these workspaces were looked at, those that were; in two queries at most."""
    rows = _leases(aliases).values_list("workspace", "newest", "good")
    return _looks(list(rows), now)


def workspaces(now: datetime, aliases: Sequence[str] | None = None) -> list[WorkspaceHealth]:
    """Return the health of these or of all configured workspaces, in at most three queries."""
    if aliases is None:
        aliases = conf.aliases()
    operations = ImportOperation.objects.filter(workspace=OuterRef("workspace"))
    current = Subquery(operations.newest_first().values("pk")[:1])
    rows = list(
        _leases(aliases)
        .annotate(current=current)
        .values_list("workspace", "newest", "good", "current")
    )
    looked = _looks([(alias, newest, good) for alias, newest, good, _ in rows], now)
    keys = {alias: key for alias, _, _, key in rows if key}
    found = ImportOperation.objects.defer("payload").in_bulk(list(keys.values()))
    # A workspace that says it has none has none, whatever was seen of it before.
    empty = {alias for alias, each in looked.items() if each.period.outcome == SyncPeriod.EMPTY}
    return [
        WorkspaceHealth(
            alias, looked.get(alias), None if alias in empty else found.get(keys.get(alias))
        )
        for alias in aliases
    ]


def _leases(aliases: Collection[str]) -> Any:
    """Return the workspaces' leases, with the keys of their newest and newest good periods.

    Every workspace that was ever looked at has one lease.
    """
    periods = SyncPeriod.objects.filter(workspace=OuterRef("workspace")).order_by("-pk")
    good = periods.filter(outcome__in=SyncPeriod.GOOD)
    return SyncLease.objects.filter(workspace__in=aliases).annotate(
        newest=Subquery(periods.values("pk")[:1]), good=Subquery(good.values("pk")[:1])
    )


def _looks(rows: list[tuple[str, int | None, int | None]], now: datetime) -> dict[str, Looks]:
    wanted = {key for _alias, *both in rows for key in both if key}
    periods = SyncPeriod.objects.in_bulk(wanted)
    found = {}
    for alias, newest, good in rows:
        period = periods.get(newest)
        if period is not None:
            found[alias] = Looks(period, periods.get(good), freshness(period, now))
    return found
