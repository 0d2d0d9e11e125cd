"""The Celery tasks, run eagerly."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from django.utils import timezone

from importmonitor.contrib.celery import schedule, tasks
from importmonitor.models import ImportOperation, SyncPeriod
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.client import Client
from importmonitor.sync import poll as sync
from simulator.limiter import Limiter
from simulator.workspace import Workspace
from tests.api.helpers import workspace_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def polled_aliases(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that collects the aliases of polled workspaces."""
    aliases: list[str] = []
    real = sync.sync_workspace

    def poll_and_record(alias: str) -> sync.SyncResult:
        aliases.append(alias)
        return real(alias)

    monkeypatch.setattr(sync, "sync_workspace", poll_and_record)
    return aliases


def run(alias: str = "default") -> Any:
    return tasks.sync_workspace.apply(args=(alias,))


def test_poll_stores_the_operation(rocketchat: Workspace, polled_aliases: list[str]) -> None:
    rocketchat.start_import("slack")
    assert run().successful()
    assert polled_aliases == ["default"]
    assert ImportOperation.objects.count() == 1


def test_transient_error_is_retried(rocketchat: Workspace, polled_aliases: list[str]) -> None:
    rocketchat.outage = 502
    # The failure is stored and raises an alert; the task does not fail.
    assert run().successful()
    assert len(polled_aliases) == 1 + tasks.MAX_RETRIES
    row = WorkspaceRow.objects.get()
    assert (row.sync_status, row.period_polls) == ("Unreachable", 1 + tasks.MAX_RETRIES)


def test_permanent_error_is_not_retried(rocketchat: Workspace, polled_aliases: list[str]) -> None:
    rocketchat.users.clear()
    assert run().successful()
    assert len(polled_aliases) == 1
    assert SyncPeriod.objects.get().outcome == "Unauthenticated"


def test_rate_limit_is_not_retried(rocketchat: Workspace, polled_aliases: list[str]) -> None:
    rocketchat.limiter = Limiter(0, rocketchat.clock)
    assert run().successful()
    assert len(polled_aliases) == 1
    assert SyncPeriod.objects.get().outcome == "RateLimited"


def test_removed_workspace_is_ignored(polled_aliases: list[str]) -> None:
    assert run("gone").successful()
    assert SyncPeriod.objects.count() == 0


def test_database_error_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def fail(alias: str) -> sync.SyncResult:
        tries.append(alias)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(sync, "sync_workspace", fail)
    result = run()
    assert len(tries) == 1 + tasks.MAX_RETRIES
    assert isinstance(result.result, OperationalError)


def test_time_limit_releases_the_lease(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(_self: Client) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(Client, "current_operation", hang)
    assert isinstance(run().result, SoftTimeLimitExceeded)
    assert WorkspaceRow.objects.get().expires_at is None


def test_leased_workspace_is_skipped(rocketchat: Workspace) -> None:
    WorkspaceRow.objects.create(
        alias="default", holder="another", expires_at=timezone.now() + timedelta(minutes=1)
    )
    assert run().successful()
    assert SyncPeriod.objects.count() == 0
    assert rocketchat.requests.total() == 0


def test_every_workspace_gets_a_task_with_limits(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[tuple[str], dict[str, float]]] = []
    monkeypatch.setattr(
        tasks.sync_workspace, "apply_async", lambda args, **options: sent.append((args, options))
    )
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "a": workspace_at("https://a.example.org"),
            "b": workspace_at("https://b.example.org") | {"DEADLINE": 5},
        }
    }
    assert tasks.sync_workspaces.apply(kwargs={"every": 90.0}).get() == 2
    assert sent == [
        (("a",), {"expires": 90.0, "soft_time_limit": 80, "time_limit": 90}),
        (("b",), {"expires": 90.0, "soft_time_limit": 30, "time_limit": 40}),
    ]


def test_prune_task_succeeds(settings: Any, rocketchat: Workspace) -> None:
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "KEEP_DAYS": 1}
    assert tasks.prune_import_history.apply().successful()


def test_schedule_uses_registered_tasks() -> None:
    entries = schedule.beat_schedule(timedelta(seconds=30))
    known = current_app.tasks
    assert {entry["task"] for entry in entries.values()} <= set(known)
    assert entries["importmonitor-sync"]["schedule"] == timedelta(seconds=30)
    assert entries["importmonitor-sync"]["kwargs"] == {"every": 30.0}
    assert entries["importmonitor-sync"]["options"] == {"expires": 30.0}


def test_project_registers_tasks_and_schedule() -> None:
    from project.celery import app

    app.loader.import_default_modules()
    assert {schedule.SYNC_ALL, schedule.SYNC_ONE, schedule.PRUNE} <= set(app.tasks)
    assert set(app.conf.beat_schedule) == set(schedule.beat_schedule())
