"""The sync health of each workspace, as the interfaces show it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import OuterRef, Subquery

from importmonitor import conf
from importmonitor.models.operations import ImportOperation
from importmonitor.models.workspaces import SyncLease, SyncPeriod


class Freshness(StrEnum):
    """Whether the stored state is still Rocket.Chat's."""

    OK = "ok"
    STALE = "stale"
    FAILING = "failing"


@dataclass(frozen=True)
class SyncHealth:
    """The newest period of polls of a workspace, and the newest period of successful ones."""

    period: SyncPeriod
    good: SyncPeriod | None
    freshness: Freshness

    @property
    def synced_at(self) -> datetime | None:
        """When the workspace was last polled successfully."""
        return self.good.last_at if self.good else None


@dataclass(frozen=True)
class WorkspaceHealth:
    """A configured workspace with its sync health and current operation, where there are any."""

    alias: str
    sync: SyncHealth | None
    operation: ImportOperation | None

    @property
    def workspace(self) -> str:
        """The alias, under the name that rows use."""
        return self.alias

    @property
    def period(self) -> SyncPeriod | None:
        return self.sync.period if self.sync else None

    @property
    def freshness(self) -> Freshness | None:
        return self.sync.freshness if self.sync else None


def freshness(period: SyncPeriod, now: datetime) -> Freshness:
    """Return the freshness of a workspace whose newest period this is."""
    if not period.is_good:
        return Freshness.FAILING
    return Freshness.STALE if is_late(period, now) else Freshness.OK


def is_late(period: SyncPeriod, now: datetime) -> bool:
    """Return whether the last poll is so long ago that something is wrong with the polling."""
    return now - period.last_at > conf.get_options().late_after


def sync_health(aliases: Collection[str], now: datetime) -> dict[str, SyncHealth]:
    """Return the sync health of those of these workspaces that were polled, in two queries."""
    rows = _leases(aliases).values_list("workspace", "newest", "good")
    return _sync_health(list(rows), now)


def workspace_health(now: datetime, aliases: Sequence[str] | None = None) -> list[WorkspaceHealth]:
    """Return the health of these or of all configured workspaces, in at most three queries."""
    if aliases is None:
        aliases = conf.get_aliases()
    operations = ImportOperation.objects.filter(workspace=OuterRef("workspace"))
    current = Subquery(operations.newest_first().values("pk")[:1])
    rows = list(
        _leases(aliases)
        .annotate(current=current)
        .values_list("workspace", "newest", "good", "current")
    )
    health = _sync_health([(alias, newest, good) for alias, newest, good, _ in rows], now)
    keys = {alias: key for alias, _, _, key in rows if key}
    current_operations = ImportOperation.objects.defer("payload").in_bulk(list(keys.values()))
    # Rocket.Chat reports no operation at present, although it had one before.
    empty = {alias for alias, sync in health.items() if sync.period.outcome == SyncPeriod.EMPTY}
    return [
        WorkspaceHealth(
            alias,
            health.get(alias),
            None if alias in empty else current_operations.get(keys.get(alias)),
        )
        for alias in aliases
    ]


def _leases(aliases: Collection[str]) -> Any:
    """Return the workspaces' leases with the keys of their newest and newest good periods.

    Every workspace that was ever polled has one lease.
    """
    periods = SyncPeriod.objects.filter(workspace=OuterRef("workspace")).order_by("-pk")
    good = periods.filter(outcome__in=SyncPeriod.GOOD)
    return SyncLease.objects.filter(workspace__in=aliases).annotate(
        newest=Subquery(periods.values("pk")[:1]), good=Subquery(good.values("pk")[:1])
    )


def _sync_health(
    rows: list[tuple[str, int | None, int | None]], now: datetime
) -> dict[str, SyncHealth]:
    keys = {key for _alias, *pair in rows for key in pair if key}
    periods = SyncPeriod.objects.in_bulk(keys)
    return {
        alias: SyncHealth(period, periods.get(good), freshness(period, now))
        for alias, newest, good in rows
        if (period := periods.get(newest)) is not None
    }
