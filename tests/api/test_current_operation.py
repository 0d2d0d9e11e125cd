"""Every interface shows the operation that Rocket.Chat last called current.

That is not the one with the greatest `ts`: a backup can be restored, a clock can be wrong, and an
operation can be deleted.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
import responses
import time_machine
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from importmonitor.models import ImportOperation, StatusTransition, Workspace
from importmonitor.sync import sync_workspace
from tests.api.helpers import PATH, RUNNING, credentials, make_user
from tests.api.metrics import metric_value, metric_values

API = "/api/v1/"
LATEST = API + "getLatestImportOperations"
PATHS = (PATH, LATEST, API + "getImportProgress", API + "import.status")
START = datetime(2026, 11, 20, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Document = Mapping[str, Any]


def document(remote_id: str, ts: Any, status: str = "importing_users", **more: Any) -> Document:
    updated_at = more.pop("_updatedAt", "2026-11-20T09:00:00.000Z")
    return {
        **RUNNING,
        "_id": remote_id,
        "ts": ts,
        "status": f"importer_{status}",
        "_updatedAt": updated_at,
        **more,
    }


def done(operation: Document) -> Document:
    count = {"total": 10, "completed": 10}
    return {**operation, "status": "importer_done", "count": count}


@contextmanager
def serving(*documents: Document) -> Iterator[None]:
    """Serve a workspace with these operations, the first of which is the current one."""
    url = settings.IMPORTMONITOR["WORKSPACES"]["default"]["URL"]
    current = {"operation": documents[0]} if documents else {}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as remote:
        remote.get(url + PATH, json={**current, "success": True})
        remote.get(url + LATEST, json=list(documents))
        yield


def poll_at(now: datetime) -> None:
    assert sync_workspace("default", now=lambda: now).ok


def poll(minute: int, *documents: Document) -> None:
    """Poll that workspace some minutes after START."""
    with serving(*documents):
        poll_at(START + minute * MINUTE)


def stored(operation: Document) -> ImportOperation:
    return ImportOperation.objects.get(remote_id=operation["_id"])


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    return credentials(make_user("tool", "run-import", "view-import-operations"))


@pytest.fixture
def fetch(client: Client, headers: dict[str, str], settings: Any) -> Any:
    """Request a path some minutes after START; nothing is cached."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(0)}

    def fetch(path: str, minute: int, **more: str) -> Any:
        request_headers = headers | {name.replace("_", "-"): value for name, value in more.items()}
        with time_machine.travel(START + minute * MINUTE, tick=False):
            return client.get(path, headers=request_headers)

    return fetch


def assert_shown(fetch: Any, minute: int, current: Document, *others: Document) -> None:
    """Assert that an operation is the current one, and which others the list has."""
    remote_id = current["_id"]
    assert Workspace.objects.get().current_operation == stored(current)
    assert fetch(PATH, minute).json()["operation"] == current
    assert fetch(API + "import.status", minute).json()["operation"] == current
    assert fetch(API + "getImportProgress", minute).json()["step"] == current["status"]
    listed = {operation["_id"] for operation in fetch(LATEST, minute).json()}
    assert listed == {remote_id, *(other["_id"] for other in others)}
    (row,) = fetch("/api/workspaces/", minute).json()["results"]
    assert row["operation"]["remote_id"] == remote_id


def assert_never_superseded(operation: Document) -> None:
    row = stored(operation)
    assert row.end_reason not in {"superseded", "interrupted"}
    reasons = StatusTransition.objects.filter(operation=row).values_list("reason", flat=True)
    assert not {"superseded", "invalidated", "gone"} & set(reasons)


# A restored backup: of A, of 20 November, nothing is left; B, of 10 November, runs.

A = document("aaaaaaaaaaaaaaaaa", "2026-11-20T09:01:00.000Z")
B = document(
    "bbbbbbbbbbbbbbbbb",
    "2026-11-10T08:00:00.000Z",
    "importing_messages",
    count={"total": 1_000, "completed": 500},
    _updatedAt="2026-11-10T08:10:00.000Z",
)


