"""What the REST face tells of operations: every field of a body, and when it is null."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, RUNNING, sync
from tests.api.rest.asking import OPERATIONS, Asking, detail, samples, transitions

SECONDS = timedelta(seconds=1)
LATER = {**RUNNING, "count": {"total": 10, "completed": 7}}
DONE = {**RUNNING, "status": "importer_done", "count": {"total": 10, "completed": 10, "error": 1}}


@pytest.fixture(params=["UTC", "America/Sao_Paulo", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, settings: Any) -> Any:
    """The site's own zone, which no answer is to be told in."""
    settings.TIME_ZONE = request.param
    timezone.deactivate()
    return request.param


def shown(asking: Asking, row: ImportOperation, at: datetime = NOON) -> dict[str, Any]:
    """Save a row, and return what is told of it at a time."""
    row.save()
    with time_machine.travel(at, tick=False):
        return asking.body(detail(row.pk))


def test_an_import_under_way(asking: Asking, zone: str) -> None:
    sync(RUNNING, at=NOON)
    operation = ImportOperation.objects.get()
    with time_machine.travel(NOON + 9 * SECONDS, tick=False):
        (listed,) = asking.rows(OPERATIONS)
        alone = asking.body(detail(operation.pk))
    assert alone.pop("payload") == RUNNING
    assert listed == alone
    assert listed.pop("modified_at").endswith("Z")
    assert listed == {
        "id": operation.pk,
        "workspace": "default",
        "remote_id": "65f8a1c2e4b0d9a7c3f1e205",
        "type": "CSV",
        "importer_key": "csv",
        "status": "importer_importing_users",
        "state": "importing",
        "valid": True,
        "outcome": None,
        "stalled": False,
        "remote_user_id": "d26x6zSkaPSe5gCyy",
        "file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv",
        "file_name": "people.csv",
        "content_type": "text/csv",
        "counters": {
            "total": 10,
            "completed": 5,
            "error": None,
            "users": None,
            "channels": None,
            "messages": None,
            "contacts": None,
        },
        "percent": 50,
        "rate": None,
        "seconds_left": None,
        "duration_seconds": 3609,
        "remote_started_at": "2026-03-25T11:00:00Z",
        "remote_updated_at": "2026-03-25T11:30:00Z",
        "started_at": "2026-03-25T11:00:00Z",
        "first_seen_at": "2026-03-25T12:00:00Z",
        "last_seen_at": "2026-03-25T12:00:00Z",
        "last_progress_at": "2026-03-25T12:00:00Z",
        "stalled_since": None,
        "waiting_since": None,
        "finished_at": None,
        "unreadable": [],
        "note": "",
        "sync": {"state": "ok", "synced_at": "2026-03-25T12:00:00Z", "age_seconds": 9},
    }


def test_an_import_that_has_ended(asking: Asking, zone: str) -> None:
    sync(RUNNING, at=NOON)
    sync(DONE | {"valid": False}, at=NOON + timedelta(minutes=1))
    (found,) = asking.rows(OPERATIONS)
    assert found["outcome"] == "done_with_errors"
    assert (found["percent"], found["seconds_left"]) == (100, None)
    assert found["finished_at"] == "2026-03-25T12:01:00Z"
    assert found["duration_seconds"] == 3660
    assert (found["state"], found["valid"]) == ("done", False)


