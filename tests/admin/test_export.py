"""The export of the history: the same operations as the list's, and what sending them costs."""

import csv
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


def pieces_of(response: "Response") -> Iterator[bytes]:
    return cast("Iterator[bytes]", streamed(response).streaming_content)


def body(response: "Response") -> str:
    """Return what was streamed, as it was sent."""
    return streamed(response).getvalue().decode()


def exported(client: Client, kind: str = "json", **parameters: object) -> list[Any]:
    """Return the rows of an export."""
    text = body(client.get(f"{EXPORT}{kind}/?{urlencode(parameters)}"))
    if kind == "json":
        return list(json.loads(text))
    return list(csv.DictReader(io.StringIO(text.removeprefix("\N{BYTE ORDER MARK}"), newline="")))


def keys(rows: list[Any]) -> list[int]:
    return [int(row["id"]) for row in rows]


@pytest.mark.parametrize(("kind", "type_"), [("csv", "text/csv"), ("json", "application/json")])
def test_the_file(root: Client, settings: Any, kind: str, type_: str) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    with time_machine.travel(NOON, tick=False):
        response = root.get(f"{EXPORT}{kind}/")
    name = f"import-operations-2026-03-26.{kind}"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"].split(";")[0] == type_
    assert "private" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"


# The same as the list's.


def listed(client: Client, **parameters: object) -> list[int]:
    """Return the keys of what the change list has on all its pages, in its order."""
    response = client.get(f"{HISTORY}?{urlencode(parameters)}")
    assert response.status_code == 200
    return list(response.context["cl"].queryset.values_list("pk", flat=True))


QUERIES: list[dict[str, str]] = [
    {},
    *({"outcome": each} for each in ("open", *Outcome.values)),
    *({"state": each} for each in ("new", "ready", "importing", "done", "error")),
    *({"importer": each} for each in ("csv", "slack", "an-apps-own")),
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


def in_order(name: str) -> str:
    """Return what asks the list for an order by a column: its place."""
    columns = list(admin.site.get_model_admin(ImportOperation).list_display)
    return name.replace("started", str(columns.index("started")))


@pytest.mark.parametrize("parameters", QUERIES, ids=urlencode)
def test_the_same_as_the_list(
    root: Client,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    parameters: dict[str, str],
) -> None:
    workspaces = {alias: workspace_at("http://127.0.0.1:9") for alias in ("default", "acme")}
    settings.IMPORTMONITOR = {"WORKSPACES": workspaces}
    monkeypatch.setattr(export, "_ROWS", 7)
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
        parameters = parameters | {"o": in_order(parameters["o"])}
    found = keys(exported(root, **parameters))
    assert found == keys(exported(root, "csv", **parameters)) == listed(root, **parameters)
    assert bool(found) == (parameters not in ({"q": "nothing like it"}, {"outcome": "nonsense"}))


def test_a_page_is_no_filter(root: Client) -> None:
    save_rows(120)
    assert len(exported(root, p=2)) == 120


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 8, 1_000])
def test_operations_that_started_together(
    root: Client, monkeypatch: pytest.MonkeyPatch, direction: str, at_once: int
) -> None:
    monkeypatch.setattr(export, "_ROWS", at_once)
    days = [0, 0, 1, 0, 1, 1, 0, 0]
    for number, day in enumerate(days):
        make_row(number, started_at=NOON - timedelta(days=day)).save()
    order = (f"{direction}started_at", f"{direction}pk")
    expected = list(ImportOperation.objects.order_by(*order).values_list("pk", flat=True))
    assert keys(exported(root, o=in_order(f"{direction}started"))) == expected


