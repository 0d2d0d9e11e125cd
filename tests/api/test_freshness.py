"""How old an answer is, and whether it has changed: told by headers."""

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
def ask(client: Client, headers: dict[str, str]) -> Any:
    def ask(at: datetime = NOON, method: str = "GET", **more: str) -> "Response":
        asking = headers | {name.replace("_", "-"): value for name, value in more.items()}
        with time_machine.travel(at, tick=False):
            return client.generic(method, PATH, headers=asking)

    return ask


def told(response: "Response") -> tuple[int, str, str]:
    return response.status_code, response["X-Import-Sync"], response["X-Import-Synced-At"]


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 12, 31, 23, 59, 59, 999, tzinfo=UTC), "2026-12-31T23:59:59.000Z"),
    ],
)
def test_times_are_written_as_rocketchat_does(ask: Any, at: datetime, written: str) -> None:
    sync(RUNNING, at=at)
    assert told(ask(at)) == (200, "ok", written)


def test_another_time_zone_changes_nothing(ask: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kathmandu"
    sync(RUNNING, at=NOON)
    assert ask()["X-Import-Synced-At"] == "2026-03-25T12:00:00.000Z"


def test_stale_is_what_nobody_looked_at_for_long(ask: Any) -> None:
    sync(RUNNING, at=NOON)
    limit = NOON + 2 * DURATIONS["UNREACHABLE_AFTER"]
    at = "2026-03-25T12:00:00.000Z"
    assert told(ask(limit)) == (200, "ok", at)
    assert told(ask(limit + timedelta(seconds=1))) == (200, "stale", at)
    assert told(ask(NOON + timedelta(days=900))) == (200, "stale", at)


def test_how_long_is_long_is_a_setting(ask: Any, settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"UNREACHABLE_AFTER": timedelta(seconds=30)}
    sync(RUNNING, at=NOON)
    assert ask(NOON + timedelta(seconds=60))["X-Import-Sync"] == "ok"
    assert ask(NOON + timedelta(seconds=61))["X-Import-Sync"] == "stale"


def test_a_look_that_finds_nothing_new_is_a_look(ask: Any) -> None:
    later = NOON + timedelta(hours=1)
    sync(RUNNING, at=NOON)
    sync(RUNNING, at=later)
    assert told(ask(later)) == (200, "ok", "2026-03-25T13:00:00.000Z")


def test_failing_still_answers_what_was_stored(ask: Any) -> None:
    sync(RUNNING, at=NOON)
    before = ask()
    later = NOON + timedelta(minutes=1)
    for minutes in range(3):
        sync_refused(at=later + timedelta(minutes=minutes))
    after = ask(later)
    assert told(after) == (200, "failing", "2026-03-25T12:00:00.000Z")
    assert after.content == before.content
    assert after["ETag"] == before["ETag"]


def test_failing_after_there_was_nothing(ask: Any) -> None:
    sync_nothing(at=NOON)
    sync_refused(at=NOON + timedelta(minutes=1))
    response = ask()
    assert told(response) == (200, "failing", "2026-03-25T12:00:00.000Z")
    assert response.content == b'{"success":true}'


def test_failing_from_the_first_look_on(ask: Any) -> None:
    sync_refused(at=NOON)
    response = ask()
    assert response.status_code == 503
    assert response.json()["success"] is False


def test_well_again(ask: Any) -> None:
    later = NOON + timedelta(minutes=2)
    sync(RUNNING, at=NOON)
    sync_refused(at=NOON + timedelta(minutes=1))
    sync(RUNNING, at=later)
    assert told(ask(later)) == (200, "ok", "2026-03-25T12:02:00.000Z")


def test_an_etag_follows_the_operation_and_nothing_else(ask: Any) -> None:
    sync(RUNNING, at=NOON)
    first = ask()["ETag"]
    assert ask()["ETag"] == first
    later = NOON + timedelta(minutes=1)
    sync(RUNNING, at=later)
    assert ask(later)["ETag"] == first
    assert ask(later + timedelta(days=1))["ETag"] == first
    etags = {first}
    for change in (
        {"status": "importer_importing_messages"},
        {"status": "importer_importing_messages", "count": {"total": 10, "completed": 6}},
        {"status": "importer_importing_messages", "valid": False},
        {"status": "importer_importing_messages", "valid": False, "newKey": 1},
    ):
        later += timedelta(minutes=1)
        sync({**RUNNING, **change, "_updatedAt": f"2026-03-25T12:{later.minute}:00.000Z"}, at=later)
        etags.add(ask(later)["ETag"])
    assert len(etags) == 5
    sync_nothing(at=later)
    assert ask(later)["ETag"] not in etags


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_not_modified(ask: Any, form: str) -> None:
    sync(RUNNING, at=NOON)
    etag = ask()["ETag"]
    response = ask(If_None_Match=form.format(etag))
    assert told(response) == (304, "ok", "2026-03-25T12:00:00.000Z")
    assert response.content == b""
    assert response["ETag"] == etag
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("other", ['"other"', "nonsense", ""])
def test_modified(ask: Any, other: str) -> None:
    sync(RUNNING, at=NOON)
    response = ask(If_None_Match=other)
    assert response.status_code == 200
    assert response.json()["operation"] == RUNNING


def test_not_modified_tells_its_age_too(ask: Any) -> None:
    sync(RUNNING, at=NOON)
    etag = ask()["ETag"]
    late = ask(NOON + timedelta(hours=1), If_None_Match=etag)
    assert told(late) == (304, "stale", "2026-03-25T12:00:00.000Z")
    sync_refused(at=NOON)
    failing = ask(If_None_Match=etag)
    assert told(failing) == (304, "failing", "2026-03-25T12:00:00.000Z")


def test_a_new_state_ends_a_clients_copy(ask: Any) -> None:
    sync(RUNNING, at=NOON)
    etag = ask()["ETag"]
    sync({**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T12:00:00.000Z"}, at=NOON)
    response = ask(If_None_Match=etag)
    assert response.status_code == 200
    assert response.json()["operation"]["status"] == "importer_done"


def test_nobody_is_spared_the_credentials_by_an_etag(client: Client, ask: Any) -> None:
    sync(RUNNING, at=NOON)
    etag = ask()["ETag"]
    assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 401


def test_head(ask: Any) -> None:
    sync(RUNNING, at=NOON)
    got, head = ask(), ask(method="HEAD")
    assert head.status_code == 200
    assert head.content == b""
    for name in ("Content-Type", "Cache-Control", "ETag", "X-Import-Sync", "X-Import-Synced-At"):
        assert head[name] == got[name]
