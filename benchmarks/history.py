"""A history of any length over five years; `fill` is called in the project's environment.

The newest thousand operations are made row by row. The database copies them, each copy older than
the one before it, in the order in which a sync would have written them.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.utils import timezone

from benchmarks.pages import WORKSPACES
from importmonitor.choices import OK
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from importmonitor.rocketchat.operation import parse_operation
from simulator.clock import to_iso
from simulator.kinds import KINDS

SPAN = timedelta(days=5 * 365)
#: How many operations are made, and copied.
MADE = 1000
#: What the charts show is the same in every history: nothing is copied into the last days, and of
#: each of the last weeks there is an operation of every outcome.
RECENT, PERIODS = timedelta(days=8), 200
WEEKS = 12
SAMPLES = 400
STATUSES = {
    "done": "importer_done",
    "failed": "importer_import_failed",
    "interrupted": "importer_importing_messages",
    "canceled": "importer_import_cancelled",
    "superseded": "importer_user_selection",
}
#: How the operations end, in turn. The shares fill the pages of lists, which have 50 rows, with any
#: number of operations: half a page would take half the time.
ENDS = (*["done"] * 12, *["failed"] * 4, *["interrupted"] * 2, "canceled", "superseded")
USERS = ("d26x6zSkaPSe5gCyy", "Hb7kQm3ZtYwN9xRfs", "qW4eRt8yKpLs2dFgh", "c3dNn7mZzPqT5kWvR")


def fill(count: int) -> None:
    """Fill an empty database with that many operations, and some recent ones."""
    rng = random.Random(0)
    now = timezone.now()
    copies = max(1, round(count / MADE))
    made_over = SPAN / copies
    newest = now - RECENT
    tables = (ImportOperation, StatusTransition, Alert)
    with transaction.atomic():
        # The copies get the smaller keys.
        key = (copies - 1) * MADE
        operations = [
            operation(
                newest - made_over * (1 - number / MADE),
                rng,
                ENDS[number % len(ENDS)],
                WORKSPACES[number // len(ENDS) % len(WORKSPACES)],
                pk=key + number + 1,
            )
            for number in range(MADE)
        ]
        ImportOperation.objects.bulk_create(operations)
        StatusTransition.objects.bulk_create(
            StatusTransition(
                pk=row.pk,
                operation=row,
                to_status=row.status,
                to_state=row.state,
                reason=StatusTransition.Reason.REMOTE,
                observed_at=row.started_at,
            )
            for row in operations
        )
        Alert.objects.bulk_create(
            Alert(
                pk=row.pk,
                event="import.finished",
                workspace=row.workspace,
                operation=row,
                channel="email",
                key=f"import.finished:{row.remote_id}",
                body={"schema_version": 1, "event": "import.finished", "operation": row.payload},
                created_at=row.last_seen_at,
                attempts=1,
                delivered_at=row.finished_at,
            )
            for row in operations
        )
        for model in tables:
            if copies > 1:
                copy_rows(model, copies - 1, made_over)
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), tables):
                cursor.execute(statement)
        ImportOperation.objects.bulk_create(
            operation(now - timedelta(weeks=week, hours=2), rng, outcome, WORKSPACES[0])
            for week in range(WEEKS)
            for outcome in ("done_with_errors", "incomplete", *STATUSES)
        )
        ImportOperation.objects.bulk_create(
            operation(now - timedelta(hours=1), rng, "", alias) for alias in WORKSPACES
        )
        # For the charts of the operation's page.
        middle = ImportOperation.objects.order_by("started_at")[
            ImportOperation.objects.count() // 2
        ]
        ProgressSample.objects.bulk_create(
            ProgressSample(
                operation=middle,
                observed_at=middle.started_at + timedelta(seconds=10 * number),
                completed=number,
                error=0,
                total=SAMPLES,
            )
            for number in range(SAMPLES)
        )
        SyncPeriod.objects.bulk_create(periods(now))
        Workspace.objects.bulk_create(map(workspace, WORKSPACES))
    with connection.cursor() as cursor:
        # As PostgreSQL's autovacuum does some time later.
        is_sqlite = connection.vendor == "sqlite"
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "VACUUM ANALYZE")


def operation(
    at: datetime, rng: random.Random, outcome: str, workspace: str, **values: Any
) -> ImportOperation:
    """Return an operation as a sync would have stored it; its outcome is "" while it runs."""
    kind = rng.choice(list(KINDS.values()))
    total = rng.randint(60, 60_000)
    is_partial = outcome in ("", "incomplete")
    end_reason = outcome if outcome in STATUSES or not outcome else "done"
    document = {
        "_id": f"{rng.getrandbits(68):017x}",
        "type": kind.label,
        "importerKey": kind.key,
        "ts": to_iso(at),
        "status": STATUSES[end_reason] if outcome else "importer_importing_messages",
        "valid": not outcome,
        "user": rng.choice(USERS),
        "_updatedAt": to_iso(at + timedelta(minutes=rng.randint(1, 90))),
        "file": f"{at:%Y%m%d%H%M%S}_{USERS[0]}_team.zip",
        "contentType": "application/zip",
        "hasBoundary": True,
        "count": {
            "total": total,
            "completed": total // 3 if is_partial else total,
            "error": 3 if outcome == "done_with_errors" else 0,
        },
    }
    parsed = parse_operation(document)
    seen_at = parsed.remote_updated_at if outcome else at
    assert seen_at is not None
    row = ImportOperation(
        workspace=workspace,
        state=parsed.state,
        started_at=at,
        first_seen_at=at,
        last_seen_at=seen_at,
        last_progress_at=seen_at,
        finished_at=seen_at if outcome else None,
        end_reason=end_reason,
        **vars(parsed),
        **values,
    )
    row.outcome = row.end_outcome()
    return row


def periods(now: datetime) -> Iterator[SyncPeriod]:
    """Return the sync periods of the last days: successes and outages alternately."""
    length = RECENT / PERIODS
    for number in range(PERIODS):
        is_good = number % 2 == 0
        started_at = now - RECENT + length * number
        for alias in WORKSPACES:
            yield SyncPeriod(
                workspace=alias,
                outcome=OK if is_good else "Unreachable",
                message="" if is_good else f"{alias}: 502 Bad Gateway",
                first_at=started_at,
                last_at=started_at + length * 0.9,
                polls=60,
            )


def workspace(alias: str) -> Workspace:
    """Return a workspace's row as the last poll of its newest period would have stored it."""
    period = SyncPeriod.objects.filter(workspace=alias).latest("pk")
    good = SyncPeriod.objects.filter(workspace=alias, outcome=OK)
    is_good = period.outcome == OK
    return Workspace(
        alias=alias,
        current_operation=ImportOperation.objects.filter(workspace=alias).newest_first().first(),
        changed_at=period.first_at,
        sync_status=period.outcome,
        message=period.message,
        last_polled_at=period.last_at,
        first_synced_at=good.earliest("pk").first_at,
        last_synced_at=good.latest("pk").last_at,
        failing_since=None if is_good else period.first_at,
        period=period,
        period_started_at=period.first_at,
        period_polls=period.polls,
    )


