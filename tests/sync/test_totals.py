"""The totals that a watch counts beside its polls, if there are many workspaces."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from importmonitor.models import StoredTotals, Workspace
from importmonitor.models.totals import MANY
from importmonitor.sync import totals, watch
from importmonitor.sync.fleet import Fleet
from importmonitor.sync.totals import TOTALS_INTERVAL, store_totals

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def create_workspaces(number: int) -> None:
    Workspace.objects.bulk_create(Workspace(alias=f"w{i}") for i in range(number))


def store_at(now: datetime) -> None:
    assert store_totals(lambda: now)


@pytest.mark.django_db
def test_totals_are_stored_if_there_are_more_than_many_configured_workspaces() -> None:
    create_workspaces(MANY + 1)
    Workspace.objects.filter(alias="w0").update(is_configured=False)
    assert not store_totals(lambda: NOON)
    assert not StoredTotals.objects.exists()
    Workspace.objects.filter(alias="w0").update(is_configured=True)
    store_at(NOON)
    row = StoredTotals.objects.get()
    assert row.totals.total == MANY + 1


@pytest.mark.django_db
def test_totals_are_not_stored_again_just_after_another_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(totals, "MANY", 1)
    create_workspaces(2)
    # The last but one is after a clock was set back.
    for seconds, counted in ((0, 0), (5, 0), (6, 6), (2, 2), (60, 60)):
        store_at(NOON + timedelta(seconds=seconds))
        assert StoredTotals.objects.get().counted_at == NOON + timedelta(seconds=counted)


@pytest.mark.django_db
def test_failure_to_store_totals_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object) -> None:
        raise DatabaseError("a secret")

    monkeypatch.setattr(totals, "MANY", 1)
    monkeypatch.setattr(totals, "count_totals", fail)
    create_workspaces(2)
    caplog.set_level(logging.WARNING, logger="importmonitor")
    assert not store_totals(lambda: NOON)
    assert caplog.messages == ["The workspaces could not be counted: DatabaseError"]


class Stopped(threading.Event):
    """Set after so many waits, which only advance a clock."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waits = waits
        self.clock = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.clock += timeout or 0.0
        self.waits -= 1
        return self.waits < 0


@pytest.mark.parametrize(
    ("are_many", "stored", "reviewed"),
    [
        (True, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120], [60, 120]),
        (False, [10, 70, 130, 190, 250, 310, 370, 430, 490, 550, 610, 670], range(70, 671, 60)),
    ],
)
def test_watch_stores_totals_of_many_workspaces_between_its_reviews(
    are_many: bool, stored: list[int], reviewed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Stopped(len(stored))
    calls: list[tuple[str, float]] = []

    def store() -> bool:
        calls.append(("store", stopped.clock))
        return are_many

    monkeypatch.setattr(time, "monotonic", lambda: stopped.clock)
    monkeypatch.setattr(watch, "store_totals", store)
    monkeypatch.setattr(
        watch, "review_and_deliver", lambda: calls.append(("review", stopped.clock))
    )
    monkeypatch.setattr("django.db.connections.close_all", lambda: None)
    monkeypatch.setattr(Fleet, "reread", lambda _self: calls.append(("reread", stopped.clock)))
    watch._keep_house(Fleet.__new__(Fleet), stopped, lambda: None)
    assert [at for name, at in calls if name == "store"] == stored
    assert [at for name, at in calls if name == "review"] == list(reviewed)
    assert [at for name, at in calls if name == "reread"] == list(reviewed)
    assert stored[0] == TOTALS_INTERVAL
