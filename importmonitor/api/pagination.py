"""Pages of the REST face; what is asked for wrongly is an error and never a default."""

from typing import Any

from django.core.exceptions import ValidationError as BadValue
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.views import APIView

MOST = 500


def page_size(request: Request, default: int) -> int:
    """Return how many rows a page is to have; raises ValidationError."""
    asked = request.query_params.get("page_size")
    if asked is None:
        return default
    if asked.isascii() and asked.isdigit() and len(asked) < 9 and 0 < int(asked) <= MOST:
        return int(asked)
    raise ValidationError({"page_size": [f"Give a whole number from 1 to {MOST}."]})


class CursorPages(CursorPagination):
    """Pages that stay the same while new rows come, and cost the same however deep they are."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = MOST

    def get_page_size(self, request: Request) -> int:
        return page_size(request, self.page_size)

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (BadValue, ValueError, OverflowError):
            # A cursor of somebody's own making, with no time in it.
            raise NotFound(self.invalid_cursor_message) from None


class NewestFirst(CursorPages):
    """The newest first, or the oldest if asked for `ordering=started_at`."""

    orderings = {"-started_at": ("-started_at", "-id"), "started_at": ("started_at", "id")}

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
        asked = request.query_params.get("ordering", "-started_at")
        if asked not in self.orderings:
            known = " or ".join(self.orderings)
            raise ValidationError({"ordering": [f"Give {known}."]})
        return self.orderings[asked]


class OldestFirst(CursorPages):
    """Of what was observed, the oldest first."""

    ordering = ("observed_at", "id")


class WorkspacePages(PageNumberPagination):
    """Pages of a list that the settings hold."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = MOST

    def get_page_size(self, request: Request) -> int:
        return page_size(request, self.page_size)
