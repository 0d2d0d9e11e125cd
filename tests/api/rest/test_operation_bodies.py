"""The bodies of operations: every field, and when it is null."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, RUNNING, sync
from tests.api.rest.api_client import (
    OPERATIONS,
    ApiClient,
    detail_url,
    samples_url,
    transitions_url,
)

SECONDS = timedelta(seconds=1)
LATER = {**RUNNING, "count": {"total": 10, "completed": 7}}
DONE = {**RUNNING, "status": "importer_done", "count": {"total": 10, "completed": 10, "error": 1}}

#: The fields of a forecast made ten seconds before NOON.
FORECAST: dict[str, Any] = {
    "forecast_at": NOON - 10 * SECONDS,
    "seconds_left": 30.0,
    "seconds_left_low": 20.0,
    "seconds_left_high": 60.0,
}


@pytest.fixture(params=["UTC", "America/Sao_Paulo", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, settings: Any) -> Any:
    """The site's time zone, which bodies must not depend on."""
    settings.TIME_ZONE = request.param
    timezone.deactivate()
    return request.param


def save_and_get(api: ApiClient, row: ImportOperation, at: datetime = NOON) -> dict[str, Any]:
    """Save a row, and return its body at a time."""
    row.save()
    with time_machine.travel(at, tick=False):
        return api.body(detail_url(row.pk))


def test_running_import_has_all_fields(api: ApiClient, zone: str) -> None:
    sync(RUNNING, at=NOON)
    operation = ImportOperation.objects.get()
    with time_machine.travel(NOON + 9 * SECONDS, tick=False):
        (listed,) = api.rows(OPERATIONS)
        alone = api.body(detail_url(operation.pk))
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
        "started_by_name": "",
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
        "seconds_left_low": None,
        "seconds_left_high": None,
        "duration_seconds": 3609,
        "remote_started_at": "2026-03-25T11:00:00Z",
        "remote_updated_at": "2026-03-25T11:30:00Z",
        "started_at": "2026-03-25T11:00:00Z",
        "first_seen_at": "2026-03-25T12:00:00Z",
        "last_seen_at": "2026-03-25T12:00:00Z",
        "last_progress_at": "2026-03-25T12:00:00Z",
        "stalled_since": None,
        "waiting_since": None,
        "invalidated_at": None,
        "finished_at": None,
        "gone_at": None,
        "unreadable": [],
        "note": "",
        "note_by": "",
        "note_at": None,
        "sync": {"state": "ok", "synced_at": "2026-03-25T12:00:00Z", "age_seconds": 9},
    }


def test_ended_import_has_outcome_and_finish(api: ApiClient, zone: str) -> None:
    sync(RUNNING, at=NOON)
    sync(DONE | {"valid": False}, at=NOON + timedelta(minutes=1))
    (body,) = api.rows(OPERATIONS)
    assert body["outcome"] == "done_with_errors"
    assert (body["percent"], body["seconds_left"]) == (100, None)
    assert body["finished_at"] == "2026-03-25T12:01:00Z"
    assert body["duration_seconds"] == 3660
    assert (body["state"], body["valid"]) == ("done", False)


