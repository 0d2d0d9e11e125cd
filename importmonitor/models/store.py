"""The database that holds the app's tables, as a host's router decides."""

from typing import Any, TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model)


class StoreQuerySet(models.QuerySet[M]):
    """Rows of the database that is written to, for reading too, unless `using` names another.

    A replica lags behind: a poll would compare Rocket.Chat's response with rows that another poll
    has replaced, and a page would show less than what was stored just now.
    """

    @property
    def db(self) -> str:
        # As Django's own property, but for `db_for_read`.
        queryset: Any = self
        alias = queryset._db or router.db_for_write(self.model, **queryset._hints)  # noqa: SLF001 - a subclass
        return str(alias)
