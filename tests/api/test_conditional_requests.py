"""Conditional requests: ETag, Last-Modified and 304 (RFC 9110, section 13)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from importmonitor.models import ImportOperation
from importmonitor.sync.prune import prune_operations
from tests.api.helpers import (
    NOON,
    PATH,
    RUNNING,
    credentials,
    make_user,
    sync,
    sync_nothing,
    sync_refused,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

API = "/api/v1/"
LATEST = API + "getLatestImportOperations"
PATHS = (PATH, LATEST, API + "getImportProgress", API + "import.status")
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
DONE = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:40:00.000Z"}
DONE["count"] = {"total": 10, "completed": 10}


@pytest.fixture
def headers(db: None) -> dict[str, str]:
    return credentials(make_user("tool", "run-import", "view-import-operations"))


@pytest.fixture
def fetch(client: Client, headers: dict[str, str]) -> Any:
    def fetch(path: str = PATH, at: datetime = NOON + HOUR, **more: str) -> "Response":
        request_headers = headers | {name.replace("_", "-"): value for name, value in more.items()}
        with time_machine.travel(at, tick=False):
            return client.get(path, headers=request_headers)

    return fetch


@pytest.fixture
def synced(headers: dict[str, str]) -> None:
    """Poll a workspace at noon."""
    sync(RUNNING, at=NOON)


def modified(response: "Response") -> datetime:
    return parsedate_to_datetime(response["Last-Modified"])


def done_at(minutes: int, **changes: Any) -> dict[str, Any]:
    """Return the finished import, updated this number of minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    return {**DONE, "_updatedAt": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", **changes}


#: Events in this order, a minute apart.
EVENTS: Mapping[str, Mapping[str, Any] | None] = {
    "it counts": {**RUNNING, "count": {"total": 10, "completed": 7}},
    "it is done": DONE,
    "a server starts": done_at(3, valid=False),
    "it is written again": done_at(4, valid=False),
    "a key comes": done_at(5, valid=False, unheardOf=None),
    "a key goes": done_at(6, valid=False),
    "its errors are counted": done_at(
        7, valid=False, count={"total": 10, "completed": 10, "error": 1}
    ),
    "another begins": {**RUNNING, "_id": "another", "ts": "2026-03-25T12:08:00.000Z"},
    "all are gone": None,
    "they are back": {**RUNNING, "_id": "another", "ts": "2026-03-25T12:08:00.000Z"},
}


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize("path", PATHS)
def test_etag_changes_with_the_body(fetch: Any, synced: None, path: str) -> None:
    bodies: dict[str, bytes] = {}
    before = fetch(path)
    for minutes, (event, document) in enumerate(EVENTS.items(), 1):
        at = NOON + timedelta(minutes=minutes)
        sync_nothing(at=at) if document is None else sync(document, at=at)
        after = fetch(path)
        if after.status_code == 400:
            # getImportProgress sends an error if there is no operation.
            assert "ETag" not in after, event
            assert "Last-Modified" not in after, event
            continue
        assert after.content == before.content or after["ETag"] != before["ETag"], event
        assert modified(after) == at, event
        assert modified(after) > modified(before), event
        bodies.setdefault(after["ETag"], after.content)
        assert bodies[after["ETag"]] == after.content, event
        # A client with the body from before gets the new one, by either condition.
        if after.content != before.content:
            assert fetch(path, If_None_Match=before["ETag"]).content == after.content, event
            since = before["Last-Modified"]
            assert fetch(path, If_Modified_Since=since).content == after.content, event
        before = after


def test_write_after_the_end_modifies(fetch: Any, headers: dict[str, str]) -> None:
    """Such a write changes only `valid` and `_updatedAt`."""
    sync(DONE, at=NOON)
    before = fetch()
    last_seen_at = ImportOperation.objects.get().last_seen_at
    for minutes, document in [(1, done_at(1)), (2, done_at(2, valid=False))]:
        sync(document, at=NOON + timedelta(minutes=minutes))
        after = fetch(If_None_Match=before["ETag"], If_Modified_Since=before["Last-Modified"])
        assert after.json()["operation"] == document
        assert modified(after) == NOON + timedelta(minutes=minutes)
        before = after
    assert ImportOperation.objects.get().last_seen_at == last_seen_at


@pytest.mark.parametrize("path", PATHS)
def test_unchanged_operation_keeps_body_and_etag(
    client: Client, fetch: Any, headers: dict[str, str], synced: None, path: str
) -> None:
    before = fetch(path)
    other = make_user("other", "run-import", "view-import-operations")
    for minutes in (1, 2, 30):
        # A workspace does not guarantee the order of keys.
        reordered = dict(reversed(list(RUNNING.items())))
        sync(reordered, at=NOON + timedelta(minutes=minutes))
        sync_refused(at=NOON + timedelta(minutes=minutes, seconds=30))
        for after in (fetch(path), client.get(path, headers=credentials(other))):
            assert after.content == before.content
            assert after["ETag"] == before["ETag"]


@pytest.mark.parametrize("path", PATHS)
def test_304_has_the_headers_of_200(fetch: Any, synced: None, path: str) -> None:
    full = fetch(path)
    conditions = [{"If_None_Match": full["ETag"]}, {"If_Modified_Since": full["Last-Modified"]}]
    for condition in (*conditions, {**conditions[0], **conditions[1]}):
        response = fetch(path, **condition)
        assert (response.status_code, response.content) == (304, b"")
        counted = "X-RateLimit-Remaining"
        assert int(response[counted]) < int(full[counted])
        missing = {"Content-Type", "Content-Length"}
        assert missing & {*response.headers} <= {"Content-Length"}
        assert response.headers.get("Content-Length", "0") == "0"
        for name in {*full.headers} - missing - {counted}:
            assert response[name] == full[name], name
        for name in ("ETag", "Last-Modified", "X-Import-Sync", "X-Import-Synced-At"):
            assert name in response
        assert {"X-RateLimit-Limit", "X-RateLimit-Reset", "Vary"} <= {*response.headers}
        assert response["Cache-Control"] == "no-store"


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("remember_for", [0.0, 1.0])
def test_304_decodes_and_encodes_no_json(
    fetch: Any,
    synced: None,
    path: str,
    remember_for: float,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    lasting = timedelta(seconds=remember_for)
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": lasting}
    etag = fetch(path)["ETag"]

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("JSON was read or written")

    monkeypatch.setattr("json.loads", refuse)
    monkeypatch.setattr("json.dumps", refuse)
    assert fetch(path, If_None_Match=etag).status_code == 304
    if not remember_for:
        with pytest.raises(AssertionError, match="JSON was read or written"):
            fetch(path)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"If_None_Match": "{etag}"}, 304),
        ({"If_None_Match": "W/{etag}"}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"a", W/"b" ,{etag}'}, 304),
        ({"If_None_Match": '"a","b",  "c"'}, 200),
        ({"If_None_Match": '"*"'}, 200),
        ({"If_None_Match": "{bare}"}, 200),
        ({"If_None_Match": ""}, 200),
        ({"If_None_Match": '"{bare}'}, 200),
        ({"If_None_Match": "w/{etag}"}, 200),
        ({"If_None_Match": '"' + "a" * 60_000 + '"'}, 200),
        ({"If_Modified_Since": "{date}"}, 304),
        ({"If_Modified_Since": "{rfc850}"}, 304),
        ({"If_Modified_Since": "{asctime}"}, 304),
        ({"If_Modified_Since": "{later}"}, 304),
        ({"If_Modified_Since": "{earlier}"}, 200),
        ({"If_Modified_Since": ""}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_Modified_Since": "1774440000"}, 200),
        ({"If_Modified_Since": "Wed, 32 Mar 2026 12:00:00 GMT"}, 200),
        ({"If_Modified_Since": "Wed, 25 Mar 99999 12:00:00 GMT"}, 200),
        ({"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"If_Modified_Since": "2026-03-25T12:00:00Z"}, 200),
        # With an ETag, the date is ignored.
        ({"If_None_Match": '"other"', "If_Modified_Since": "{date}"}, 200),
        ({"If_None_Match": "{etag}", "If_Modified_Since": "{earlier}"}, 304),
        ({"If_Match": "{etag}"}, 200),
        ({"If_Match": '"a", {etag}'}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": "W/{etag}"}, 412),
        ({"If_Match": '"other"'}, 412),
        ({"If_Match": '"other"', "If_None_Match": "{etag}"}, 412),
        ({"If_Match": "{etag}", "If_None_Match": "{etag}"}, 304),
        ({"If_Unmodified_Since": "{date}"}, 200),
        ({"If_Unmodified_Since": "{later}"}, 200),
        ({"If_Unmodified_Since": "{earlier}"}, 412),
        ({"If_Unmodified_Since": "yesterday"}, 200),
        ({"If_Match": "{etag}", "If_Unmodified_Since": "{earlier}"}, 200),
        ({"If_Range": "{etag}", "Range": "bytes=0-3"}, 200),
    ],
)
@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("path", PATHS)
def test_condition_gets_status(
    fetch: Any, synced: None, path: str, condition: dict[str, str], status: int
) -> None:
    full = fetch(path)
    date = modified(full)
    values = {
        "etag": full["ETag"],
        "bare": full["ETag"].strip('"'),
        "date": full["Last-Modified"],
        "rfc850": f"{date:%A, %d-%b-%y %H:%M:%S} GMT",
        "asctime": f"{date:%a %b %d %H:%M:%S %Y}",
        "later": format_datetime(date + SECOND, usegmt=True),
        "earlier": format_datetime(date - SECOND, usegmt=True),
    }
    conditions = {name: value.format(**values) for name, value in condition.items()}
    response = fetch(path, **conditions)
    assert response.status_code == status
    assert response.content == (full.content if status == 200 else b"")
    assert response["ETag"] == full["ETag"]
    assert response["Last-Modified"] == full["Last-Modified"]
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("condition", ["If_None_Match", "If_Match"])
def test_conditions_are_evaluated_after_all_checks(
    client: Client, fetch: Any, settings: Any, condition: str
) -> None:
    conditions = {condition: "*"}
    assert fetch(**conditions).status_code == 503
    sync_nothing()
    assert fetch(API + "getImportProgress", **conditions).status_code == 400
    assert fetch(PATH + "?a=1", **conditions).status_code == 400
    assert fetch(PATH + "/", **conditions).status_code == 404
    assert fetch("/workspaces/nowhere" + PATH, **conditions).status_code == 404
    assert fetch(X_Auth_Token="wrong", **conditions).status_code == 401
    stranger = credentials(make_user("stranger"))
    header = {condition.replace("_", "-"): "*"}
    assert client.get(PATH, headers=stranger | header).status_code == 403
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "0/min"}}
    assert fetch(**conditions).status_code == 429


def test_last_modified_never_decreases(fetch: Any, synced: None) -> None:
    """A late snapshot and a failure are no changes."""
    dates = [modified(fetch(path)) for path in PATHS]
    for minutes in range(1, 5):
        at = NOON + timedelta(minutes=minutes)
        sync_refused(at=at) if minutes % 2 else sync(RUNNING, at=at)
        after = [modified(fetch(path)) for path in PATHS]
        assert all(late >= early for early, late in zip(dates, after, strict=True))
        dates = after
    sync({**RUNNING, "count": {"total": 10, "completed": 6}}, at=NOON + timedelta(minutes=10))
    late = {**RUNNING, "_updatedAt": "2026-03-25T11:00:00.000Z", "count": {"completed": 1}}
    newest = [modified(fetch(path)) for path in PATHS]
    sync(late, at=NOON + timedelta(minutes=11))
    assert [modified(fetch(path)) for path in PATHS] == newest


def sync_two_finished_imports() -> None:
    """Sync two imports, the older of which was modified last."""
    first = {**DONE, "_id": "first", "ts": "2026-03-25T10:00:00.000Z"}
    sync(first, at=NOON)
    sync({**DONE, "_id": "second"}, at=NOON + timedelta(minutes=1))
    # As a poll that updates the older one would.
    at = NOON + timedelta(minutes=2)
    ImportOperation.objects.filter(remote_id="first").update(modified_at=at)


def test_pruning_does_not_decrease_last_modified(fetch: Any, headers: dict[str, str]) -> None:
    sync_two_finished_imports()
    before = fetch(LATEST)
    assert len(before.json()) == 2
    assert prune_operations(NOON + HOUR).operations == 1
    after = fetch(LATEST)
    assert len(after.json()) == 1
    assert after["ETag"] != before["ETag"]
    assert modified(after) >= modified(before)


def test_pruning_modifies_the_list(fetch: Any, headers: dict[str, str]) -> None:
    sync_two_finished_imports()
    before = fetch(LATEST)
    prune_operations(NOON + HOUR)
    after = fetch(LATEST, If_Modified_Since=before["Last-Modified"])
    assert after.status_code == 200
    assert len(after.json()) == 1


def test_last_modified_is_not_in_the_future(fetch: Any, headers: dict[str, str]) -> None:
    """The sync may run on another host, or a clock be corrected (RFC 9110, 8.8.2.1)."""
    sync(RUNNING, at=NOON + 2 * SECOND)
    assert modified(fetch(at=NOON)) <= NOON.astimezone(UTC)


def test_second_change_within_a_second_is_seen(fetch: Any, synced: None) -> None:
    """RFC 9110, 8.8.2.2: a date is weak before its second is over."""
    before = fetch(at=NOON + SECOND / 4)
    sync({**RUNNING, "count": {"total": 10, "completed": 6}}, at=NOON + SECOND / 2)
    conditions = {"If_Modified_Since": before["Last-Modified"]} if "Last-Modified" in before else {}
    after = fetch(at=NOON + HOUR, **conditions)
    assert after.status_code == 200
    assert after.json()["operation"]["count"]["completed"] == 6
