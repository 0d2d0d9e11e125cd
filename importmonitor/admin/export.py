"""The list of operations as a file, as large as it may be."""

from collections.abc import AsyncIterator, Iterator
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
    HttpResponseBadRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    StreamingHttpResponse,
)
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from importmonitor import exports
from importmonitor.models import ImportOperation

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: By the end of a file's name: what writes it, and its content type.
KINDS = {
    "csv": (exports.csv_lines, "text/csv; charset=utf-8"),
    "json": (exports.json_parts, "application/json"),
}

# Rows that are asked for at once, and lines that are sent at once.
_ROWS = 2_000
_LINES = 200


def export(
    request: HttpRequest, model_admin: "ModelAdmin[ImportOperation]", kind: str
) -> HttpResponseBase:
    """Answer with a file of all operations that the change list of this address has on its pages.

    `kind` is one of KINDS. Rows come newest first, or oldest first if the list does. The file is
    written while it is sent, in memory that does not grow with it, and no snapshot: what a sync
    writes meanwhile is in it or not. Nothing else is missing or there twice.

    Raises PermissionDenied for who may not see the list, and Http404 for another kind; answers 400
    to filters that cannot be read, and 405 to other methods than GET and HEAD.
    """
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    if kind not in KINDS:
        raise Http404
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    try:
        shown = model_admin.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        told = _("These filters cannot be read. Choose them in the list.")
        return HttpResponseBadRequest(told, content_type="text/plain; charset=utf-8")
    rows = in_turn(shown, oldest_first=shown.query.order_by[:1] == ("started_at",))
    # Asked for before anything is sent: what is wrong by now is still an error page.
    rows = chain(list(islice(rows, 1)), rows)
    now = timezone.now()
    write, content_type = KINDS[kind]
    pieces = iter(()) if request.method == "HEAD" else in_pieces(write(rows, now))
    name = f"import-operations-{timezone.localdate(now)}.{kind}"
    return StreamingHttpResponse(
        # Django would read a plain iterator to its end first, where it runs under ASGI.
        in_threads(pieces) if isinstance(request, ASGIRequest) else pieces,
        content_type=content_type,
        headers={"Content-Disposition": content_disposition_header(True, name) or ""},
    )


def in_turn(
    operations: QuerySet[ImportOperation], *, oldest_first: bool
) -> Iterator[ImportOperation]:
    """Return rows by their start and key, asking for some at a time, each time past the last.

    `QuerySet.iterator()` would not do: MySQL's client keeps all rows of an answer, PostgreSQL's
    does wherever cursors of the server's cannot be used (behind a pool of transactions), and an
    open cursor would hold back the server's clean-up for as long as somebody's download takes.
    The conditions begin with a range, which an index of every filter answers from its middle.
    """
    direction, further, seen = ("", "gte", "lte") if oldest_first else ("-", "lte", "gte")
    # Of what the list leaves out, the file has all but the documents.
    operations = operations.defer(None).defer("payload")
    operations = operations.order_by(f"{direction}started_at", f"{direction}pk")
    rest = operations
    while True:
        rows = list(rest[:_ROWS])
        yield from rows
        if len(rows) < _ROWS:
            return
        last = rows[-1]
        rest = operations.filter(**{f"started_at__{further}": last.started_at}).exclude(
            **{"started_at": last.started_at, f"pk__{seen}": last.pk}
        )


def in_pieces(lines: Iterator[str]) -> Iterator[str]:
    """Put lines together into pieces that are worth sending, and send what an error cuts off."""
    piece: list[str] = []
    try:
        for line in lines:
            piece.append(line)
            if len(piece) == _LINES:
                yield "".join(piece)
                piece = []
    except Exception:
        if piece:
            yield "".join(piece)
        raise
    if piece:
        yield "".join(piece)


async def in_threads(pieces: Iterator[str]) -> AsyncIterator[str]:
    """Return the pieces one by one, each made in the thread that has the request's database."""

    def following() -> str | None:
        return next(pieces, None)

    while (piece := await sync_to_async(following)()) is not None:
        yield piece
