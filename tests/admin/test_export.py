"""The export of the history: its rows are those of the list, and its memory is constant."""

import csv
import gc
import io
import json
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.db import OperationalError, connection
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from importmonitor.admin import export
from importmonitor.models import EndReason, ImportOperation, Outcome
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, make_row, save_rows
from tests.api.helpers import NOON, workspace_at

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

EXPORT = f"{HISTORY}export/"


def streamed(response: "Response") -> StreamingHttpResponse:
    assert response.status_code == 200
    assert response.streaming
    return cast("StreamingHttpResponse", response)


def chunks_of(response: "Response") -> Iterator[bytes]:
    return cast("Iterator[bytes]", streamed(response).streaming_content)


def body(response: "Response") -> str:
    """Return the whole streamed body."""
    return streamed(response).getvalue().decode()


def exported(client: Client, file_format: str = "json", **parameters: object) -> list[Any]:
    """Return the rows of an export."""
    text = body(client.get(f"{EXPORT}{file_format}/?{urlencode(parameters)}"))
    if file_format == "json":
        return list(json.loads(text))
    return list(csv.DictReader(io.StringIO(text.removeprefix("\N{BYTE ORDER MARK}"), newline="")))


def keys(rows: list[Any]) -> list[int]:
    return [int(row["id"]) for row in rows]


@pytest.mark.parametrize(
    ("file_format", "content_type"), [("csv", "text/csv"), ("json", "application/json")]
)
def test_file_has_a_name_a_type_and_private_caching(
    root: Client, settings: Any, file_format: str, content_type: str
) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    with time_machine.travel(NOON, tick=False):
        response = root.get(f"{EXPORT}{file_format}/")
    name = f"import-operations-2026-03-26.{file_format}"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"].split(";")[0] == content_type
    assert "private" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"


# The rows of the list.


def listed(client: Client, **parameters: object) -> list[int]:
    """Return the keys of the change list's rows on all its pages, in its order."""
    response = client.get(f"{HISTORY}?{urlencode(parameters)}")
    assert response.status_code == 200
    return list(response.context["cl"].queryset.values_list("pk", flat=True))


QUERIES: list[dict[str, str]] = [
    {},
    *({"outcome": outcome} for outcome in ("open", *Outcome.values)),
    *({"state": state} for state in ("new", "ready", "importing", "done", "error")),
    *({"importer": importer} for importer in ("csv", "slack", "an-apps-own")),
    {"errors": "yes"},
    {"started_by": "u2"},
    {"workspace": "acme"},
    {"started_at__gte": "2026-03-25 11:50:00+00:00", "started_at__lt": "2026-03-25 11:55:00+00:00"},
    {"q": "people"},
    {"q": "remote00000000007"},
    {"q": "nothing like it"},
    {"q": "csv people", "outcome": "done", "workspace": "default"},
    {"outcome": "nonsense"},
    {"state": "done", "o": "started"},
    {"o": "started"},
    {"o": "-started"},
]


def order_by(name: str) -> str:
    """Return the list's parameter for the order by a column: its position."""
    columns = list(admin.site.get_model_admin(ImportOperation).list_display)
    return name.replace("started", str(columns.index("started")))


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("parameters", QUERIES, ids=urlencode)
def test_export_has_the_rows_of_the_list(
    root: Client,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, str],
) -> None:
    workspaces = {alias: workspace_at("http://127.0.0.1:9") for alias in ("default", "acme")}
    settings.IMPORTMONITOR = {"WORKSPACES": workspaces}
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", 7)
    states, importers = (
        ("importing", "done", "error", "ready", "new"),
        ("csv", "slack", "an-apps-own"),
    )
    ends = ["", *EndReason.values]
    ImportOperation.objects.bulk_create(
        make_row(
            number,
            state=states[number % 5],
            importer_key=importers[number % 3],
            remote_user_id=("u1", "u2")[number // 2 % 2],
            workspace=("default", "acme")[number % 7 == 0],
            file=("people.csv", "rooms.zip")[number // 3 % 2],
            end_reason=ends[number % 6],
            count_error=number // 6 % 3,
            count_completed=9 + number // 18 % 2,
            count_total=10,
        )
        for number in range(60)
    )
    if "o" in parameters:
        parameters = parameters | {"o": order_by(parameters["o"])}
    rows = keys(exported(root, **parameters))
    assert rows == keys(exported(root, "csv", **parameters)) == listed(root, **parameters)
    assert bool(rows) == (parameters not in ({"q": "nothing like it"}, {"outcome": "nonsense"}))


def test_export_ignores_the_page_number(root: Client) -> None:
    save_rows(120)
    assert len(exported(root, p=2)) == 120


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 8, 1_000])
def test_operations_that_started_together_are_exported_once(
    root: Client, monkeypatch: pytest.MonkeyPatch, direction: str, chunk_size: int
) -> None:
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", chunk_size)
    days = [0, 0, 1, 0, 1, 1, 0, 0]
    for number, day in enumerate(days):
        make_row(number, started_at=NOON - timedelta(days=day)).save()
    order = (f"{direction}started_at", f"{direction}pk")
    expected = list(ImportOperation.objects.order_by(*order).values_list("pk", flat=True))
    assert keys(exported(root, o=order_by(f"{direction}started"))) == expected


