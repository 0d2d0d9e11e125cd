"""Pagination of the REST API; an invalid parameter is an error and never a default."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Q
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

MAX_PAGE_SIZE = 500
# The direction, and the time (if the list has one) and the key of the row to continue from.
_CURSOR = re.compile(r"(next|previous) (?:(\S{1,32}) )?([0-9]{1,18})", re.ASCII)


def requested_page_size(request: Request, default: int) -> int:
    """Return the number of rows of a page; raises ValidationError."""
    text = request.query_params.get("page_size")
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= MAX_PAGE_SIZE:
        return int(text)
    raise ValidationError({"page_size": [f"Give a whole number from 1 to {MAX_PAGE_SIZE}."]})


class Cursor(NamedTuple):
    """The position of a row, and whether the rows before it or after it are requested.

    `at` is None in a list without times.
    """

    backwards: bool
    at: datetime | None
    key: int

    @property
    def text(self) -> str:
        direction = "previous" if self.backwards else "next"
        time = f"{self.at.isoformat()} " if self.at else ""
        text = f"{direction} {time}{self.key}"
        return urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def parse(cls, text: str, *, has_time: bool) -> "Cursor":
        """Parse what `text` returned, and nothing else; raises NotFound."""
        try:
            match = _CURSOR.fullmatch(urlsafe_b64decode(text.encode()).decode())
            if match is not None and (match[2] is not None) == has_time:
                at = datetime.fromisoformat(match[2]).astimezone(UTC) if has_time else None
                cursor = cls(match[1] == "previous", at, int(match[3]))
                if cursor.text == text:
                    return cursor
        except (ValueError, OverflowError):
            pass
        raise NotFound("Invalid cursor")


class KeysetPagination(BasePagination):
    """Pages that stay the same while rows are added, and cost the same at any depth.

    A row's position is its time and its key. DRF's CursorPagination uses the time alone and counts
    the rows that share it: it repeats and skips some of them.
    """

    page_size = 50
    #: The field of the time, oldest first; newest first with a minus before it. Without it, a
    #: row's position is its key.
    ordering = ""

    def get_ordering(self, request: Request) -> str:
        """Return the requested field."""
        return self.ordering

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the rows of one page, and set the links to the pages around it."""
        size = requested_page_size(request, self.page_size)
        ordering = self.get_ordering(request)
        field, newest_first = ordering.removeprefix("-"), ordering.startswith("-")
        text = request.query_params.get("cursor")
        cursor = None if text is None else Cursor.parse(text, has_time=bool(field))
        backwards = cursor is not None and cursor.backwards
        descending = newest_first != backwards
        if cursor is not None:
            than = "lt" if descending else "gt"
            is_beyond = Q(**{f"pk__{than}": cursor.key})
            if field:
                # The second condition is redundant, and lets the database enter the index there.
                is_beyond |= Q(**{f"{field}__{than}": cursor.at})
                is_beyond &= Q(**{f"{field}__{than}e": cursor.at})
            queryset = queryset.filter(is_beyond)
        order = [f"{'-' if descending else ''}{name}" for name in (field, "pk") if name]
        rows = list(queryset.order_by(*order)[: size + 1])
        has_more = len(rows) > size
        rows = rows[:size]
        if backwards:
            rows.reverse()
        has_next, has_previous = (True, has_more) if backwards else (has_more, cursor is not None)
        url = request.build_absolute_uri()

        def link(row: Any, *, backwards: bool) -> str:
            at = getattr(row, field).astimezone(UTC) if field else None
            return replace_query_param(url, "cursor", Cursor(backwards, at, row.pk).text)

        self.next = link(rows[-1], backwards=False) if rows and has_next else None
        self.previous = link(rows[0], backwards=True) if rows and has_previous else None
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the `cursor` parameter for drf-spectacular."""
        description = "The position of the page, from `next` or `previous` of another page."
        schema = {"type": "string"}
        return [{"name": "cursor", "in": "query", "description": description, "schema": schema}]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page for drf-spectacular."""
        # drf-spectacular takes its example of a page from `example`.
        links: dict[str, Any] = {
            name: {"type": ["string", "null"], "format": "uri", "example": None}
            for name in ("next", "previous")
        }
        properties = links | {"results": schema}
        return {"type": "object", "required": list(properties), "properties": properties}


class NewestFirstPagination(KeysetPagination):
    """Newest first, or oldest first with `ordering=started_at`."""

    orderings = ("-started_at", "started_at")

    def get_ordering(self, request: Request) -> str:
        ordering = request.query_params.get("ordering", self.orderings[0])
        if ordering not in self.orderings:
            raise ValidationError({"ordering": [f"Give {' or '.join(self.orderings)}."]})
        return ordering


class OldestFirstPagination(KeysetPagination):
    """Oldest first, by the time of observation."""

    ordering = "observed_at"


class IncidentPagination(KeysetPagination):
    """Newest first, by their beginning."""

    ordering = "-since"


class WorkspacePagination(KeysetPagination):
    """In the order of the keys, which is that of the settings."""

    page_size = 100