def test_what_was_opened_again_has_no_outcome(asking: Asking) -> None:
    ended = make_row(end_reason="done", status="importer_importing_users", state="importing")
    found = shown(asking, ended)
    assert (found["outcome"], found["finished_at"] is None) == (None, False)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {"percent": None, "seconds_left": None, "rate": None}),
        ({"count_total": 0, "count_completed": 0}, {"percent": None}),
        ({"count_total": 135, "count_completed": 179}, {"percent": 100, "seconds_left": None}),
        ({"count_total": 100, "count_completed": -5}, {"percent": 0}),
        ({"count_total": 1000, "count_completed": 999}, {"percent": 99}),
        (
            {"count_total": 100, "count_completed": 40, "rate": 2.0},
            {"percent": 40, "seconds_left": 20, "rate": 2.0},
        ),
        (
            {"count_total": 100, "count_completed": 40, "rate": 2.0, "stalled_since": NOON},
            {"seconds_left": None, "stalled": True, "stalled_since": "2026-03-25T12:00:00Z"},
        ),
        ({"waiting_since": NOON}, {"waiting_since": "2026-03-25T12:00:00Z", "stalled": False}),
        ({"valid": None, "state": "unknown"}, {"valid": None, "state": "unknown"}),
        ({"unreadable": ["ts", "count.total"]}, {"unreadable": ["ts", "count.total"]}),
        ({"started_at": NOON + timedelta(days=1)}, {"duration_seconds": 0}),
    ],
)
def test_what_can_be_said(asking: Asking, fields: dict[str, Any], told: dict[str, Any]) -> None:
    row = make_row(**{"started_at": NOON - timedelta(minutes=1)} | fields)
    row.last_progress_at = NOON - 10 * SECONDS
    found = shown(asking, row)
    assert {name: found[name] for name in told} == told


def test_counters(asking: Asking) -> None:
    names = ("total", "completed", "error", "users", "channels", "messages", "contacts")
    row = make_row(**{f"count_{name}": 2**62 + place for place, name in enumerate(names)})
    found = shown(asking, row)["counters"]
    assert found == {name: 2**62 + place for place, name in enumerate(names)}


def test_fractions_of_a_second(asking: Asking) -> None:
    row = make_row(started_at=datetime(2026, 3, 25, 11, 59, 59, 400_000, tzinfo=UTC))
    found = shown(asking, row)
    assert found["started_at"] == "2026-03-25T11:59:59.400000Z"
    assert found["duration_seconds"] == 1


def test_the_document_is_with_the_operation_alone(asking: Asking) -> None:
    sync({**RUNNING, "fileData": {"users": [{"email": "ada@example.org"}]}}, at=NOON)
    (listed,) = asking.rows(OPERATIONS)
    assert "payload" not in listed
    response = asking.get(detail(listed["id"]))
    assert response.json()["payload"] == RUNNING
    assert b"ada@example.org" not in response.content


def test_transitions(asking: Asking, zone: str) -> None:
    for minutes, document in enumerate((RUNNING, LATER, DONE)):
        sync(document, at=NOON + timedelta(minutes=minutes))
    first, last = StatusTransition.objects.order_by("pk")
    found = asking.rows(transitions(first.operation_id))
    assert found == [
        {
            "id": first.pk,
            "observed_at": "2026-03-25T12:00:00Z",
            "reason": "remote",
            "from_status": "",
            "to_status": "importer_importing_users",
            "from_state": "",
            "to_state": "importing",
            "valid": True,
            "count_total": 10,
            "count_completed": 5,
            "count_error": None,
        },
        {
            "id": last.pk,
            "observed_at": "2026-03-25T12:02:00Z",
            "reason": "remote",
            "from_status": "importer_importing_users",
            "to_status": "importer_done",
            "from_state": "importing",
            "to_state": "done",
            "valid": True,
            "count_total": 10,
            "count_completed": 10,
            "count_error": 1,
        },
    ]


def test_samples(asking: Asking, zone: str) -> None:
    for minutes, document in enumerate((RUNNING, LATER)):
        sync(document, at=NOON + timedelta(minutes=minutes))
    operation = ProgressSample.objects.earliest("pk").operation_id
    assert asking.rows(samples(operation)) == [
        {"observed_at": "2026-03-25T12:00:00Z", "completed": 5, "error": None, "total": 10},
        {"observed_at": "2026-03-25T12:01:00Z", "completed": 7, "error": None, "total": 10},
    ]


def test_each_operation_has_its_own_parts(asking: Asking) -> None:
    sync(RUNNING, at=NOON)
    other = make_row(2)
    other.save()
    assert asking.rows(transitions(other.pk)) == asking.rows(samples(other.pk)) == []
