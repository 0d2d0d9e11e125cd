"""Queries that are asked so often that making their SQL anew would be most of the work."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections, models
from django.db.models.expressions import Expression
from django.db.models.sql import UpdateQuery


class Param(Expression):
    """Stands in a prepared query for a value that is given each time that it is asked."""

    def __init__(self, name: str, field: "models.Field[Any, Any]") -> None:
        """`field` is of the kind that the value is to be compared with, or stored in."""
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        # In the place of the value; `_Made.params_of` puts that there.
        return "%s", [self]


@dataclass(frozen=True)
class _Made:
    sql: str
    params: tuple[Any, ...]
    #: What makes of a database's values Django's, by position, each with its expression.
    converters: Mapping[int, tuple[list[Callable[..., Any]], Any]]

    def params_of(self, values: Mapping[str, Any], connection: Any) -> list[Any]:
        return [
            each.output_field.get_db_prep_value(values[each.name], connection)
            if isinstance(each, Param)
            else each
            for each in self.params
        ]


class Prepared:
    """A query whose SQL is made once for each database.

    Making it takes Django several times as long as the database takes to answer
    (`python -m benchmarks.endpoint`, `python -m benchmarks.polls`).
    """

    def __init__(self, make: Callable[[], "models.QuerySet[Any, Any]"], **update: Any) -> None:
        """`make` returns the query: by `values_list`, or with an `update` of these fields.

        What varies in it are Params. It is called at the first use, when all models are there.
        """
        self._make = make
        self._update = update
        self._made: dict[str, _Made] = {}

    def rows(self, using: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return all rows for these values of the Params."""
        made, connection = self._made_for(using), connections[using]
        with connection.cursor() as cursor:
            cursor.execute(made.sql, made.params_of(values, connection))
            found = cursor.fetchall()
        return [_converted(made, row, connection) for row in found]

    def first(self, using: str, **values: Any) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        return next(iter(self.rows(using, **values)), None)

    def update(self, using: str, **values: Any) -> int:
        """Update the rows; return how many there were."""
        made, connection = self._made_for(using), connections[using]
        with connection.cursor() as cursor:
            cursor.execute(made.sql, made.params_of(values, connection))
            return int(cursor.rowcount)

    def _made_for(self, using: str) -> _Made:
        return self._made.get(using) or self._made.setdefault(using, self._make_for(using))

    def _make_for(self, using: str) -> _Made:
        query = self._make().query
        if self._update:
            update: Any = query.chain(UpdateQuery)
            update.add_update_values(self._update)
            sql, params = update.get_compiler(using).as_sql()
            return _Made(sql, tuple(params), {})
        compiler = query.get_compiler(using)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([expression for expression, *_ in compiler.select])
        return _Made(sql, tuple(params), converters)


def _converted(made: _Made, row: Iterable[Any], connection: Any) -> tuple[Any, ...]:
    values = list(row)
    for position, (converters, expression) in made.converters.items():
        for convert in converters:
            values[position] = convert(values[position], expression, connection)
    return tuple(values)


def columns(model: type[models.Model]) -> list[str]:
    """Return the names of a model's own columns, in the order that `from_db` wants."""
    return [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001 - Django documents it
