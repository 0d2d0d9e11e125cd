"""Many rows in one statement, as fast as the database takes them.

Django's `bulk_create` makes some ten calls for each value of each row, and writes all columns where
one has changed: of a thousand operations, most of the time (`python -m benchmarks.writing`).
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

from django.db import connections, models

#: What every driver takes as it is, from us who made it; other values differ by database.
_PLAIN = (
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
    models.FloatField,
    models.ForeignKey,
    models.TextField,
)

#: How many times are remembered as the database takes them: most of the rows that are written at
#: once have the same.
_TIMES = 1000


def insert(model: type[models.Model], rows: Sequence[object], using: str) -> None:
    """Insert rows of a model, in this order, whatever the database makes itself left out.

    Rows are whatever has a model's attributes. Their keys stay unknown.
    """
    if not rows:
        return
    options, quote = _options(model), connections[using].ops.quote_name
    fields = [
        field for field in options.concrete_fields if not (field.primary_key or field.generated)
    ]
    table, columns = quote(options.db_table), ", ".join(quote(field.column) for field in fields)
    into = f"INSERT INTO {table} ({columns})"
    if connections[using].vendor == "postgresql":
        records = _RECORDS.format(table)
        sql = f"{into} SELECT {columns} FROM {records}"  # noqa: S608 - of quoted names
        _execute(sql, fields, rows, using)
    else:
        marks = ", ".join(["%s"] * len(fields))
        _execute_many(f"{into} VALUES ({marks})", fields, rows, using)


def update(
    model: type[models.Model], rows: Sequence[object], names: Collection[str], using: str
) -> None:
    """Write these fields of rows of a model that are there, found by their keys."""
    if not rows or not names:
        return
    options, quote = _options(model), connections[using].ops.quote_name
    fields = [options.get_field(name) for name in sorted(names)]
    table, key = quote(options.db_table), quote(options.pk.column)
    columns = [quote(field.column) for field in fields]
    fields.append(options.pk)
    if connections[using].vendor == "postgresql":
        values = ", ".join(f"{column} = new.{column}" for column in columns)
        source = f"FROM {_RECORDS.format(table)} AS new WHERE {table}.{key} = new.{key}"
        sql = f"UPDATE {table} SET {values} {source}"  # noqa: S608 - of quoted names
        _execute(sql, fields, rows, using)
    else:
        values = ", ".join(f"{column} = %s" for column in columns)
        sql = f"UPDATE {table} SET {values} WHERE {key} = %s"  # noqa: S608 - of quoted names
        _execute_many(sql, fields, rows, using)


def _options(model: type[models.Model]) -> Any:
    return model._meta  # noqa: SLF001 - Django documents it


#: All rows in one parameter, which PostgreSQL takes apart itself: by `executemany` it would plan
#: each of them, and as parameters of their own the driver would quote each value.
_RECORDS = "json_populate_recordset(NULL::{}, %s::json)"


def _execute(sql: str, fields: Sequence[Any], rows: Sequence[object], using: str) -> None:
    names, values_of = [field.column for field in fields], _values_of(fields)
    records = [dict(zip(names, values_of(row), strict=True)) for row in rows]
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [json.dumps(records, ensure_ascii=False, default=_as_json)])


@lru_cache(_TIMES)
def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)} microseconds"
    raise TypeError(f"{type(value).__name__} has no place in a row.")


def _execute_many(sql: str, fields: Sequence[Any], rows: Sequence[object], using: str) -> None:
    values_of, connection = _values_of(fields), connections[using]
    prepared = [
        (place, _prepare(field, connection))
        for place, field in enumerate(fields)
        if not field.primary_key and not isinstance(field, _PLAIN)
    ]
    params = []
    for row in rows:
        values = list(values_of(row))
        for place, prepare in prepared:
            if values[place] is not None:
                values[place] = prepare(values[place])
        params.append(values)
    with connection.cursor() as cursor:
        cursor.executemany(sql, params)


def _prepare(field: Any, connection: Any) -> Callable[[Any], Any]:
    """Return what makes of a field's value that which the driver takes."""
    if isinstance(field, models.DateTimeField):
        # As the field itself does, after it has made sure that this is a time.
        return lru_cache(_TIMES)(connection.ops.adapt_datetimefield_value)
    if isinstance(field, models.JSONField):
        return partial(connection.ops.adapt_json_value, encoder=field.encoder)
    return partial(field.get_db_prep_save, connection=connection)


def _values_of(fields: Sequence[Any]) -> "attrgetter[tuple[Any, ...]]":
    # Of one name alone it would return no tuple; there is always the key or another column.
    return attrgetter(*(field.attname for field in fields))