def test_reopened_import_has_no_outcome(api: ApiClient) -> None:
    ended = make_row(end_reason="done", status="importer_importing_users", state="importing")
    body = save_and_get(api, ended)
    assert (body["outcome"], body["finished_at"] is None) == (None, False)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"percent": None, "seconds_left": None, "rate": None}),
        ({"count_total": 0, "count_completed": 0}, {"percent": None}),
        ({"count_total": 135, "count_completed": 179}, {"percent": 99, "seconds_left": None}),
        ({"count_total": 100, "count_completed": -5}, {"percent": 0}),
        ({"count_total": 1000, "count_completed": 999}, {"percent": 99}),
        ({"count_total": 100, "count_completed": 40, "users_twice": None}, {"percent": 40}),
        (
            {"count_total": 90, "count_users": 10, "count_completed": 40, "users_twice": True},
            {"percent": 33},
        ),
        (
            {"count_total": 100, "count_completed": 40, "rate": 2.0, **FORECAST},
            {"percent": 40, "rate": 2.0}
            | {"seconds_left": 20, "seconds_left_low": 10, "seconds_left_high": 50},
        ),
        (
            {"rate": 2.0, **FORECAST, "stalled_since": NOON},
            {"seconds_left": None, "seconds_left_low": None, "seconds_left_high": None}
            | {"stalled": True, "stalled_since": "2026-03-25T12:00:00Z"},
        ),
        ({"invalidated_at": NOON}, {"invalidated_at": "2026-03-25T12:00:00Z"}),
        ({"gone_at": NOON}, {"gone_at": "2026-03-25T12:00:00Z"}),
        ({"waiting_since": NOON}, {"waiting_since": "2026-03-25T12:00:00Z", "stalled": False}),
        ({"valid": None, "state": "unknown"}, {"valid": None, "state": "unknown"}),
        ({"unreadable": ["ts", "count.total"]}, {"unreadable": ["ts", "count.total"]}),
        ({"started_at": NOON + timedelta(days=1)}, {"duration_seconds": 0}),
    ],
)
def test_unknown_and_impossible_values(
    api: ApiClient, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    defaults: dict[str, Any] = {"started_at": NOON - timedelta(minutes=1), "users_twice": False}
    row = make_row(**defaults | fields)
    row.last_progress_at = NOON - 10 * SECONDS
    counters = save_and_get(api, row)
    assert {name: counters[name] for name in expected} == expected


def test_counters_are_exact_up_to_64_bits(api: ApiClient) -> None:
    names = ("total", "completed", "error", "users", "channels", "messages", "contacts")
    row = make_row(**{f"count_{name}": 2**62 + index for index, name in enumerate(names)})
    counters = save_and_get(api, row)["counters"]
    assert counters == {name: 2**62 + index for index, name in enumerate(names)}


def test_times_keep_microseconds(api: ApiClient) -> None:
    row = make_row(started_at=datetime(2026, 3, 25, 11, 59, 59, 400_000, tzinfo=UTC))
    body = save_and_get(api, row)
    assert body["started_at"] == "2026-03-25T11:59:59.400000Z"
    assert body["duration_seconds"] == 1


def test_only_detail_has_the_document(api: ApiClient) -> None:
    sync({**RUNNING, "fileData": {"users": [{"email": "ada@example.org"}]}}, at=NOON)
    (listed,) = api.rows(OPERATIONS)
    assert "payload" not in listed
    response = api.get(detail_url(listed["id"]))
    assert response.json()["payload"] == RUNNING
    assert b"ada@example.org" not in response.content


def test_transitions_have_all_fields(api: ApiClient, zone: str) -> None:
    for minutes, document in enumerate((RUNNING, LATER, DONE)):
        sync(document, at=NOON + timedelta(minutes=minutes))
    first, last = StatusTransition.objects.order_by("pk")
    rows = api.rows(transitions_url(first.operation_id))
    assert rows == [
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


def test_samples_have_all_fields(api: ApiClient, zone: str) -> None:
    for minutes, document in enumerate((RUNNING, LATER)):
        sync(document, at=NOON + timedelta(minutes=minutes))
    operation = ProgressSample.objects.earliest("pk").operation_id
    assert api.rows(samples_url(operation)) == [
        {"observed_at": "2026-03-25T12:00:00Z", "completed": 5, "error": None, "total": 10},
        {"observed_at": "2026-03-25T12:01:00Z", "completed": 7, "error": None, "total": 10},
    ]


def test_transitions_and_samples_belong_to_one_operation(api: ApiClient) -> None:
    sync(RUNNING, at=NOON)
    other = make_row(2)
    other.save()
    assert api.rows(transitions_url(other.pk)) == api.rows(samples_url(other.pk)) == []
