"""What a client has already is not sent again: ETag, Last-Modified, and 304 (RFC 9110, 13)."""

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
    return credentials(make_user("both", "run-import", "view-import-operations"))


@pytest.fixture
def ask(client: Client, headers: dict[str, str]) -> Any:
    def ask(path: str = PATH, at: datetime = NOON + HOUR, **more: str) -> "Response":
        asking = headers | {name.replace("_", "-"): value for name, value in more.items()}
        with time_machine.travel(at, tick=False):
            return client.get(path, headers=asking)

    return ask


@pytest.fixture
def synced(headers: dict[str, str]) -> None:
    """A workspace that was looked at at noon."""
    sync(RUNNING, at=NOON)


def modified(response: "Response") -> datetime:
    return parsedate_to_datetime(response["Last-Modified"])


def touched(minutes: int, **changes: Any) -> dict[str, Any]:
    """Return the finished import as it is after a write so many minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    return {**DONE, "_updatedAt": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", **changes}


#: What happens one after another, a minute apart.
EVENTS: Mapping[str, Mapping[str, Any] | None] = {
    "it counts": {**RUNNING, "count": {"total": 10, "completed": 7}},
    "it is done": DONE,
    "a server starts": touched(3, valid=False),
    "it is written again": touched(4, valid=False),
    "a key comes": touched(5, valid=False, unheardOf=None),
    "a key goes": touched(6, valid=False),
    "its errors are counted": touched(
        7, valid=False, count={"total": 10, "completed": 10, "error": 1}
    ),
    "another begins": {**RUNNING, "_id": "another", "ts": "2026-03-25T12:08:00.000Z"},
    "all are gone": None,
    "they are back": {**RUNNING, "_id": "another", "ts": "2026-03-25T12:08:00.000Z"},
}


@pytest.mark.parametrize("path", PATHS)
def test_an_etag_is_another_whenever_the_body_is(ask: Any, synced: None, path: str) -> None:
    seen: dict[str, bytes] = {}
    before = ask(path)
    for minutes, (event, document) in enumerate(EVENTS.items(), 1):
        at = NOON + timedelta(minutes=minutes)
        sync_nothing(at=at) if document is None else sync(document, at=at)
        after = ask(path)
        if after.status_code == 400:
            # getImportProgress has no words for nothing.
            assert "ETag" not in after, event
            assert "Last-Modified" not in after, event
            continue
        assert after.content == before.content or after["ETag"] != before["ETag"], event
        assert modified(after) == at, event
        assert modified(after) > modified(before), event
        seen.setdefault(after["ETag"], after.content)
        assert seen[after["ETag"]] == after.content, event
        # A client that has what was told before is told what is new, by either condition.
        if after.content != before.content:
            assert ask(path, If_None_Match=before["ETag"]).content == after.content, event
            since = before["Last-Modified"]
            assert ask(path, If_Modified_Since=since).content == after.content, event
        before = after


def test_a_write_after_the_end_is_a_change(ask: Any, headers: dict[str, str]) -> None:
    """`valid` and `_updatedAt` of what is over move nothing else."""
    sync(DONE, at=NOON)
    before = ask()
    last_seen_at = ImportOperation.objects.get().last_seen_at
    for minutes, document in [(1, touched(1)), (2, touched(2, valid=False))]:
        sync(document, at=NOON + timedelta(minutes=minutes))
        after = ask(If_None_Match=before["ETag"], If_Modified_Since=before["Last-Modified"])
        assert after.json()["operation"] == document
        assert modified(after) == NOON + timedelta(minutes=minutes)
        before = after
    assert ImportOperation.objects.get().last_seen_at == last_seen_at


@pytest.mark.parametrize("path", PATHS)
def test_nothing_new_is_nothing_new(
    client: Client, ask: Any, headers: dict[str, str], synced: None, path: str
) -> None:
    before = ask(path)
    other = make_user("other", "run-import", "view-import-operations")
    for minutes in (1, 2, 30):
        # The order of keys is nothing that a workspace promises.
        reordered = dict(reversed(list(RUNNING.items())))
        sync(reordered, at=NOON + timedelta(minutes=minutes))
        sync_refused(at=NOON + timedelta(minutes=minutes, seconds=30))
        for after in (ask(path), client.get(path, headers=credentials(other))):
            assert after.content == before.content
            assert after["ETag"] == before["ETag"]


@pytest.mark.parametrize("path", PATHS)
def test_a_304_is_the_answer_less_its_body(ask: Any, synced: None, path: str) -> None:
    full = ask(path)
    conditions = [{"If_None_Match": full["ETag"]}, {"If_Modified_Since": full["Last-Modified"]}]
    for condition in (*conditions, {**conditions[0], **conditions[1]}):
        response = ask(path, **condition)
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


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("remembered", [0.0, 1.0])
def test_a_304_reads_and_writes_no_json(
    ask: Any,
    synced: None,
    path: str,
    remembered: float,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    lasting = timedelta(seconds=remembered)
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": lasting}
    etag = ask(path)["ETag"]

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("JSON was read or written")

    monkeypatch.setattr("json.loads", refuse)
    monkeypatch.setattr("json.dumps", refuse)
    assert ask(path, If_None_Match=etag).status_code == 304
    if not remembered:
        with pytest.raises(AssertionError, match="JSON was read or written"):
            ask(path)


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
        # An ETag tells more than a date, which is not looked at beside it.
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
@pytest.mark.thorough(one_in=5)
@pytest.mark.parametrize("path", PATHS)
def test_conditions(
    ask: Any, synced: None, path: str, condition: dict[str, str], status: int
) -> None:
    full = ask(path)
    date = modified(full)
    known = {
        "etag": full["ETag"],
        "bare": full["ETag"].strip('"'),
        "date": full["Last-Modified"],
        "rfc850": f"{date:%A, %d-%b-%y %H:%M:%S} GMT",
        "asctime": f"{date:%a %b %d %H:%M:%S %Y}",
        "later": format_datetime(date + SECOND, usegmt=True),
        "earlier": format_datetime(date - SECOND, usegmt=True),
    }
    asked = {name: value.format(**known) for name, value in condition.items()}
    response = ask(path, **asked)
    assert response.status_code == status
    assert response.content == (full.content if status == 200 else b"")
    assert response["ETag"] == full["ETag"]
    assert response["Last-Modified"] == full["Last-Modified"]
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("condition", ["If_None_Match", "If_Match"])
def test_conditions_come_after_all_that_can_be_refused(
    client: Client, ask: Any, settings: Any, condition: str
) -> None:
    asked = {condition: "*"}
    assert ask(**asked).status_code == 503
    sync_nothing()
    assert ask(API + "getImportProgress", **asked).status_code == 400
    assert ask(PATH + "?a=1", **asked).status_code == 400
    assert ask(PATH + "/", **asked).status_code == 404
    assert ask("/workspaces/nowhere" + PATH, **asked).status_code == 404
    assert ask(X_Auth_Token="wrong", **asked).status_code == 401
    stranger = credentials(make_user("stranger"))
    header = {condition.replace("_", "-"): "*"}
    assert client.get(PATH, headers=stranger | header).status_code == 403
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "0/min"}}
    assert ask(**asked).status_code == 429


def test_dates_never_go_back(ask: Any, synced: None) -> None:
    """A snapshot that comes late is no change, and a failure is none either."""
    dates = [modified(ask(path)) for path in PATHS]
    for minutes in range(1, 5):
        at = NOON + timedelta(minutes=minutes)
        sync_refused(at=at) if minutes % 2 else sync(RUNNING, at=at)
        after = [modified(ask(path)) for path in PATHS]
        assert all(late >= early for early, late in zip(dates, after, strict=True))
        dates = after
    sync({**RUNNING, "count": {"total": 10, "completed": 6}}, at=NOON + timedelta(minutes=10))
    late = {**RUNNING, "_updatedAt": "2026-03-25T11:00:00.000Z", "count": {"completed": 1}}
    newest = [modified(ask(path)) for path in PATHS]
    sync(late, at=NOON + timedelta(minutes=11))
    assert [modified(ask(path)) for path in PATHS] == newest


def two_that_are_over() -> None:
    """Sync two imports, of which the older was written to after the newer one."""
    first = {**DONE, "_id": "first", "ts": "2026-03-25T10:00:00.000Z"}
    sync(first, at=NOON)
    sync({**DONE, "_id": "second"}, at=NOON + timedelta(minutes=1))
    # As a look that is told of the first again would: it is touched, and not the newest.
    at = NOON + timedelta(minutes=2)
    ImportOperation.objects.filter(remote_id="first").update(modified_at=at)


def test_dates_do_not_go_back_when_history_is_pruned(ask: Any, headers: dict[str, str]) -> None:
    two_that_are_over()
    before = ask(LATEST)
    assert len(before.json()) == 2
    assert prune_operations(NOON + HOUR).operations == 1
    after = ask(LATEST)
    assert len(after.json()) == 1
    assert after["ETag"] != before["ETag"]
    assert modified(after) >= modified(before)


def test_a_list_that_has_lost_something_is_modified(ask: Any, headers: dict[str, str]) -> None:
    two_that_are_over()
    before = ask(LATEST)
    prune_operations(NOON + HOUR)
    after = ask(LATEST, If_Modified_Since=before["Last-Modified"])
    assert after.status_code == 200
    assert len(after.json()) == 1


def test_dates_do_not_lie_in_the_future(ask: Any, headers: dict[str, str]) -> None:
    """The sync may run on another machine, or a clock be put right (RFC 9110, 8.8.2.1)."""
    sync(RUNNING, at=NOON + 2 * SECOND)
    assert modified(ask(at=NOON)) <= NOON.astimezone(UTC)


def test_two_changes_in_one_second(ask: Any, synced: None) -> None:
    """RFC 9110, 8.8.2.2: a date is worth nothing before its second is over."""
    before = ask(at=NOON + SECOND / 4)
    sync({**RUNNING, "count": {"total": 10, "completed": 6}}, at=NOON + SECOND / 2)
    asked = {"If_Modified_Since": before["Last-Modified"]} if "Last-Modified" in before else {}
    after = ask(at=NOON + HOUR, **asked)
    assert after.status_code == 200
    assert after.json()["operation"]["count"]["completed"] == 6
