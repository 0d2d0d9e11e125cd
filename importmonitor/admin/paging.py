"""Pages whose cost does not grow with the table."""

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

#: What is counted at most: a full count of millions takes longer than all the rest of a page.
MOST = 10_000


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
