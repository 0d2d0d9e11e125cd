"""The Celery tasks, run in place of being sent."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from django.utils import timezone

from importmonitor.contrib.celery import schedule, tasks
from importmonitor.models import ImportOperation, SyncLease, SyncPeriod
from importmonitor.rocketchat.client import Client
from importmonitor.sync import poll as sync
from simulator.limiter import Limiter
from simulator.workspace import Workspace
from tests.api.helpers import workspace_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the aliases of the workspaces that are looked at, as they are."""
    found: list[str] = []
    real = sync.sync_workspace

    def look(alias: str) -> sync.SyncResult:
        found.append(alias)
        return real(alias)

    monkeypatch.setattr(sync, "sync_workspace", look)
    return found


def run(alias: str = "default") -> Any:
    return tasks.sync_workspace.apply(args=(alias,))


def test_a_poll(rocketchat: Workspace, looks: list[str]) -> None:
    rocketchat.start_import("slack")
    assert run().successful()
    assert looks == ["default"]
    assert ImportOperation.objects.count() == 1


def test_what_does_not_answer_is_tried_again_within_the_round(
    rocketchat: Workspace, looks: list[str]
) -> None:
    rocketchat.outage = 502
    # It is stored, and told by alerts: no reason to fill a log with tracebacks.
    assert run().successful()
    assert len(looks) == 1 + tasks.RETRIES
    period = SyncPeriod.objects.get()
    assert (period.outcome, period.polls) == ("Unreachable", 1 + tasks.RETRIES)


def test_what_asking_again_cannot_help(rocketchat: Workspace, looks: list[str]) -> None:
    rocketchat.users.clear()
    assert run().successful()
    assert len(looks) == 1
    assert SyncPeriod.objects.get().outcome == "Unauthenticated"


def test_who_wants_to_be_left_alone_is(rocketchat: Workspace, looks: list[str]) -> None:
    rocketchat.limiter = Limiter(0, rocketchat.clock)
    assert run().successful()
    assert len(looks) == 1
    assert SyncPeriod.objects.get().outcome == "RateLimited"


def test_a_workspace_that_is_gone(looks: list[str]) -> None:
    assert run("gone").successful()
    assert SyncPeriod.objects.count() == 0


def test_a_database_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def fail(alias: str) -> sync.SyncResult:
        tries.append(alias)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(sync, "sync_workspace", fail)
    result = run()
    assert len(tries) == 1 + tasks.RETRIES
    assert isinstance(result.result, OperationalError)


def test_a_poll_that_takes_too_long_gives_its_lease_back(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(_self: Client) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(Client, "current_operation", hang)
    assert isinstance(run().result, SoftTimeLimitExceeded)
    assert SyncLease.objects.get().expires_at is None


def test_a_poll_of_what_is_being_polled(rocketchat: Workspace) -> None:
    SyncLease.objects.create(
        workspace="default", holder="another", expires_at=timezone.now() + timedelta(minutes=1)
    )
    assert run().successful()
    assert SyncPeriod.objects.count() == 0
    assert rocketchat.requests.total() == 0


def test_all_are_sent_out(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_history_is_pruned(settings: Any, rocketchat: Workspace) -> None:
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "KEEP_DAYS": 1}
    assert tasks.prune_import_history.apply().successful()


def test_the_schedule_is_of_tasks_that_there_are() -> None:
    entries = schedule.beat_schedule(timedelta(seconds=30))
    known = current_app.tasks
    assert {each["task"] for each in entries.values()} <= set(known)
    assert entries["importmonitor-sync"]["schedule"] == timedelta(seconds=30)
    assert entries["importmonitor-sync"]["kwargs"] == {"every": 30.0}
    assert entries["importmonitor-sync"]["options"] == {"expires": 30.0}


def test_the_host_project_has_it() -> None:
    from project.celery import app

    app.loader.import_default_modules()
    assert {schedule.SYNC_ALL, schedule.SYNC_ONE, schedule.PRUNE} <= set(app.tasks)
    assert set(app.conf.beat_schedule) == set(schedule.beat_schedule())
