"""Fields and queries that work the same on all databases."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connections, models

from importmonitor.models.compiled import CompiledInsert

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg] # generic in the stubs alone
    """Text that is compared case-sensitively: Rocket.Chat's ids can differ by case alone.

    PostgreSQL and SQLite do that anyway; MySQL and MariaDB need this collation, which the others
    do not know.
    """

    def db_parameters(self, connection: "BaseDatabaseWrapper") -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters


def insert_with_keys(queryset: "models.QuerySet[Any]", rows: Sequence[models.Model]) -> None:
    """Insert rows and set their primary keys, in one query where the database returns the keys."""
    features = connections[queryset.db].features
    if len(rows) > 1 and features.can_return_rows_from_bulk_insert:
        queryset.bulk_create(rows)
        return
    for row in rows:
        _insert(type(row)).run(queryset.db, row)


@cache
def _insert(model: type[models.Model]) -> CompiledInsert:
    return CompiledInsert(model)
