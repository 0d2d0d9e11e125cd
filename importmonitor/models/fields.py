"""Fields and queries that work the same on all databases."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import connections, models

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
    if connections[queryset.db].features.can_return_rows_from_bulk_insert:
        queryset.bulk_create(rows)
        return
    # MySQL, unlike MariaDB, has no RETURNING.
    for row in rows:
        row.save(force_insert=True, using=queryset.db)
