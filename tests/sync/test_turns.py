"""Whose turn it is to look, and when nobody may; and looking without writing."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from importmonitor import conf
from importmonitor.models import (
    ImportOperation,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.sync.polling import poll

pytestmark = pytest.mark.django_db


def test_a_rate_limit_is_kept(rocketchat: Workspace, settings: Any) -> None:
    from simulator.limiter import Limiter

    rocketchat.limiter = Limiter(1, rocketchat.clock)
    poll(rocketchat)
    refused = poll(rocketchat)
    assert refused.error is not None
    assert refused.error.kind == "RateLimited"
    asked = rocketchat.requests.total()
    skipped = poll(rocketchat)
    assert skipped.skipped is not None
    assert skipped.skipped.startswith("not before ")
    assert skipped.ok
    assert rocketchat.requests.total() == asked


def test_another_process_at_work_is_left_to_it(rocketchat: Workspace) -> None:
    now = rocketchat.clock.now()
    lasting = timedelta(seconds=35)
    assert SyncLease.objects.acquire("default", "another", now=now, duration=lasting)
    result = poll(rocketchat)
    assert (result.ok, result.skipped) == (True, "leased")
    assert rocketchat.requests.total() == 0
    assert not SyncPeriod.objects.exists()
    rocketchat.clock.advance(34)
    assert poll(rocketchat).skipped == "leased"
    rocketchat.clock.advance(1)
    assert poll(rocketchat).skipped is None


def test_a_lease_outlives_a_killed_holder_by_five_seconds_past_the_deadline(
    rocketchat: Workspace,
) -> None:
    seen: list[timedelta] = []

    class Watching:
        def current_operation(self) -> None:
            lease = SyncLease.objects.get()
            assert lease.expires_at is not None
            seen.append(lease.expires_at - rocketchat.clock.now())

    poll(rocketchat, client=Watching())
    assert seen == [timedelta(seconds=conf.workspace("default").deadline + 5)]


def test_who_lost_the_lease_writes_nothing(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=600)

    from importmonitor.rocketchat.client import Client

    class Slow(Client):
        """Asks so slowly that its lease runs out and another process takes it."""

        def current_operation(self) -> Any:
            received = super().current_operation()
            SyncLease.objects.update(holder="another", expires_at=rocketchat.clock.now())
            return received

    with Slow(conf.workspace("default")) as slow:
        result = poll(rocketchat, client=slow)
    assert result.skipped == "leased"
    assert not ImportOperation.objects.exists()
    assert not StatusTransition.objects.exists()
    assert SyncLease.objects.get().holder == "another"


def test_a_dry_run_writes_nothing_and_tells_the_same(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", seconds=600)
    poll(rocketchat)
    rocketchat.clock.advance(300)

    def everything() -> list[Any]:
        models = (ImportOperation, StatusTransition, SyncPeriod, SyncLease)
        return [list(model._default_manager.values()) for model in models]

    before = everything()
    preview = poll(rocketchat, dry_run=True)
    assert everything() == before
    real = poll(rocketchat)
    assert [change.updated for change in preview.changes] == [
        change.updated for change in real.changes
    ]
    assert "status" in preview.changes[0].updated


def test_a_dry_run_keeps_to_a_rate_limit(rocketchat: Workspace) -> None:
    SyncLease.objects.create(
        workspace="default", not_before=rocketchat.clock.now() + timedelta(seconds=30)
    )
    result = poll(rocketchat, dry_run=True)
    assert result.skipped is not None
    assert result.skipped.startswith("not before ")
    assert rocketchat.requests.total() == 0


def test_no_transaction_is_open_while_rocketchat_is_asked(
    rocketchat: Workspace, transactional_db: None
) -> None:
    open_ones: list[bool] = []

    class Watching:
        def current_operation(self) -> None:
            open_ones.append(connection.in_atomic_block)

    poll(rocketchat, client=Watching())
    assert open_ones == [False]


def test_a_bug_gives_the_lease_back(rocketchat: Workspace) -> None:
    class Broken:
        def current_operation(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        poll(rocketchat, client=Broken())
    assert SyncLease.objects.get().holder == ""


def test_an_unknown_workspace_is_named() -> None:
    with pytest.raises(conf.UnknownWorkspace, match=r"'nope'. Configured: default"):
        sync_workspace("nope")
