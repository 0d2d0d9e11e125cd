"""A paginator whose cost does not grow with the table."""

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.db import connections
from django.utils.functional import cached_property

if TYPE_CHECKING:
    # Generic only in the stubs.
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

#: Rows are counted up to this: counting millions takes longer than the rest of a page.
MAX_COUNT = 10_000
#: From this offset on, the keys of a page are read first, so that only the index is scanned.
_DEEP_OFFSET = 500


class CappedPaginator(_Paginator):
    """Counts up to MAX_COUNT rows. A filter or the reverse order reaches the rows beyond."""

    @cached_property
    def _count(self) -> int:
        rows: Any = self.object_list
        # Ordered: without an order, SQLite may scan the whole table by another index.
        return int(rows[: MAX_COUNT + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._count, MAX_COUNT)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._count > MAX_COUNT

    def page(self, number: Any) -> "Page[Any]":
        page = super().page(number)
        rows: Any = self.object_list
        offset = (page.number - 1) * self.per_page
        # MySQL and MariaDB accept no LIMIT within an IN.
        if offset >= _DEEP_OFFSET and connections[rows.db].features.allow_sliced_subqueries_with_in:
            keys = rows.values("pk")[offset : page.end_index()]
            # Without the conditions, which these keys fulfil: SQLite assumes that any equality
            # leaves ten rows, and would scan all matching rows before it used a key.
            page_rows = rows.all()
            page_rows.query.clear_where()
            page.object_list = page_rows.filter(pk__in=keys)
        return page