@pytest.fixture
def restored(headers: dict[str, str]) -> None:
    """Poll before and after the backup was restored."""
    poll(0)
    poll(1, A)
    poll(2, done(A))
    poll(3, B)


def test_operation_of_a_restored_backup_is_current_at_once(fetch: Any, restored: None) -> None:
    assert_shown(fetch, 3, B)
    assert_never_superseded(B)
    assert stored(B).is_active
    assert stored(B).gone_at is None


def test_operation_that_a_backup_lacks_is_gone_and_stays_in_the_history(
    fetch: Any, restored: None
) -> None:
    row = stored(A)
    assert (row.gone_at, row.outcome) == (START + 3 * MINUTE, "done")
    # It ended between the polls of the first and the second minute, by Rocket.Chat's date at once.
    assert row.finished_at == START + MINUTE
    by_id = {
        body["remote_id"]: body for body in fetch("/api/import-operations/", 4).json()["results"]
    }
    assert by_id[A["_id"]]["gone_at"] == "2026-11-20T09:03:00Z"
    assert by_id[A["_id"]]["outcome"] == "done"
    assert by_id[B["_id"]]["gone_at"] is None


def test_metrics_are_of_the_operation_of_a_restored_backup(restored: None) -> None:
    assert metric_values("operation_info", START + 3 * MINUTE) == {
        ("csv", "", B["status"], "default"): 1
    }
    assert metric_value("operation_active", START + 3 * MINUTE) == 1
    assert metric_value("operation_records", START + 3 * MINUTE) == 1_000


