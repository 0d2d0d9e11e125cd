"""Pages whose cost does not grow with the table."""

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.db import connections
from django.utils.functional import cached_property

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

#: What is counted at most: a full count of millions takes longer than all the rest of a page.
MOST = 10_000
#: From so many rows on, those that are passed over are passed over in the index alone.
_DEEP = 500


class CappedPaginator(_Paginator):
    """Counts up to MOST rows. What lies beyond is found by a filter or in the other order."""

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        # In its order: without one, SQLite may go through the whole table by another index.
        return int(rows[: MOST + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._counted > MOST

    def page(self, number: Any) -> "Page[Any]":
        page = super().page(number)
        rows: Any = self.object_list
        first = (page.number - 1) * self.per_page
        # MySQL and MariaDB take no LIMIT within an IN.
        if first >= _DEEP and connections[rows.db].features.allow_sliced_subqueries_with_in:
            keys = rows.values("pk")[first : page.end_index()]
            # Without the conditions, which hold for these keys: SQLite, to which any equality seems
            # to leave ten rows, would go through all that there are before it looks at a key.
            found = rows.all()
            found.query.clear_where()
            page.object_list = found.filter(pk__in=keys)
        return page
