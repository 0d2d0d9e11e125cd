"""The rows of a fleet as polls would have stored them; called in the project's environment."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.utils import timezone

from benchmarks.environments import TOKEN, USER_ID
from importmonitor.choices import OK
from importmonitor.models import ImportOperation, SyncPeriod, Workspace
from importmonitor.rocketchat.operation import parse_operation
from importmonitor.sync.pool import CONCURRENCY
from simulator.clock import Clock
from simulator.fleet import Fleet

#: A history has at least so many operations: its length is not what is measured.
MIN_OPERATIONS = 1000
_BATCH = 500
_STATUSES = {"importer_done": "done", "importer_import_failed": "failed"}


def fill(size: int, made: int, active: float, seconds: float, failing: float = 0.0) -> None:
    """Fill an empty database with the rows of that many workspaces.

    Of the first `made`, they say what a fleet with these shares shows, so that a poll sees nothing
    new. The database copies the rows of the others. Those that fail have been unreachable for an
    hour.
    """
    now = timezone.now()
    fleet = Fleet(
        size,
        Clock(now),
        0,
        USER_ID,
        TOKEN,
        active=active,
        seconds=seconds,
        failing=failing,
        failures=("unreachable",),
    )
    tables = (SyncPeriod, ImportOperation, Workspace)
    made = min(made, size)
    copies = -(-MIN_OPERATIONS // size)
    with transaction.atomic():
        for start in range(0, made, _BATCH):
            numbers = range(start, min(start + _BATCH, made))
            periods = [period(fleet, number, now) for number in numbers]
            current = [operation(fleet, number, now) for number in numbers]
            SyncPeriod.objects.bulk_create(periods)
            ImportOperation.objects.bulk_create(current)
            for copy in range(1, copies):
                ImportOperation.objects.bulk_create(older(fleet, numbers, copy, now))
            Workspace.objects.bulk_create(
                workspace(*rows, now) for rows in zip(periods, current, strict=True)
            )
        for model in tables:
            copy_rows(model, made, size)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), tables):
            cursor.execute(statement)
    tidy()


def tidy() -> None:
    """Do what PostgreSQL's autovacuum does some time after rows were written, and SQLite's WAL."""
    with connection.cursor() as cursor:
        is_sqlite = connection.vendor == "sqlite"
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "VACUUM ANALYZE")


def period(fleet: Fleet, number: int, now: datetime) -> SyncPeriod:
    """Return the open period of a workspace."""
    fails = fleet.failure(number) is not None
    return SyncPeriod(
        pk=number + 1,
        workspace=f"w{number}",
        outcome="Unreachable" if fails else OK,
        message=f"w{number}: 502 Bad Gateway" if fails else "",
        first_at=now - timedelta(hours=1),
        last_at=now - timedelta(minutes=1),
        polls=60,
    )


def operation(fleet: Fleet, number: int, now: datetime) -> ImportOperation:
    """Return the row of a workspace's current import."""
    return as_row(fleet.workspace(number).current(), number, now, pk=number + 1)


def older(fleet: Fleet, numbers: range, copy: int, now: datetime) -> Iterator[ImportOperation]:
    """Return an import of each workspace from before the current one."""
    for number in numbers:
        document = fleet.workspace(number).current()
        started_at = datetime.fromisoformat(document["ts"]) - timedelta(days=copy)
        document |= {
            "_id": f"{document['_id']}-{copy}",
            "ts": started_at.isoformat(),
            "_updatedAt": (started_at + timedelta(minutes=10)).isoformat(),
            "status": "importer_done",
            "valid": False,
        }
        yield as_row(document, number, now, pk=fleet.size * copy + number + 1)


def as_row(document: dict[str, Any], number: int, now: datetime, pk: int) -> ImportOperation:
    """Return the row of an operation; its end was seen, if it has ended."""
    parsed = parse_operation(document)
    end_reason = _STATUSES.get(parsed.status, "")
    ended_at = parsed.remote_updated_at
    assert ended_at is not None
    row = ImportOperation(
        pk=pk,
        workspace=f"w{number}",
        state=parsed.state,
        started_at=datetime.fromisoformat(document["ts"]),
        first_seen_at=datetime.fromisoformat(document["ts"]),
        last_seen_at=now - timedelta(minutes=1),
        last_progress_at=ended_at,
        finished_at=ended_at if end_reason else None,
        end_reason=end_reason,
        **vars(parsed),
    )
    row.outcome = row.end_outcome()
    return row


def workspace(period: SyncPeriod, current: ImportOperation, now: datetime) -> Workspace:
    """Return a workspace's row as its last poll would have stored it."""
    is_good = period.outcome == OK
    row = Workspace(
        pk=period.pk,
        alias=period.workspace,
        current_operation=current,
        changed_at=current.last_progress_at,
        sync_status=period.outcome,
        message=period.message,
        last_polled_at=period.last_at,
        first_synced_at=period.first_at,
        last_synced_at=period.last_at if is_good else period.first_at,
        failing_since=None if is_good else period.first_at,
        period=period,
        period_started_at=period.first_at,
        period_polls=period.polls,
        list_due_at=now + timedelta(days=1),
        users_twice=True,
    )
    row.summarize()
    return row


def copy_rows(model: type[models.Model], made: int, size: int) -> None:
    """Copy the rows of the first `made` workspaces to those from there up to `size`."""
    quote = connection.ops.quote_name
    key = f"t.id + k.n * {made}"
    columns = {}
    for field in model._meta.concrete_fields:
        if field.generated:
            continue
        value = f"t.{quote(str(field.column))}"
        if field.primary_key or field.name in ("current_operation", "period"):
            # The rows of a workspace have the same key in all tables.
            value = key
        elif field.name in ("alias", "workspace"):
            value = f"'w' || ({key} - 1)"
        elif field.name == "remote_id":
            value = f"{value} || '-' || k.n"
        columns[quote(str(field.column))] = value
    table = quote(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE k(n) AS "
            f"(SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < {size // made}) "
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            f"FROM k CROSS JOIN {table} t WHERE t.id <= {made} AND {key} <= {size} ORDER BY 1"
        )


def schedule(interval: float, count: int) -> dict[str, float]:
    """Spread the next polls over an interval that begins in a second; return when that is.

    Only the first `count` are spread, the others are due at the end of the interval.
    """
    first = time.time() + 1
    size = Workspace.objects.count()
    end = datetime.fromtimestamp(first + interval, UTC)
    due = {
        number: datetime.fromtimestamp(first + interval * number / size, UTC)
        for number in range(min(count, size))
    }
    field: models.DateTimeField[Any, Any] = models.DateTimeField()
    with transaction.atomic():
        Workspace.objects.update(due_at=end)
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE importmonitor_workspace SET due_at = %s WHERE id = %s",
                [
                    (field.get_db_prep_save(due_at, connection), number + 1)
                    for number, due_at in due.items()
                ],
            )
    return {"first": first, "step": interval / size, "end": first + interval}


def concurrency() -> int:
    """Return the number of threads of a watch."""
    return CONCURRENCY
