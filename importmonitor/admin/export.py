"""The export of the history as a file of any size."""

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from itertools import chain, islice
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
)
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from importmonitor import exports
from importmonitor.admin.export_limit import TIMEOUT, ExportLock, ExportResponse
from importmonitor.admin.mixins import is_storable
from importmonitor.models import ImportOperation

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: The writer and the content type of each file name extension.
FORMATS = {
    "csv": (exports.csv_lines, "text/csv; charset=utf-8"),
    "json": (exports.json_parts, "application/json"),
}

# Rows per query, and lines per chunk of the response.
_ROWS_CHUNK_SIZE = 2_000
_LINES_CHUNK_SIZE = 200


def get_queryset(
    request: HttpRequest, model_admin: "ModelAdmin[ImportOperation]"
) -> QuerySet[ImportOperation]:
    """Return what the list of this URL has; raises IncorrectLookupParameters."""
    if not is_storable(request.GET):
        raise IncorrectLookupParameters
    queryset: QuerySet[ImportOperation] = model_admin.get_changelist_instance(request).queryset
    return queryset


def export(
    request: HttpRequest, model_admin: "ModelAdmin[ImportOperation]", file_format: str
) -> HttpResponseBase:
    """Return a file of all operations that the change list of this URL has on its pages.

    `file_format` is one of FORMATS. Rows come newest first, or oldest first if the list does. The
    file is streamed with constant memory and is no snapshot: it may or may not contain what a sync
    writes meanwhile. No other row is missing or repeated.

    Raises PermissionDenied for users who may not see the list, and Http404 for another format;
    responds with 400 to invalid filters, with 405 to methods other than GET and HEAD, and with 429
    while another export of the user runs.
    """
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    if file_format not in FORMATS:
        raise Http404
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    try:
        queryset = get_queryset(request, model_admin)
    except IncorrectLookupParameters:
        message = _("Invalid filters. Choose them in the list.")
        return HttpResponseBadRequest(message, content_type="text/plain; charset=utf-8")
    rows = iterate(queryset, oldest_first=queryset.query.order_by[:1] == ("started_at",))
    lock = ExportLock(request.user)
    if request.method == "GET" and not lock.acquire():
        return HttpResponse(
            _("You are exporting already. Wait until that export ends, or cancel its download."),
            status=HTTPStatus.TOO_MANY_REQUESTS,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": str(TIMEOUT)},
        )
    try:
        # Read the first row before anything is sent: a database error is still an error page.
        rows = chain(list(islice(rows, 1)), rows)
    except BaseException:
        lock.release()
        raise
    now = timezone.now()
    write, content_type = FORMATS[file_format]
    chunks = (
        iter(()) if request.method == "HEAD" else lock.renew_during(join_lines(write(rows, now)))
    )
    name = f"import-operations-{timezone.localdate(now)}.{file_format}"
    return ExportResponse(
        lock,
        # Under ASGI, Django would consume a plain iterator before it sent anything.
        in_thread(chunks) if isinstance(request, ASGIRequest) else chunks,
        content_type=content_type,
        headers={"Content-Disposition": content_disposition_header(True, name) or ""},
    )


def iterate(
    operations: QuerySet[ImportOperation], *, oldest_first: bool
) -> Iterator[ImportOperation]:
    """Iterate over rows by start and key, with keyset pagination.

    `QuerySet.iterator()` would not do: MySQL's client keeps all rows of a result, and so does
    PostgreSQL's where server-side cursors cannot be used (behind a pool of transactions); an open
    cursor would also hold back the server's vacuum for as long as a download takes. The
    conditions begin with a range, which the index of every filter can start from.
    """
    direction, further, up_to = ("", "gte", "lte") if oldest_first else ("-", "lte", "gte")
    # The file has the fields that the list defers, except the documents.
    operations = operations.defer(None).defer("payload")
    operations = operations.order_by(f"{direction}started_at", f"{direction}pk")
    remaining = operations
    while True:
        rows = list(remaining[:_ROWS_CHUNK_SIZE])
        yield from rows
        if len(rows) < _ROWS_CHUNK_SIZE:
            return
        last = rows[-1]
        remaining = operations.filter(**{f"started_at__{further}": last.started_at}).exclude(
            **{"started_at": last.started_at, f"pk__{up_to}": last.pk}
        )


def join_lines(lines: Iterator[str]) -> Iterator[str]:
    """Join lines into chunks worth sending; before an error, send the lines that precede it."""
    chunk: list[str] = []
    try:
        for line in lines:
            chunk.append(line)
            if len(chunk) == _LINES_CHUNK_SIZE:
                yield "".join(chunk)
                chunk = []
    except Exception:
        if chunk:
            yield "".join(chunk)
        raise
    if chunk:
        yield "".join(chunk)


async def in_thread(chunks: Iterator[str]) -> AsyncIterator[str]:
    """Yield the chunks, each made in the thread that has the request's database connection."""

    def next_chunk() -> str | None:
        return next(chunks, None)

    while (chunk := await sync_to_async(next_chunk)()) is not None:
        yield chunk
