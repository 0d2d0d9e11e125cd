"""A column that every database has to treat alike."""

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg] # generic in the stubs alone
    """Text that is equal only to itself: Rocket.Chat's ids differ by case alone.

    PostgreSQL and SQLite compare so anyway; MySQL and MariaDB do by this collation, which the
    others do not know.
    """

    def db_parameters(self, connection: "BaseDatabaseWrapper") -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
