"""Leases, the rate limit, and dry runs."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from importmonitor import conf
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.exceptions import RocketChatError, Unreachable
from importmonitor.sync.lease import Lease, LeaseLost
from importmonitor.sync.poll import sync_workspace
from simulator.limiter import Limiter
from simulator.workspace import Workspace as RocketChat
from tests.fake_client import FakeClient
from tests.sync.polling import poll

pytestmark = pytest.mark.django_db


def all_rows(*excluded: type[Model]) -> list[Any]:
    """Return the rows of all tables that a poll writes, but for these."""
    models = (ImportOperation, StatusTransition, ProgressSample, SyncPeriod, Alert, Workspace)
    return [list(row._default_manager.values()) for row in models if row not in excluded]


def test_rate_limit_skips_polls_until_it_resets(rocketchat: RocketChat, settings: Any) -> None:
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


def test_poll_is_skipped_while_another_process_has_the_lease(rocketchat: RocketChat) -> None:
    now = rocketchat.clock.now()
    duration = timedelta(seconds=35)
    assert Workspace.objects.acquire("default", "another", now=now, duration=duration)
    result = poll(rocketchat)
    assert (result.ok, result.skipped) == (True, "leased")
    assert rocketchat.requests.total() == 0
    assert not SyncPeriod.objects.exists()
    rocketchat.clock.advance(34)
    assert poll(rocketchat).skipped == "leased"
    rocketchat.clock.advance(1)
    assert poll(rocketchat).skipped is None


def test_lease_expires_five_seconds_after_the_deadline(
    rocketchat: RocketChat,
) -> None:
    durations: list[timedelta] = []

    class LeaseRecorder:
        def current_operation(self) -> None:
            lease = Workspace.objects.get()
            assert lease.expires_at is not None
            durations.append(lease.expires_at - rocketchat.clock.now())

    poll(rocketchat, client=LeaseRecorder())
    assert durations == [timedelta(seconds=conf.get_workspace("default").deadline + 5)]


def test_lease_is_extended_before_a_request_that_comes_late(
    rocketchat: RocketChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, seconds = rocketchat.clock.now, 0.0
    monkeypatch.setattr("importmonitor.sync.lease.time.monotonic", lambda: seconds)
    with Lease("default", now, deadline=30) as lease:
        expires_at = now() + timedelta(seconds=35)
        for wait, extended in ((0.5, False), (0.6, True), (0.6, False), (20, True)):
            seconds += wait
            rocketchat.clock.advance(wait)
            lease.keep()
            expires_at = now() + timedelta(seconds=35) if extended else expires_at
            assert Workspace.objects.get().expires_at == expires_at
        Workspace.objects.update(holder="another")
        seconds += 20
        with pytest.raises(LeaseLost):
            lease.keep()


def test_poll_that_lost_its_lease_writes_nothing(rocketchat: RocketChat) -> None:
    rocketchat.start_import("csv", seconds=600)

    class Slow(Client):
        """Its request takes so long that the lease expires and another process acquires it."""

        def current_operation(self) -> Any:
            operation = super().current_operation()
            Workspace.objects.update(holder="another", expires_at=rocketchat.clock.now())
            return operation

    with Slow(conf.get_workspace("default")) as slow:
        result = poll(rocketchat, client=slow)
    assert result.skipped == "leased"
    assert not ImportOperation.objects.exists()
    assert not StatusTransition.objects.exists()
    assert Workspace.objects.get().holder == "another"


def test_dry_run_writes_nothing_and_returns_the_same_changes(rocketchat: RocketChat) -> None:
    rocketchat.start_import("slack", seconds=600)
    poll(rocketchat)
    rocketchat.clock.advance(300)

    before = all_rows()
    preview = poll(rocketchat, dry_run=True)
    assert all_rows() == before
    real = poll(rocketchat)
    assert [change.updated for change in preview.changes] == [
        change.updated for change in real.changes
    ]
    assert "status" in preview.changes[0].updated


def test_dry_run_respects_the_rate_limit(rocketchat: RocketChat) -> None:
    Workspace.objects.create(
        alias="default", not_before=rocketchat.clock.now() + timedelta(seconds=30)
    )
    result = poll(rocketchat, dry_run=True)
    assert result.skipped is not None
    assert result.skipped.startswith("not before ")
    assert rocketchat.requests.total() == 0


def test_request_is_made_outside_a_transaction(
    rocketchat: RocketChat, transactional_db: None
) -> None:
    in_transaction: list[bool] = []

    class TransactionRecorder:
        def current_operation(self) -> None:
            in_transaction.append(connection.in_atomic_block)

    poll(rocketchat, client=TransactionRecorder())
    assert in_transaction == [False]


def test_idle_result_and_release_are_one_statement(rocketchat: RocketChat) -> None:
    rocketchat.start_import("slack", seconds=600)
    poll(rocketchat)
    rocketchat.clock.advance(0.001)
    with CaptureQueriesContext(connection) as queries:
        poll(rocketchat)
    *_, finish = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert "last_polled_at" in finish
    assert "holder" in finish
    workspace = Workspace.objects.get()
    assert (workspace.holder, workspace.expires_at) == ("", None)
    assert workspace.last_polled_at == rocketchat.clock.now()


@pytest.mark.parametrize("is_known", [False, True])
def test_crash_after_finish_writes_nothing_and_releases_the_lease(
    rocketchat: RocketChat, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception leaves the transaction after its last statement."""
    if is_known:
        rocketchat.start_import("slack", seconds=600)
        poll(rocketchat)
        rocketchat.clock.advance(60)
    rocketchat.start_import("csv", seconds=600)
    before = all_rows()
    finish = Lease.finish

    def finish_and_crash(lease: Lease, *arguments: Any) -> None:
        finish(lease, *arguments)
        assert Workspace.objects.get().holder == ""
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "finish", finish_and_crash)
        with pytest.raises(KeyboardInterrupt):
            poll(rocketchat)
    workspace = Workspace.objects.get()
    assert (workspace.holder, workspace.expires_at) == ("", None)
    if is_known:
        assert all_rows() == before
    else:
        assert not workspace.was_polled
        assert not ImportOperation.objects.exists()
    assert poll(rocketchat).changes


