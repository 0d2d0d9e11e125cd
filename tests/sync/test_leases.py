"""Leases, the rate limit, and dry runs."""

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
from importmonitor.rocketchat.client import Client
from importmonitor.sync.poll import sync_workspace
from simulator.limiter import Limiter
from simulator.workspace import Workspace
from tests.sync.polling import poll

pytestmark = pytest.mark.django_db


def test_rate_limit_skips_polls_until_it_resets(rocketchat: Workspace, settings: Any) -> None:
    rocketchat.limiter = Limiter(1, rocketchat.clock)
    poll(rocketchat)
    refused = poll(rocketchat)
    assert refused.error is not None
    assert refused.error.kind == "RateLimited"
    requests = rocketchat.requests.total()
    skipped = poll(rocketchat)
    assert skipped.skipped is not None
    assert skipped.skipped.startswith("not before ")
    assert skipped.ok
    assert rocketchat.requests.total() == requests


def test_poll_is_skipped_while_another_process_has_the_lease(rocketchat: Workspace) -> None:
    now = rocketchat.clock.now()
    duration = timedelta(seconds=35)
    assert SyncLease.objects.acquire("default", "another", now=now, duration=duration)
    result = poll(rocketchat)
    assert (result.ok, result.skipped) == (True, "leased")
    assert rocketchat.requests.total() == 0
    assert not SyncPeriod.objects.exists()
    rocketchat.clock.advance(34)
    assert poll(rocketchat).skipped == "leased"
    rocketchat.clock.advance(1)
    assert poll(rocketchat).skipped is None


def test_lease_expires_five_seconds_after_the_deadline(
    rocketchat: Workspace,
) -> None:
    durations: list[timedelta] = []

    class LeaseRecorder:
        def current_operation(self) -> None:
            lease = SyncLease.objects.get()
            assert lease.expires_at is not None
            durations.append(lease.expires_at - rocketchat.clock.now())

    poll(rocketchat, client=LeaseRecorder())
    assert durations == [timedelta(seconds=conf.get_workspace("default").deadline + 5)]


def test_poll_that_lost_its_lease_writes_nothing(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=600)

    class Slow(Client):
        """Its request takes so long that the lease expires and another process acquires it."""

        def current_operation(self) -> Any:
            operation = super().current_operation()
            SyncLease.objects.update(holder="another", expires_at=rocketchat.clock.now())
            return operation

    with Slow(conf.get_workspace("default")) as slow:
        result = poll(rocketchat, client=slow)
    assert result.skipped == "leased"
    assert not ImportOperation.objects.exists()
    assert not StatusTransition.objects.exists()
    assert SyncLease.objects.get().holder == "another"


def test_dry_run_writes_nothing_and_returns_the_same_changes(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", seconds=600)
    poll(rocketchat)
    rocketchat.clock.advance(300)

    def all_rows() -> list[Any]:
        models = (ImportOperation, StatusTransition, SyncPeriod, SyncLease)
        return [list(model._default_manager.values()) for model in models]

    before = all_rows()
    preview = poll(rocketchat, dry_run=True)
    assert all_rows() == before
    real = poll(rocketchat)
    assert [change.updated for change in preview.changes] == [
        change.updated for change in real.changes
    ]
    assert "status" in preview.changes[0].updated


def test_dry_run_respects_the_rate_limit(rocketchat: Workspace) -> None:
    SyncLease.objects.create(
        workspace="default", not_before=rocketchat.clock.now() + timedelta(seconds=30)
    )
    result = poll(rocketchat, dry_run=True)
    assert result.skipped is not None
    assert result.skipped.startswith("not before ")
    assert rocketchat.requests.total() == 0


def test_request_is_made_outside_a_transaction(
    rocketchat: Workspace, transactional_db: None
) -> None:
    in_transaction: list[bool] = []

    class TransactionRecorder:
        def current_operation(self) -> None:
            in_transaction.append(connection.in_atomic_block)

    poll(rocketchat, client=TransactionRecorder())
    assert in_transaction == [False]


def test_exception_releases_the_lease(rocketchat: Workspace) -> None:
    class Broken:
        def current_operation(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        poll(rocketchat, client=Broken())
    assert SyncLease.objects.get().holder == ""


def test_unknown_workspace_raises() -> None:
    with pytest.raises(conf.UnknownWorkspace, match=r"'nope'. Configured: default"):
        sync_workspace("nope")