def copy_rows(model: type[models.Model], copies: int, older: timedelta) -> None:
    """Copy all rows that many times, each copy older than the one before."""
    quote = connection.ops.quote_name
    columns = {}
    for field in model._meta.concrete_fields:
        if field.generated:
            continue
        assert field.column is not None
        value = f"t.{quote(field.column)}"
        if field.primary_key or field.name == "operation":
            value = f"{value} - k.n * {MADE}"
        elif isinstance(field, models.DateTimeField):
            value = earlier(value, older.total_seconds())
        elif field.name in ("remote_id", "key"):
            value = f"{value} || (100000 + k.n)"
        columns[quote(field.column)] = value
    table = quote(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE k(n) AS "
            f"(SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < {copies}) "
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
            f"FROM k CROSS JOIN {table} t ORDER BY 1"
        )


def earlier(value: str, seconds: float) -> str:
    """Return the SQL of a time that is `k.n` times that many seconds earlier."""
    if connection.vendor == "postgresql":
        return f"{value} - k.n * interval '{seconds} seconds'"
    # As Django writes it, since SQLite compares times as text: to the microsecond, without a
    # fraction where there is none.
    moment = f"strftime('%Y-%m-%d %H:%M:%f', {value}, (-{seconds} * k.n) || ' seconds')"
    return f"replace({moment} || '000', '.000000', '')"
