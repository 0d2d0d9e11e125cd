"""Queries that are asked so often that making their SQL anew would be most of the work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connections, models

#: Stands for the value while the SQL is made; it is nobody's alias and no token's prefix.
_VALUE = "\ufffdvalue\ufffd"


@dataclass(frozen=True)
class _Made:
    sql: str
    params: tuple[Any, ...]
    #: What makes of a database's values Django's, by position, each with its expression.
    converters: dict[int, tuple[list[Callable[..., Any]], Any]]


class Prepared:
    """A query by one text, its SQL made once for each database.

    Making it takes Django several times as long as the database takes to answer
    (`python -m benchmarks.endpoint`).
    """

    def __init__(self, make: "Callable[[str], models.QuerySet[Any, tuple[Any, ...]]]") -> None:
        """`make` returns the query for a value, by `values_list`; nothing else in it may vary."""
        self.make = make
        self._made: dict[str, _Made] = {}

    def first(self, value: str, using: str) -> tuple[Any, ...] | None:
        """Return the first row for a value, or None."""
        made = self._made.get(using) or self._made.setdefault(using, self._make(using))
        connection = connections[using]
        with connection.cursor() as cursor:
            cursor.execute(made.sql, [value if each == _VALUE else each for each in made.params])
            row = cursor.fetchone()
        if row is None:
            return None
        values = list(row)
        for position, (converters, expression) in made.converters.items():
            for convert in converters:
                values[position] = convert(values[position], expression, connection)
        return tuple(values)

    def _make(self, using: str) -> _Made:
        compiler = self.make(_VALUE)[:1].query.get_compiler(using)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([expression for expression, *_ in compiler.select])
        return _Made(sql, tuple(params), converters)


def columns(model: type[models.Model]) -> list[str]:
    """Return the names of a model's own columns, in the order that `from_db` wants."""
    return [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001 - Django documents it
