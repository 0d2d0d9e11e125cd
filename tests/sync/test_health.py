"""The sync health of a workspace, as the interfaces show it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from importmonitor.models import ImportOperation, SyncLease, SyncPeriod, health
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace

pytestmark = pytest.mark.django_db


class EmptyClient:
    """A client of a Rocket.Chat whose operations were deleted."""

    def current_operation(self) -> None:
        return None


def test_workspace_before_its_first_poll_has_no_health(rocketchat: Workspace) -> None:
    (entry,) = health.workspace_health(rocketchat.clock.now())
    assert (entry.alias, entry.period, entry.operation, entry.freshness) == (
        "default",
        None,
        None,
        None,
    )


def test_empty_workspace_has_no_current_operation(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv")
    now = rocketchat.clock.now
    sync_workspace("default", now=now)
    (entry,) = health.workspace_health(now())
    assert entry.operation == ImportOperation.objects.get()
    client: Any = EmptyClient()
    sync_workspace("default", now=now, client=client)
    (entry,) = health.workspace_health(now())
    assert entry.period == SyncPeriod.objects.get(outcome="empty")
    assert entry.operation is None


def test_freshness_is_ok_stale_or_failing(rocketchat: Workspace) -> None:
    sync_workspace("default", now=rocketchat.clock.now)
    period = SyncPeriod.objects.get()
    allowed = timedelta(minutes=10)
    assert health.freshness(period, period.last_at + allowed) == "ok"
    assert health.freshness(period, period.last_at + allowed + timedelta(seconds=1)) == "stale"
    rocketchat.outage = 502
    sync_workspace("default", now=rocketchat.clock.now)
    (entry,) = health.workspace_health(rocketchat.clock.now())
    assert entry.freshness == "failing"


def test_workspace_health_costs_three_queries(
    rocketchat: Workspace, settings: Any, django_assert_num_queries: Any
) -> None:
    configured = settings.IMPORTMONITOR["WORKSPACES"]["default"]
    settings.IMPORTMONITOR = {"WORKSPACES": {f"w{n}": configured for n in range(5)}}
    rocketchat.start_import("csv")
    for alias in settings.IMPORTMONITOR["WORKSPACES"]:
        sync_workspace(alias, now=rocketchat.clock.now)
    with django_assert_num_queries(3):
        entries = health.workspace_health(rocketchat.clock.now())
    assert [entry.alias for entry in entries] == ["w0", "w1", "w2", "w3", "w4"]
    assert all(entry.operation and entry.operation.workspace == entry.alias for entry in entries)


def test_flapping_workspace_does_not_displace_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SyncPeriod, "MAX", 5)
    at = timezone.now() - timedelta(days=1)
    SyncLease.objects.bulk_create(SyncLease(workspace=alias) for alias in ("stable", "flapping"))
    stable = SyncPeriod.objects.start("stable", "ok", at=at - timedelta(days=30))
    for number in range(12):
        outcome = "ok" if number % 2 else "Unreachable"
        SyncPeriod.objects.start("flapping", outcome, at=at + timedelta(hours=number))
    periods = SyncPeriod.objects.overlapping(["stable", "flapping"], at, timezone.now())
    assert periods[0] == stable
    assert [period.workspace for period in periods[1:]] == ["flapping"] * 5
    assert [period.pk for period in periods] == sorted(period.pk for period in periods)
