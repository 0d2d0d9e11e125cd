"""Queries that run so often that compiling their SQL would be most of the work."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connections, models
from django.db.models.expressions import Expression
from django.db.models.sql import InsertQuery, UpdateQuery


class Param(Expression):
    """A placeholder in a compiled query for a value that each execution passes."""

    def __init__(self, name: str, field: "models.Field[Any, Any]") -> None:
        """`field` is of the type of the column that the value is compared with, or stored in."""
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        # `_Compiled.bind` replaces it by the value.
        return "%s", [self]


@dataclass(frozen=True)
class _Compiled:
    sql: str
    params: tuple[Any, ...]
    #: The functions that convert the database's values, by position, with their expression.
    converters: Mapping[int, tuple[list[Callable[..., Any]], Any]]

    def bind(self, values: Mapping[str, Any], connection: Any) -> list[Any]:
        return [
            # Not `get_db_prep_value`, which makes None a JSON null.
            param.output_field.get_db_prep_save(values[param.name], connection)
            if isinstance(param, Param)
            else param
            for param in self.params
        ]


class CompiledQuery:
    """A query whose SQL is compiled once for each database.

    Compiling it takes Django several times as long as the database takes to run it
    (`python -m benchmarks.endpoint`, `python -m benchmarks.polls`).
    """

    def __init__(self, make: Callable[[], "models.QuerySet[Any, Any]"], **update: Any) -> None:
        """`make` returns the query: a `values_list`, or the rows of an `update` of these fields.

        Its variable parts are Params. It is called at the first use, when all models are loaded.
        """
        self._make = make
        self._update = update
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, using: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return all rows for these values of the Params."""
        compiled, connection = self._compiled_for(using), connections[using]
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, compiled.bind(values, connection))
            rows = cursor.fetchall()
        return [_convert(compiled, row, connection) for row in rows]

    def first(self, using: str, **values: Any) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        return next(iter(self.rows(using, **values)), None)

    def update(self, using: str, **values: Any) -> int:
        """Update the rows; return how many."""
        compiled, connection = self._compiled_for(using), connections[using]
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, compiled.bind(values, connection))
            return int(cursor.rowcount)

    def _compiled_for(self, using: str) -> _Compiled:
        return self._compiled.get(using) or self._compiled.setdefault(using, self._compile(using))

    def _compile(self, using: str) -> _Compiled:
        query = self._make().query
        if self._update:
            update: Any = query.chain(UpdateQuery)
            update.add_update_values(self._update)
            sql, params = update.get_compiler(using).as_sql()
            return _Compiled(sql, tuple(params), {})
        compiler = query.get_compiler(using)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([expression for expression, *_ in compiler.select])
        return _Compiled(sql, tuple(params), converters)


class CompiledInsert:
    """The INSERT of one row of a model, compiled once for each database."""

    def __init__(self, model: type[models.Model]) -> None:
        self._model = model
        self._fields = [
            field
            for field in model._meta.concrete_fields
            if not (field.primary_key or field.generated)
        ]
        self._compiled: dict[str, _Compiled] = {}

    def run(self, using: str, row: models.Model) -> None:
        """Insert a row, and set its primary key."""
        compiled = self._compiled.get(using) or self._compiled.setdefault(
            using, self._compile(using)
        )
        connection = connections[using]
        values = {field.attname: getattr(row, field.attname) for field in self._fields}
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, compiled.bind(values, connection))
            row.pk = cursor.fetchone()[0] if _returns_key(connection) else cursor.lastrowid
        row._state.adding, row._state.db = False, using

    def _compile(self, using: str) -> _Compiled:
        connection: Any = connections[using]
        row = self._model(**{field.attname: Param(field.attname, field) for field in self._fields})
        query = InsertQuery(self._model)
        # Raw: as they are, without `pre_save`.
        query.insert_values(self._fields, [row], raw=True)
        [(sql, params)] = query.get_compiler(using).as_sql()
        if _returns_key(connection):
            column = self._model._meta.pk.column
            sql += f" RETURNING {connection.ops.quote_name(column)}"
        return _Compiled(sql, tuple(params), {})


def _returns_key(connection: Any) -> bool:
    # MySQL, unlike MariaDB, has no RETURNING.
    return bool(connection.features.can_return_columns_from_insert)


def _convert(compiled: _Compiled, row: Iterable[Any], connection: Any) -> tuple[Any, ...]:
    values = list(row)
    for position, (converters, expression) in compiled.converters.items():
        for convert in converters:
            values[position] = convert(values[position], expression, connection)
    return tuple(values)


@cache
def columns(model: type[models.Model]) -> list[str]:
    """Return the names of a model's columns, in the order that `from_db` wants."""
    return [field.attname for field in model._meta.concrete_fields]
