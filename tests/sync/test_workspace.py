"""The present state of a workspace, as the interfaces show it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from importmonitor.models import ImportOperation, SyncPeriod
from importmonitor.models import Workspace as Monitored
from importmonitor.sync.poll import sync_workspace
from importmonitor.sync.register import register_configured
from simulator.workspace import Workspace

pytestmark = pytest.mark.django_db


class EmptyClient:
    """A client of a Rocket.Chat whose operations were deleted."""

    def current_operation(self) -> None:
        return None


def state() -> Monitored:
    return Monitored.objects.select_related("current_operation").get()


def test_workspace_before_its_first_poll_has_no_state(rocketchat: Workspace) -> None:
    register_configured()
    workspace = state()
    assert workspace.alias == "default"
    assert workspace.current_operation is None
    assert workspace.freshness(rocketchat.clock.now()) is None


def test_empty_workspace_has_no_current_operation(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv")
    now = rocketchat.clock.now
    sync_workspace("default", now=now)
    assert state().current_operation == ImportOperation.objects.get()
    client: Any = EmptyClient()
    sync_workspace("default", now=now, client=client)
    assert (state().sync_status, state().current_operation) == ("empty", None)
    assert state().period == SyncPeriod.objects.get(outcome="empty")
    assert ImportOperation.objects.get().gone_at == now()


def test_freshness_is_ok_stale_or_failing(rocketchat: Workspace) -> None:
    sync_workspace("default", now=rocketchat.clock.now)
    allowed = rocketchat.clock.now() + timedelta(minutes=10)
    assert state().freshness(allowed) == "ok"
    assert state().freshness(allowed + timedelta(seconds=1)) == "stale"
    rocketchat.outage = 502
    sync_workspace("default", now=rocketchat.clock.now)
    assert state().freshness(rocketchat.clock.now()) == "failing"


def test_flapping_workspace_does_not_displace_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SyncPeriod, "MAX", 5)
    at = timezone.now() - timedelta(days=1)
    workspaces = [Monitored.objects.create(alias=alias) for alias in ("stable", "flapping")]
    stable, flapping = workspaces
    stable.start_period("ok", at - timedelta(days=30), "")
    for number in range(12):
        flapping.last_polled_at = at + timedelta(hours=number)
        flapping.start_period("ok" if number % 2 else "Unreachable", flapping.last_polled_at, "")
    periods = Monitored.objects.filter(alias__in=("stable", "flapping")).periods(at, timezone.now())
    assert periods[0] == stable.period
    assert [period.workspace for period in periods[1:]] == ["flapping"] * 5
    assert [period.pk for period in periods] == sorted(period.pk for period in periods)


def test_open_period_has_its_end_in_the_row_of_the_workspace(rocketchat: Workspace) -> None:
    for _ in range(3):
        sync_workspace("default", now=rocketchat.clock.now)
        rocketchat.clock.advance(60)
    now = rocketchat.clock.now()
    (period,) = Monitored.objects.periods(now - timedelta(days=1), now)
    assert (period.polls, period.last_at - period.first_at) == (3, timedelta(minutes=2))
    rocketchat.outage = 502
    sync_workspace("default", now=rocketchat.clock.now)
    closed = SyncPeriod.objects.get(outcome="empty")
    assert (closed.polls, closed.last_at) == (3, period.last_at)
