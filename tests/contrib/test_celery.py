"""The Celery tasks, run eagerly."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from celery.worker.request import Request
from django.core import mail
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

#: The request of a poll, and the status of its response.
CURRENT = ("/api/v1/getCurrentImportOperation", 200)

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
    sent: list[tuple[tuple[str, float], dict[str, float]]] = []
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
        (("a", 90.0), {"soft_time_limit": 105, "time_limit": 115}),
        (("b", 90.0), {"soft_time_limit": 55, "time_limit": 65}),
    ]


def test_mistake_in_one_workspace_does_not_stop_the_round(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        tasks.sync_workspace, "apply_async", lambda args, **_options: sent.append(args[0])
    )
    good = workspace_at("https://chat.example.org")
    workspaces = {"a": good, "b": good | {"AUTH_TOKEN": "se cret"}, "c": good}
    settings.IMPORTMONITOR = {"WORKSPACES": workspaces}
    assert tasks.sync_workspaces.apply().get() == 2
    assert sent == ["a", "c"]
    assert "The AUTH_TOKEN of the workspace 'b'" in caplog.text
    assert "se cret" not in caplog.text


@pytest.mark.parametrize("ahead", [-3600, -90, 90, 3600])
def test_no_round_is_lost_where_the_clocks_of_beat_and_worker_differ(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """The worker's clock is so many seconds ahead of that of beat, which sends the messages."""
    entry = schedule.beat_schedule()["importmonitor-sync"]
    now = timezone.now()
    with current_app.connection("memory://") as broker:
        # The stubs of Celery lack `connection`.
        send_one: Any = tasks.sync_workspace.apply_async
        send_all: Any = tasks.sync_workspaces.apply_async
        send = partial(send_one, connection=broker)
        monkeypatch.setattr(tasks.sync_workspace, "apply_async", send)
        for number in range(3):
            at = now + timedelta(minutes=number)
            with time_machine.travel(at, tick=False):
                options = entry.get("options", {})
                send_all((), entry["kwargs"], connection=broker, **options)
            # Half a minute later.
            with time_machine.travel(at + timedelta(seconds=ahead + 30), tick=False):
                run_messages(broker)
    assert rocketchat.requests[CURRENT] == 3


def run_messages(broker: Any) -> None:
    """Run the tasks in the queue as a worker does: not those that have expired."""
    while message := broker.default_channel.basic_get("celery", no_ack=True):
        request = Request(message, app=current_app)
        if not request.revoked():
            assert request.task.apply(request.args, request.kwargs).successful()


def test_backlog_of_rounds_is_one_poll(
    rocketchat: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    now = timezone.now()
    with caplog.at_level("INFO", logger=tasks.logger.name):
        for seconds in (0, 1, 29):
            with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
                assert tasks.sync_workspace.apply(args=("default", 60.0)).successful()
    assert rocketchat.requests[CURRENT] == 1
    assert caplog.text.count("default was just polled") == 2
    with time_machine.travel(now + timedelta(seconds=31), tick=False):
        tasks.sync_workspace.apply(args=("default", 60.0))
    assert rocketchat.requests[CURRENT] == 2


def test_poll_in_the_future_is_not_believed(rocketchat: Workspace) -> None:
    """The clock of the worker that made it is ahead."""
    future = timezone.now() + timedelta(minutes=10)
    WorkspaceRow.objects.create(alias="default", last_polled_at=future)
    tasks.sync_workspace.apply(args=("default", 60.0))
    assert rocketchat.requests[CURRENT] == 1


def test_retry_is_made_although_the_poll_was_just_made(
    rocketchat: Workspace, polled_aliases: list[str]
) -> None:
    rocketchat.outage = 502
    tasks.sync_workspace.apply(args=("default", 60.0))
    assert len(polled_aliases) == 1 + tasks.MAX_RETRIES


def test_prune_task_succeeds(settings: Any, rocketchat: Workspace) -> None:
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "KEEP_DAYS": 1}
    assert tasks.prune_import_history.apply().successful()


def test_digests_are_sent_once(settings: Any) -> None:
    email = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    channels = {"ops": email | {"EVENTS": [], "DIGEST": "daily"}}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"CHANNELS": channels}
    assert [tasks.send_import_digests() for _ in range(2)] == [1, 0]
    assert len(mail.outbox) == 1


def test_schedule_uses_registered_tasks() -> None:
    entries = schedule.beat_schedule(timedelta(seconds=30))
    known = current_app.tasks
    assert {entry["task"] for entry in entries.values()} <= set(known)
    assert entries["importmonitor-sync"]["schedule"] == timedelta(seconds=30)
    assert entries["importmonitor-sync"]["kwargs"] == {"every": 30.0}


def test_project_registers_tasks_and_schedule() -> None:
    from project.celery import app

    app.loader.import_default_modules()
    names = {schedule.SYNC_ALL, schedule.SYNC_ONE, schedule.PRUNE, schedule.SEND_DIGESTS}
    assert names <= set(app.tasks)
    assert set(app.conf.beat_schedule) == set(schedule.beat_schedule())