def test_command_prints_the_operation_of_a_restored_backup(
    restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(B):
        call_command("sync_import_status", "--format", "json")
    result = json.loads(capsys.readouterr().out)
    assert result["operation"]["remote_id"] == B["_id"]
    assert result["operation"]["outcome"] is None
    with serving(done(B)):
        call_command("sync_import_status", "--format", "json")
    result = json.loads(capsys.readouterr().out)
    assert (result["operation"]["outcome"], result["operation"]["percent"]) == ("done", 100)


def test_operation_of_a_restored_backup_ends_as_what_it_was(fetch: Any, restored: None) -> None:
    for minute in range(4, 10):
        count = {"total": 1_000, "completed": 500 + minute}
        poll(minute, {**B, "count": count})
        assert_never_superseded(B)
    poll(10, done(B))
    assert_shown(fetch, 10, done(B))
    assert_never_superseded(B)
    assert stored(B).outcome == "done"
    assert stored(A).outcome == "done"


def test_backup_without_operations_has_no_current_one(fetch: Any, restored: None) -> None:
    poll(4)
    assert fetch(PATH, 4).json() == {"success": True}
    assert fetch(LATEST, 4).json() == []
    assert fetch(API + "import.status", 4).json() == {"state": "none", "success": True}
    assert fetch("/api/workspaces/", 4).json()["results"][0]["operation"] is None
    assert stored(B).gone_at == START + 4 * MINUTE
    assert not stored(B).is_active


def test_operation_that_comes_back_is_no_longer_gone(fetch: Any, restored: None) -> None:
    poll(4, done(A), B)
    assert stored(A).gone_at is None
    assert_shown(fetch, 4, done(A), B)


# An operation of 2099, by a wrong clock, that is deleted again.


@pytest.mark.parametrize("before", [A, done(A)], ids=["running", "done"])
def test_operation_of_2099_does_not_stay_current(
    fetch: Any, headers: dict[str, str], before: Document
) -> None:
    future = document("fffffffffffffffff", "2099-01-01T00:00:00.000Z", "new")
    poll(0)
    poll(1, A)
    poll(2, before)
    poll(3, future, before)
    assert_shown(fetch, 3, future, before)
    # By our clock, it was created when it was first seen.
    assert stored(future).started_at == START + 3 * MINUTE
    poll(4, before)
    assert_shown(fetch, 4, before)
    assert stored(future).gone_at == START + 4 * MINUTE
    assert not stored(future).is_active
    assert_never_superseded(before)
    poll(5, done(A))
    assert stored(A).outcome == "done"


# An operation without a readable time.


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("ts", [None, "soon", {}, True, -1, "9" * 30])
def test_unreadable_ts_does_not_make_an_operation_current(
    fetch: Any, headers: dict[str, str], ts: Any
) -> None:
    odd = document("ooooooooooooooooo", ts, "importing_messages")
    poll(0)
    poll(1, A, odd)
    assert_shown(fetch, 1, A, odd)
    assert_never_superseded(A)
    poll(2, odd, A)
    assert_shown(fetch, 2, odd, A)
    poll(3, A, odd)
    assert_shown(fetch, 3, A, odd)
    assert_never_superseded(A)


# Conditional requests.


@pytest.mark.parametrize("path", PATHS)
def test_conditional_requests_notice_that_an_older_operation_is_current(
    fetch: Any, headers: dict[str, str], path: str
) -> None:
    newer = document("nnnnnnnnnnnnnnnnn", "2026-11-20T09:03:00.000Z", "preparing_started")
    poll(0)
    poll(1, done(A))
    first = fetch(path, 2)
    poll(3, newer, done(A))
    second = fetch(path, 4)
    poll(5, done(A))
    third = fetch(path, 6)
    assert third.content == first.content != second.content
    assert third["ETag"] == first["ETag"] != second["ETag"]
    times = [parsedate_to_datetime(response["Last-Modified"]) for response in (first, second)]
    assert times == [START + MINUTE, START + 3 * MINUTE]
    assert parsedate_to_datetime(third["Last-Modified"]) == START + 5 * MINUTE
    for condition in (
        {"If_None_Match": second["ETag"]},
        {"If_Modified_Since": second["Last-Modified"]},
        {"If_Modified_Since": format_datetime(START + 4 * MINUTE, usegmt=True)},
    ):
        response = fetch(path, 6, **condition)
        assert (response.status_code, response.content) == (200, first.content)
    for condition in (
        {"If_None_Match": third["ETag"]},
        {"If_Modified_Since": third["Last-Modified"]},
    ):
        assert fetch(path, 6, **condition).status_code == 304


def test_etag_of_the_workspaces_moves_with_their_current_operation(
    fetch: Any, headers: dict[str, str]
) -> None:
    poll(0)
    poll(1, done(A))
    tags = [fetch("/api/workspaces/", 1)["ETag"]]
    poll(1, B)
    tags.append(fetch("/api/workspaces/", 1)["ETag"])
    assert len(set(tags)) == 2


# The state of a workspace.


def test_workspaces_have_the_clock_and_the_refusal_of_the_list(
    fetch: Any, headers: dict[str, str]
) -> None:
    url = settings.IMPORTMONITOR["WORKSPACES"]["default"]["URL"]
    for minute in range(3):
        now = START + minute * MINUTE
        date = format_datetime(now - timedelta(hours=1), usegmt=True)
        with responses.RequestsMock(assert_all_requests_are_fired=False) as remote:
            body = {"operation": A, "success": True}
            remote.get(url + PATH, json=body, headers={"Date": date})
            remote.get(url + LATEST, json={"success": False, "error": "no"}, status=403)
            poll_at(now)
    (row,) = fetch("/api/workspaces/", 2).json()["results"]
    assert abs(row["clock_offset_seconds"] + 3600) <= 1
    assert "view-import-operations" in row["list_refused"]
    poll(2 * 24 * 60, A)
    (row,) = fetch("/api/workspaces/", 2 * 24 * 60).json()["results"]
    assert row["list_refused"] == ""
