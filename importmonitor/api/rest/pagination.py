"""Pages of the REST face; what is asked for wrongly is an error and never a default."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Q
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import BasePagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

MOST = 500
#: Which way to go on, and the time and the key of the row to go on from.
_CURSOR = re.compile(r"(next|previous) (\S{1,32}) ([0-9]{1,18})", re.ASCII)


def page_size(request: Request, default: int) -> int:
    """Return how many rows a page is to have; raises ValidationError."""
    asked = request.query_params.get("page_size")
    if asked is None:
        return default
    if asked.isascii() and asked.isdigit() and len(asked) < 9 and 0 < int(asked) <= MOST:
        return int(asked)
    raise ValidationError({"page_size": [f"Give a whole number from 1 to {MOST}."]})


class Cursor(NamedTuple):
    """The place of a row, and whether the rows before it are wanted or those after it."""

    backwards: bool
    at: datetime
    key: int

    @property
    def text(self) -> str:
        way = "previous" if self.backwards else "next"
        return urlsafe_b64encode(f"{way} {self.at.isoformat()} {self.key}".encode()).decode()

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Read what `text` wrote, and nothing else; raises NotFound."""
        try:
            found = _CURSOR.fullmatch(urlsafe_b64decode(text.encode()).decode())
            if found is not None:
                at = datetime.fromisoformat(found[2]).astimezone(UTC)
                cursor = cls(found[1] == "previous", at, int(found[3]))
                if cursor.text == text:
                    return cursor
        except (ValueError, OverflowError):
            pass
        raise NotFound("Invalid cursor")


class CursorPages(BasePagination):
    """Pages that stay the same while new rows come, and cost the same however deep they are.

    A row's place is its time and its key. DRF's own cursors know the time alone, and count the
    rows that share it: they repeat and skip some of them.
    """

    page_size = 50
    #: The field of the time; what comes first is the oldest, unless there is a minus before it.
    ordering = ""

    def get_ordering(self, request: Request) -> str:
        """Return the field that is asked for."""
        return self.ordering

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return one page of rows, and remember which there are around it."""
        size = page_size(request, self.page_size)
        ordering = self.get_ordering(request)
        field, newest_first = ordering.removeprefix("-"), ordering.startswith("-")
        asked = request.query_params.get("cursor")
        cursor = None if asked is None else Cursor.read(asked)
        backwards = cursor is not None and cursor.backwards
        down = newest_first != backwards
        if cursor is not None:
            than = "lt" if down else "gt"
            # The first condition says nothing new, and lets the index be entered at the place.
            queryset = queryset.filter(
                Q(**{f"{field}__{than}e": cursor.at}),
                Q(**{f"{field}__{than}": cursor.at}) | Q(**{f"pk__{than}": cursor.key}),
            )
        rows = list(queryset.order_by(*(f"-{field}", "-pk") if down else (field, "pk"))[: size + 1])
        more = len(rows) > size
        rows = rows[:size]
        if backwards:
            rows.reverse()
        after, before = (True, more) if backwards else (more, cursor is not None)
        url = request.build_absolute_uri()

        def link(row: Any, *, backwards: bool) -> str:
            at = getattr(row, field).astimezone(UTC)
            return replace_query_param(url, "cursor", Cursor(backwards, at, row.pk).text)

        self.next = link(rows[-1], backwards=False) if rows and after else None
        self.previous = link(rows[0], backwards=True) if rows and before else None
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return what drf-spectacular is to tell of the cursor."""
        told = "Where to go on, out of an answer's `next` or `previous`."
        schema = {"type": "string"}
        return [{"name": "cursor", "in": "query", "description": told, "schema": schema}]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return what drf-spectacular is to tell of a page."""
        return _page(schema)


class NewestFirst(CursorPages):
    """The newest first, or the oldest if asked for `ordering=started_at`."""

    orderings = ("-started_at", "started_at")

    def get_ordering(self, request: Request) -> str:
        asked = request.query_params.get("ordering", self.orderings[0])
        if asked not in self.orderings:
            raise ValidationError({"ordering": [f"Give {' or '.join(self.orderings)}."]})
        return asked


class OldestFirst(CursorPages):
    """Of what was observed, the oldest first."""

    ordering = "observed_at"


class WorkspacePages(PageNumberPagination):
    """Pages of a list that the settings hold."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = MOST
    last_page_strings = ()

    def get_page_size(self, request: Request) -> int:
        return page_size(request, self.page_size)

    def get_page_number(self, request: Request, paginator: Any) -> str:
        asked = request.query_params.get(self.page_query_param, "1")
        # What Python takes for a number besides (" 1", "1_0", "١") is none here.
        return asked if asked.isascii() and asked.isdigit() else ""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return what drf-spectacular is to tell of a page."""
        return _page(schema, count={"type": "integer", "example": 1})


def _page(rows: Any, **more: Any) -> dict[str, Any]:
    # Made anew each time: what describes it changes it.
    links: dict[str, Any] = {
        name: {"type": ["string", "null"], "format": "uri", "example": None}
        for name in ("next", "previous")
    }
    properties = more | links | {"results": rows}
    return {"type": "object", "required": list(properties), "properties": properties}