def test_concurrent_writes_displace_no_other_row(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", 2)
    monkeypatch.setattr(export, "_LINES_CHUNK_SIZE", 1)
    rows = save_rows(6)
    chunks = chunks_of(root.get(f"{EXPORT}json/"))
    text = next(chunks) + next(chunks)
    make_row(99, started_at=NOON + timedelta(days=1)).save()
    ImportOperation.objects.filter(pk__in=[rows[0].pk, rows[1].pk, rows[4].pk]).delete()
    text += b"".join(chunks)
    assert keys(json.loads(text)) == [rows[number].pk for number in (0, 1, 2, 3, 5)]


# Permissions and methods.


@pytest.mark.parametrize(
    "permission", ["view_importoperation", "change_importoperation", "run-import"]
)
@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_users_who_can_see_the_list_can_export_it(
    log_in: LogIn, permission: str, file_format: str
) -> None:
    make_row().save()
    assert len(exported(log_in(permission), file_format)) == 1


@pytest.mark.parametrize("file_format", ["csv", "json", "xlsx"])
def test_other_users_cannot_export(log_in: LogIn, file_format: str) -> None:
    make_row().save()
    url = f"{EXPORT}{file_format}/"
    assert log_in("view-import-operations").get(url).status_code == 403
    assert Client().get(url).status_code == 302


def test_users_who_are_not_staff_are_redirected_to_the_login(log_in: LogIn) -> None:
    client = log_in("run-import", "view_importoperation", is_staff=False)
    assert client.get(f"{EXPORT}csv/").status_code == 302


def test_unknown_formats_are_not_found(root: Client) -> None:
    for file_format in ("xlsx", "CSV", "csv.exe", "\0"):
        assert root.get(f"{EXPORT}{file_format}/").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_are_not_allowed(root: Client, method: str) -> None:
    response = getattr(root, method)(f"{EXPORT}csv/")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


def test_head_sends_headers_alone(root: Client) -> None:
    save_rows(3)
    response = root.head(f"{EXPORT}csv/")
    assert (response.status_code, body(response)) == (200, "")
    assert response["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "query", ["started_at__gte=x", "nonsense=1", "type__nonsense=1", "id__in=x"]
)
def test_invalid_filters_are_a_bad_request(root: Client, query: str) -> None:
    save_rows(3)
    response = root.get(f"{EXPORT}csv/?{query}")
    assert response.status_code == 400
    assert "Content-Disposition" not in response


# Queries and memory.


def sql_of(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert body(client.get(url))
    return [query["sql"] for query in captured]


def test_export_takes_one_query_per_chunk(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", 13)
    save_rows(12)
    few = {
        file_format: len(sql_of(root, f"{EXPORT}{file_format}/")) for file_format in export.FORMATS
    }
    ImportOperation.objects.all().delete()
    save_rows(13 * 5)
    for file_format, count in few.items():
        # The session, the user, the filters and the count of the list, and the rows.
        assert count <= 8
        queries = sql_of(root, f"{EXPORT}{file_format}/")
        # The last one returns no row.
        assert len(queries) == count + 5
        chunks = [sql for sql in queries if re.search(r"LIMIT 13$", sql)]
        assert len(chunks) == 6
        assert not [sql for sql in queries if "payload" in sql]


def test_rows_are_read_as_they_are_sent(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", 10)
    monkeypatch.setattr(export, "_LINES_CHUNK_SIZE", 5)
    save_rows(60)
    with CaptureQueriesContext(connection) as captured:
        chunks = chunks_of(root.get(f"{EXPORT}csv/"))
        query_count = len(captured)
        assert next(chunks).count(b"\r\n") == 5
        assert len(captured) == query_count
        assert next(chunks).count(b"\r\n") == 5
        assert next(chunks).count(b"\r\n") == 5
        assert len(captured) == query_count + 1


def measure(file_format: str) -> tuple[int, int]:
    """Return the length of an export of everything, and its peak of memory in bytes."""
    rows = export.iterate(ImportOperation.objects.all(), oldest_first=False)
    write, _content_type = export.FORMATS[file_format]
    length = 0
    gc.collect()
    tracemalloc.start()
    try:
        for chunk in export.join_lines(write(rows, NOON)):
            length += len(chunk)
        return length, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def save_large_rows(numbers: range) -> None:
    for start in range(0, len(numbers), 5_000):
        ImportOperation.objects.bulk_create(
            make_row(number, file="x" * 200, payload={"fill": "y" * 200})
            for number in numbers[start : start + 5_000]
        )


@pytest.mark.long
@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_memory_does_not_grow_with_the_export(
    db: None, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    """Eight times as many rows take less than twice the memory."""
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", 20)
    monkeypatch.setattr(export, "_LINES_CHUNK_SIZE", 5)
    save_large_rows(range(60))
    # The first export fills caches. Of several, the lowest peak is what an export needs: other
    # threads and the garbage collector can only add to it.
    measure(file_format)
    length, peak = min(measure(file_format) for _ in range(2))
    save_large_rows(range(60, 480))
    larger_length, larger_peak = min(measure(file_format) for _ in range(2))
    assert larger_length > 7 * length
    assert larger_peak < 2 * peak


@pytest.mark.long
def test_forty_thousand_rows_take_less_than_32_mb(db: None) -> None:
    save_large_rows(range(40_000))
    length, peak = measure("csv")
    assert length > 20_000_000
    assert peak < 32_000_000


# Errors while streaming.


def lose_the_database(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the database fail after this many rows."""
    remaining = iter(range(after))
    real: Callable[..., Any] = export.iterate

    def iterate(*args: Any, **kwargs: Any) -> Iterator[ImportOperation]:
        for row in real(*args, **kwargs):
            if next(remaining, None) is None:
                raise OperationalError("server closed the connection unexpectedly")
            yield row

    monkeypatch.setattr(export, "iterate", iterate)


def test_export_that_fails_midway_says_that_it_is_incomplete(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rows(10)
    lose_the_database(monkeypatch, after=5)
    chunks = chunks_of(root.get(f"{EXPORT}csv/"))
    sent: list[bytes] = []
    # The error reaches the server, which then closes the connection.
    with pytest.raises(OperationalError):
        sent.extend(chunks)
    assert b"".join(sent).decode().splitlines()[-1].startswith('"INCOMPLETE')


def test_export_that_fails_at_once_is_an_error_page(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rows(10)
    lose_the_database(monkeypatch, after=0)
    root.raise_request_exception = False
    response = root.get(f"{EXPORT}csv/")
    assert (response.status_code, response.streaming) == (500, False)


# Under ASGI.


def chunks_under_asgi(root: Client, file_format: str) -> list[bytes]:
    """Return the chunks of an export that an ASGI server gets."""
    client = AsyncClient()
    client.cookies = root.cookies

    async def get() -> list[bytes]:
        response = cast("StreamingHttpResponse", await client.get(f"{EXPORT}{file_format}/"))
        assert response.is_async
        chunks = cast("AsyncIterator[bytes]", response.streaming_content)
        return [chunk async for chunk in chunks]

    return async_to_sync(get)()


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_export_streams_under_asgi(
    root: Client, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr(export, "_ROWS_CHUNK_SIZE", 7)
    monkeypatch.setattr(export, "_LINES_CHUNK_SIZE", 10)
    save_rows(30)
    with time_machine.travel(NOON, tick=False):
        chunks = chunks_under_asgi(root, file_format)
        assert b"".join(chunks).decode() == body(root.get(f"{EXPORT}{file_format}/"))
    assert len(chunks) == 4


def test_export_that_fails_midway_under_asgi_raises(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rows(10)
    lose_the_database(monkeypatch, after=5)
    with pytest.raises(OperationalError):
        chunks_under_asgi(root, "json")
