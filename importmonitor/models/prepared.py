"""Queries that are asked so often that making their SQL anew would be most of the work."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)

#: Stands for the value while the SQL is made; no workspace can have this alias.
_VALUE = "\ufffdvalue\ufffd"


class Prepared(Generic[Row]):
    """A query by one text, its SQL made once for each database.

    Making it takes Django several times as long as the database takes to answer
    (`python -m benchmarks.endpoint`).
    """

    def __init__(self, make: Callable[[str], "models.QuerySet[Row]"]) -> None:
        """`make` returns the query for a value; nothing else in it may vary."""
        self.make = make
        self._made: dict[str, tuple[type[Row], str, tuple[Any, ...]]] = {}

    def first(self, value: str, using: str) -> Row | None:
        """Return the first row for a value, or None."""
        if using not in self._made:
            query = self.make(_VALUE)
            sql, params = query.query.get_compiler(using).as_sql()
            self._made[using] = (query.model, sql, tuple(params))
        model, sql, params = self._made[using]
        wanted = [value if each == _VALUE else each for each in params]
        rows: Any = models.QuerySet(model, using=using).raw(sql, wanted)
        return next(iter(rows), None)