def test_what_is_written_meanwhile(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes and goes while the file is being sent displaces nothing else."""
    monkeypatch.setattr(export, "_ROWS", 2)
    monkeypatch.setattr(export, "_LINES", 1)
    rows = save_rows(6)
    pieces = pieces_of(root.get(f"{EXPORT}json/"))
    text = next(pieces) + next(pieces)
    make_row(99, started_at=NOON + timedelta(days=1)).save()
    ImportOperation.objects.filter(pk__in=[rows[0].pk, rows[1].pk, rows[4].pk]).delete()
    text += b"".join(pieces)
    assert keys(json.loads(text)) == [rows[number].pk for number in (0, 1, 2, 3, 5)]


# Who may have it, and how it is asked for.


@pytest.mark.parametrize(
    "permission", ["view_importoperation", "change_importoperation", "run-import"]
)
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_who_may_see_the_list_may_have_it(log_in: LogIn, permission: str, kind: str) -> None:
    make_row().save()
    assert len(exported(log_in(permission), kind)) == 1


@pytest.mark.parametrize("kind", ["csv", "json", "xlsx"])
def test_nobody_else(log_in: LogIn, kind: str) -> None:
    make_row().save()
    url = f"{EXPORT}{kind}/"
    assert log_in("view-import-operations").get(url).status_code == 403
    assert Client().get(url).status_code == 302


def test_who_is_not_staff_is_sent_to_the_login(log_in: LogIn) -> None:
    client = log_in("run-import", "view_importoperation", is_staff=False)
    assert client.get(f"{EXPORT}csv/").status_code == 302


def test_other_kinds(root: Client) -> None:
    for kind in ("xlsx", "CSV", "csv.exe", "\0"):
        assert root.get(f"{EXPORT}{kind}/").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods(root: Client, method: str) -> None:
    response = getattr(root, method)(f"{EXPORT}csv/")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


def test_head_reads_no_rows(root: Client) -> None:
    save_rows(3)
    response = root.head(f"{EXPORT}csv/")
    assert (response.status_code, body(response)) == (200, "")
    assert response["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "query", ["started_at__gte=x", "nonsense=1", "type__nonsense=1", "id__in=x"]
)
def test_filters_that_cannot_be_read(root: Client, query: str) -> None:
    """No file, rather than one with everything in it."""
    save_rows(3)
    response = root.get(f"{EXPORT}csv/?{query}")
    assert response.status_code == 400
    assert "Content-Disposition" not in response


# What it costs.


def sql_of(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert body(client.get(url))
    return [each["sql"] for each in captured]


def test_queries_grow_by_chunks_only(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_ROWS", 13)
    save_rows(12)
    few = {kind: len(sql_of(root, f"{EXPORT}{kind}/")) for kind in export.KINDS}
    ImportOperation.objects.all().delete()
    save_rows(13 * 5)
    for kind, count in few.items():
        # The session, the user, what the list's filters and its count need; and the rows, once.
        assert count <= 8
        queries = sql_of(root, f"{EXPORT}{kind}/")
        # A last look that finds nothing more.
        assert len(queries) == count + 5
        reading = [sql for sql in queries if re.search(r"LIMIT 13$", sql)]
        assert len(reading) == 6
        assert not [sql for sql in queries if "payload" in sql]


def test_nothing_is_read_before_it_is_sent(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_ROWS", 10)
    monkeypatch.setattr(export, "_LINES", 5)
    save_rows(60)
    with CaptureQueriesContext(connection) as captured:
        pieces = pieces_of(root.get(f"{EXPORT}csv/"))
        so_far = len(captured)
        assert next(pieces).count(b"\r\n") == 5
        assert len(captured) == so_far
        assert next(pieces).count(b"\r\n") == 5
        assert next(pieces).count(b"\r\n") == 5
        assert len(captured) == so_far + 1


def peak(kind: str) -> tuple[int, int]:
    """Return the bytes of an export of everything, and the most memory that it took at a time."""
    rows = export.in_turn(ImportOperation.objects.all(), oldest_first=False)
    write, _type = export.KINDS[kind]
    sent = 0
    tracemalloc.start()
    try:
        for piece in export.in_pieces(write(rows, NOON)):
            sent += len(piece)
        return sent, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def save_many(count: int) -> None:
    for start in range(0, count, 5_000):
        ImportOperation.objects.bulk_create(
            make_row(number, file="x" * 200, payload={"fill": "y" * 200})
            for number in range(start, min(start + 5_000, count))
        )


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_memory_does_not_grow(db: None, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(export, "_ROWS", 50)
    monkeypatch.setattr(export, "_LINES", 10)
    save_many(200)
    peak(kind)
    little, small = peak(kind)
    ImportOperation.objects.all().delete()
    save_many(2_000)
    much, large = peak(kind)
    assert much > 9 * little
    assert large < 1.25 * small


@pytest.mark.long
def test_forty_thousand_rows(db: None) -> None:
    save_many(40_000)
    sent, most = peak("csv")
    assert sent > 20_000_000
    assert most < 32_000_000


# When it breaks off.


def lose_the_database(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the database answer so many times for rows, and no more."""
    answers = iter(range(after))
    real: Callable[..., Any] = export.in_turn

    def in_turn(*args: Any, **kwargs: Any) -> Iterator[ImportOperation]:
        for row in real(*args, **kwargs):
            if next(answers, None) is None:
                raise OperationalError("server closed the connection unexpectedly")
            yield row

    monkeypatch.setattr(export, "in_turn", in_turn)


def test_the_database_is_lost_half_way(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    save_rows(10)
    lose_the_database(monkeypatch, after=5)
    pieces = pieces_of(root.get(f"{EXPORT}csv/"))
    sent: list[bytes] = []
    # The server that runs the application hears of it, and breaks the connection off.
    with pytest.raises(OperationalError):
        sent.extend(pieces)
    assert b"".join(sent).decode().splitlines()[-1].startswith('"INCOMPLETE')


def test_the_database_is_lost_at_once(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, so it can still be an error page."""
    save_rows(10)
    lose_the_database(monkeypatch, after=0)
    root.raise_request_exception = False
    response = root.get(f"{EXPORT}csv/")
    assert (response.status_code, response.streaming) == (500, False)


# Under ASGI.


def ask_asgi(root: Client, kind: str) -> list[bytes]:
    """Return the pieces of an export as an ASGI server would have them."""
    client = AsyncClient()
    client.cookies = root.cookies

    async def ask() -> list[bytes]:
        response = cast("StreamingHttpResponse", await client.get(f"{EXPORT}{kind}/"))
        assert response.is_async
        pieces = cast("AsyncIterator[bytes]", response.streaming_content)
        return [piece async for piece in pieces]

    return async_to_sync(ask)()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_asgi(root: Client, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(export, "_ROWS", 7)
    monkeypatch.setattr(export, "_LINES", 10)
    save_rows(30)
    with time_machine.travel(NOON, tick=False):
        pieces = ask_asgi(root, kind)
        assert b"".join(pieces).decode() == body(root.get(f"{EXPORT}{kind}/"))
    # A piece at a time, and not all of them put together.
    assert len(pieces) == 4


def test_asgi_breaks_off_too(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    save_rows(10)
    lose_the_database(monkeypatch, after=5)
    with pytest.raises(OperationalError):
        ask_asgi(root, "json")
