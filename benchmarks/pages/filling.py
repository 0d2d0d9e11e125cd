"""Any number of operations, at the speed of `INSERT … SELECT`.

A thousand are made row by row, for the newest part of the time. The database copies them, each
copy that much older than the one before, in the order in which a sync would have written them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.utils import timezone

from benchmarks.pages import rows
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)

#: How many operations are made, and how many of all have their transitions and samples.
MADE = 1000
#: One alert and one period for so many operations.
ALERTS_OF, PERIODS_OF = 5, 10
#: How many of each rarity there are.
RARE = 6
SAMPLES, SAMPLES_OF_THE_NEWEST = 10, 400
#: What the charts show: some of each outcome in each of so many weeks, and so many periods lately.
WEEKS = 12
LATELY, PERIODS_LATELY = timedelta(days=8), 200
UNDER_WAY = {
    "headquarters": "importer_importing_messages",
    "sales": "importer_user_selection",
    "support": "importer_preparing_channels",
}


def fill(count: int) -> int:
    """Fill an empty database with so many operations, rounded to thousands; return how many."""
    now = timezone.now()
    copies = max(1, round(count / MADE))
    with transaction.atomic():
        # Of the last days there are but those that add_the_rest adds.
        make(now - LATELY, rows.SPAN / copies)
        made: dict[type[models.Model], int] = {
            ImportOperation: ImportOperation.objects.count(),
            SyncPeriod: SyncPeriod.objects.count(),
            Alert: Alert.objects.count(),
        }
        for model in made:
            copy(Copying(model, copies, rows.SPAN / copies, made))
        # The alerts first: they point at operations.
        for model in reversed(made):
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {table_of(model)} WHERE id <= {made[model]}")
                for statement in connection.ops.sequence_reset_sql(no_style(), [model]):
                    cursor.execute(statement)
        add_the_rest(now)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # As its autovacuum does by itself; nobody does it on SQLite.
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ImportOperation.objects.count()


def make(now: datetime, span: timedelta) -> None:
    """Make the thousand that are copied, the oldest first, with their alerts and periods."""
    rng = random.Random(0)
    step = span / MADE
    operations = ImportOperation.objects.bulk_create(
        rows.ended(number, now - span + step * (number + rng.random()), rng)
        for number in range(MADE)
    )
    Alert.objects.bulk_create(rows.alert(each) for each in operations[::ALERTS_OF])
    aliases = list(rows.WORKSPACES)
    lasting = span * len(aliases) * PERIODS_OF / MADE
    SyncPeriod.objects.bulk_create(
        rows.period(
            number // len(aliases),
            aliases[number % len(aliases)],
            now - span + lasting * (number // len(aliases)),
            lasting,
        )
        for number in range(MADE // PERIODS_OF)
    )


@dataclass(frozen=True)
class Copying:
    """What is copied, how often, how much older each copy is; how many were made of each model."""

    model: type[models.Model]
    copies: int
    older: timedelta
    made: dict[type[models.Model], int]


def copy(copying: Copying) -> None:
    """Copy all rows of a model, with keys that follow on those that there are."""
    columns = dict(copied_columns(copying))
    names = ", ".join(map(connection.ops.quote_name, columns))
    table = table_of(copying.model)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE k(n) AS "
            f"(SELECT 0 UNION ALL SELECT n + 1 FROM k WHERE n + 1 < {copying.copies}) "
            f"INSERT INTO {table} ({names}) SELECT {', '.join(columns.values())} "
            f"FROM k CROSS JOIN {table} t ORDER BY 1"
        )


def table_of(model: type[models.Model]) -> str:
    """Return the name of a model's table, quoted."""
    return connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - documented by Django


def copied_columns(copying: Copying) -> Iterator[tuple[str, str]]:
    """Give each column, the key first, and what a copy has in it: `t` is the row, `k.n` its age."""
    for field in copying.model._meta.concrete_fields:  # noqa: SLF001 - documented by Django
        assert field.column is not None
        value = f"t.{connection.ops.quote_name(field.column)}"
        target = copying.model if field.primary_key else field.related_model
        if isinstance(target, type) and target in copying.made:
            value = f"{value} + ({copying.copies} - k.n) * {copying.made[target]}"
        elif isinstance(field, models.DateTimeField):
            value = before(value, copying.older.total_seconds())
        elif field.name in ("remote_id", "key"):
            value = f"{value} || (100000 + k.n)"
        if not field.generated:
            yield field.column, value


def before(value: str, seconds: float) -> str:
    """Return the SQL of a time that is `k.n` times so many seconds earlier."""
    if connection.vendor == "postgresql":
        return f"{value} - k.n * interval '{seconds} seconds'"
    # As Django writes it, for on SQLite times are compared as text: to the microsecond, and without
    # a fraction where there is none.
    moment = f"strftime('%Y-%m-%d %H:%M:%f', {value}, (-{seconds} * k.n) || ' seconds')"
    return f"replace({moment} || '000', '.000000', '')"


def add_the_rest(now: datetime) -> None:
    """Add what there is as much of among few operations as among many."""
    rng = random.Random(1)
    count = RARE * len(rows.RARE)
    ImportOperation.objects.bulk_create(
        rows.rare(number, now - rows.SPAN * (number + 0.5) / count, rng) for number in range(count)
    )
    ImportOperation.objects.bulk_create(
        row
        for week in range(WEEKS)
        for row in rows.of_each_outcome(now - timedelta(weeks=week, hours=2), rng)
    )
    lasting = (LATELY - timedelta(hours=1)) / PERIODS_LATELY
    SyncPeriod.objects.bulk_create(
        rows.period(number, alias, now - LATELY + lasting * number, lasting)
        for number in range(PERIODS_LATELY)
        for alias in rows.WORKSPACES
    )
    ImportOperation.objects.bulk_create(
        rows.under_way(workspace, status, now - timedelta(hours=1), rng)
        for workspace, status in UNDER_WAY.items()
    )
    recent = list(ImportOperation.objects.newest_first()[:MADE])
    StatusTransition.objects.bulk_create(row for each in recent for row in rows.transitions(each))
    ProgressSample.objects.bulk_create(
        row
        for number, each in enumerate(recent)
        for row in rows.samples(each, SAMPLES if number else SAMPLES_OF_THE_NEWEST)
    )
    SyncLease.objects.bulk_create(SyncLease(workspace=each) for each in rows.WORKSPACES)
