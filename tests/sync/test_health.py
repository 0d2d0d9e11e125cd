"""What the faces say of a workspace."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from importmonitor.models import ImportOperation, SyncLease, SyncPeriod, health
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace

pytestmark = pytest.mark.django_db


class Forgetful:
    """A Rocket.Chat whose operations have been dropped."""

    def current_operation(self) -> None:
        return None


def test_a_workspace_never_looked_at(rocketchat: Workspace) -> None:
    (found,) = health.workspace_health(rocketchat.clock.now())
    assert (found.alias, found.period, found.operation, found.freshness) == (
        "default",
        None,
        None,
        None,
    )


def test_a_workspace_that_says_it_has_none_has_none(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv")
    now = rocketchat.clock.now
    sync_workspace("default", now=now)
    (found,) = health.workspace_health(now())
    assert found.operation == ImportOperation.objects.get()
    forgetful: Any = Forgetful()
    sync_workspace("default", now=now, client=forgetful)
    (found,) = health.workspace_health(now())
    assert found.period == SyncPeriod.objects.get(outcome="empty")
    assert found.operation is None


def test_freshness(rocketchat: Workspace) -> None:
    sync_workspace("default", now=rocketchat.clock.now)
    period = SyncPeriod.objects.get()
    allowed = timedelta(minutes=10)
    assert health.freshness(period, period.last_at + allowed) == "ok"
    assert health.freshness(period, period.last_at + allowed + timedelta(seconds=1)) == "stale"
    rocketchat.outage = 502
    sync_workspace("default", now=rocketchat.clock.now)
    (found,) = health.workspace_health(rocketchat.clock.now())
    assert found.freshness == "failing"


def test_three_queries_for_any_number(
    rocketchat: Workspace, settings: Any, django_assert_num_queries: Any
) -> None:
    configured = settings.IMPORTMONITOR["WORKSPACES"]["default"]
    settings.IMPORTMONITOR = {"WORKSPACES": {f"w{n}": configured for n in range(5)}}
    rocketchat.start_import("csv")
    for alias in settings.IMPORTMONITOR["WORKSPACES"]:
        sync_workspace(alias, now=rocketchat.clock.now)
    with django_assert_num_queries(3):
        found = health.workspace_health(rocketchat.clock.now())
    assert [each.alias for each in found] == ["w0", "w1", "w2", "w3", "w4"]
    assert all(each.operation and each.operation.workspace == each.alias for each in found)


def test_one_that_comes_and_goes_pushes_out_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SyncPeriod, "MAX", 5)
    at = timezone.now() - timedelta(days=1)
    SyncLease.objects.bulk_create(SyncLease(workspace=each) for each in ("calm", "flapping"))
    calm = SyncPeriod.objects.start("calm", "ok", at=at - timedelta(days=30))
    for number in range(12):
        outcome = "ok" if number % 2 else "Unreachable"
        SyncPeriod.objects.start("flapping", outcome, at=at + timedelta(hours=number))
    found = SyncPeriod.objects.overlapping(["calm", "flapping"], at, timezone.now())
    assert found[0] == calm
    assert [each.workspace for each in found[1:]] == ["flapping"] * 5
    assert [each.pk for each in found] == sorted(each.pk for each in found)