@pytest.mark.parametrize("error", [None, Unreachable("No response.")], ids=["success", "failure"])
@pytest.mark.parametrize("is_idle", [True, False], ids=["idle", "changed"])
def test_lease_lost_at_the_end_writes_nothing(
    rocketchat: RocketChat,
    is_idle: bool,
    error: RocketChatError | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process acquires the lease after all other statements of the poll."""
    rocketchat.start_import("slack", seconds=600)
    poll(rocketchat)
    client = FakeClient(rocketchat.current() if is_idle else rocketchat)
    client.error = error
    rocketchat.clock.advance(60)
    expires_at = rocketchat.clock.now() + timedelta(minutes=1)
    finish = Lease.finish

    def lose_and_finish(lease: Lease, *arguments: Any) -> None:
        Workspace.objects.update(holder="another", expires_at=expires_at)
        finish(lease, *arguments)

    before = all_rows(Workspace)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "finish", lose_and_finish)
        result = poll(rocketchat, client=client)
    assert (result.skipped, result.error) == ("leased", None)
    assert all_rows(Workspace) == before
    assert Workspace.objects.get().period_polls == 1


def test_exception_releases_the_lease(rocketchat: RocketChat) -> None:
    class Broken:
        def current_operation(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        poll(rocketchat, client=Broken())
    assert Workspace.objects.get().holder == ""


def test_unknown_workspace_raises() -> None:
    with pytest.raises(conf.UnknownWorkspace, match=r"'nope'. Configured: default"):
        sync_workspace("nope")
