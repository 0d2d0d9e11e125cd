"""The headers about a response's age and version."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.test import Client

from importmonitor.conf.options import DURATIONS
from tests.api.helpers import NOON, PATH, RUNNING, sync, sync_nothing, sync_refused

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response


@pytest.fixture
def fetch(client: Client, headers: dict[str, str]) -> Any:
    def fetch(at: datetime = NOON, method: str = "GET", **more: str) -> "Response":
        request_headers = headers | {name.replace("_", "-"): value for name, value in more.items()}
        with time_machine.travel(at, tick=False):
            return client.generic(method, PATH, headers=request_headers)

    return fetch


def status_and_sync_headers(response: "Response") -> tuple[int, str, str]:
    return response.status_code, response["X-Import-Sync"], response["X-Import-Synced-At"]


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 12, 31, 23, 59, 59, 999, tzinfo=UTC), "2026-12-31T23:59:59.000Z"),
    ],
)
def test_times_have_rocketchats_format(fetch: Any, at: datetime, written: str) -> None:
    sync(RUNNING, at=at)
    assert status_and_sync_headers(fetch(at)) == (200, "ok", written)


def test_times_do_not_depend_on_the_time_zone(fetch: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kathmandu"
    sync(RUNNING, at=NOON)
    assert fetch()["X-Import-Synced-At"] == "2026-03-25T12:00:00.000Z"


def test_stale_after_twice_unreachable_after(fetch: Any) -> None:
    sync(RUNNING, at=NOON)
    limit = NOON + 2 * DURATIONS["UNREACHABLE_AFTER"]
    at = "2026-03-25T12:00:00.000Z"
    assert status_and_sync_headers(fetch(limit)) == (200, "ok", at)
    assert status_and_sync_headers(fetch(limit + timedelta(seconds=1))) == (200, "stale", at)
    assert status_and_sync_headers(fetch(NOON + timedelta(days=900))) == (200, "stale", at)


def test_unreachable_after_sets_staleness(fetch: Any, settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"UNREACHABLE_AFTER": timedelta(seconds=30)}
    sync(RUNNING, at=NOON)
    assert fetch(NOON + timedelta(seconds=60))["X-Import-Sync"] == "ok"
    assert fetch(NOON + timedelta(seconds=61))["X-Import-Sync"] == "stale"


def test_poll_without_changes_counts(fetch: Any) -> None:
    later = NOON + timedelta(hours=1)
    sync(RUNNING, at=NOON)
    sync(RUNNING, at=later)
    assert status_and_sync_headers(fetch(later)) == (200, "ok", "2026-03-25T13:00:00.000Z")


def test_failing_workspace_keeps_its_body(fetch: Any) -> None:
    sync(RUNNING, at=NOON)
    before = fetch()
    later = NOON + timedelta(minutes=1)
    for minutes in range(3):
        sync_refused(at=later + timedelta(minutes=minutes))
    after = fetch(later)
    assert status_and_sync_headers(after) == (200, "failing", "2026-03-25T12:00:00.000Z")
    assert after.content == before.content
    assert after["ETag"] == before["ETag"]


def test_failing_workspace_without_imports_keeps_its_body(fetch: Any) -> None:
    sync_nothing(at=NOON)
    sync_refused(at=NOON + timedelta(minutes=1))
    response = fetch()
    assert status_and_sync_headers(response) == (200, "failing", "2026-03-25T12:00:00.000Z")
    assert response.content == b'{"success":true}'


def test_workspace_that_always_failed_is_503(fetch: Any) -> None:
    sync_refused(at=NOON)
    response = fetch()
    assert response.status_code == 503
    assert response.json()["success"] is False


def test_recovered_workspace_is_ok(fetch: Any) -> None:
    later = NOON + timedelta(minutes=2)
    sync(RUNNING, at=NOON)
    sync_refused(at=NOON + timedelta(minutes=1))
    sync(RUNNING, at=later)
    assert status_and_sync_headers(fetch(later)) == (200, "ok", "2026-03-25T12:02:00.000Z")


def test_304_has_sync_headers(fetch: Any) -> None:
    sync(RUNNING, at=NOON)
    etag = fetch()["ETag"]
    late = fetch(NOON + timedelta(hours=1), If_None_Match=etag)
    assert status_and_sync_headers(late) == (304, "stale", "2026-03-25T12:00:00.000Z")
    sync_refused(at=NOON)
    failing = fetch(If_None_Match=etag)
    assert status_and_sync_headers(failing) == (304, "failing", "2026-03-25T12:00:00.000Z")


def test_etag_does_not_replace_credentials(client: Client, fetch: Any) -> None:
    sync(RUNNING, at=NOON)
    etag = fetch()["ETag"]
    assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 401
