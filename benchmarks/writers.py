"""Three ways to write the same rows; called in the project's environment."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from django.db import connection, models, transaction

from benchmarks.figures import alternate
from benchmarks.writing import LOOP, POLL, RAW
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, Workspace
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.sync.poll import sync_workspace
from simulator.clock import to_iso

STARTED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)

#: By model, the rows that a poll wrote, the operations first.
Rows = dict[type[models.Model], list[dict[str, Any]]]


@dataclass(frozen=True)
class Client:
    """Takes the place of Rocket.Chat's client, and returns operations that are parsed already."""

    operations: Sequence[Operation]

    def current_operation(self) -> Operation:
        return self.operations[0]

    def latest_operations(self) -> Sequence[Operation]:
        return self.operations


def measure(count: int) -> dict[str, list[float]]:
    """Return the seconds that each way takes for two polls of that many operations."""
    clients = [client(count, changed=changed) for changed in (False, True)]
    written = rows_of_polls(clients)
    statements = [insert_statements(written[0]), update_statements(*written)]
    gc.collect()
    gc.freeze()
    jobs: dict[str, Callable[[], float]] = {
        POLL: partial(timed, poll, clients),
        LOOP: partial(timed, loop, written),
        RAW: partial(timed, execute_many, statements),
    }
    return alternate(25 if count < 1000 else 5, jobs)


def client(count: int, *, changed: bool) -> Client:
    """Return a client with that many operations, newest first."""
    documents = (
        {
            "_id": f"{number:017d}",
            "type": "Slack",
            "importerKey": "slack",
            "ts": to_iso(STARTED_AT + timedelta(seconds=number)),
            "status": "importer_done" if changed else "importer_importing_messages",
            "valid": False,
            "user": "d26x6zSkaPSe5gCyy",
            "_updatedAt": to_iso(STARTED_AT + timedelta(days=30 if changed else 20)),
            "file": f"2026151200_d26x6zSkaPSe5gCyy_export_{number}.zip",
            "contentType": "application/zip",
            "hasBoundary": True,
            "count": {"total": 9000, "completed": 9000 if changed else 4000, "error": 0},
        }
        for number in reversed(range(count))
    )
    return Client([parse_operation(document) for document in documents])


def timed(write: Callable[[Any], None], polls: Sequence[Any]) -> float:
    """Return the seconds that writing takes, and roll it back."""
    if connection.vendor == "postgresql":
        # Removes the dead rows of the rollback before.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
    with transaction.atomic():
        started = time.perf_counter()
        for one in polls:
            write(one)
        seconds = time.perf_counter() - started
        transaction.set_rollback(True)
    return seconds


def poll(one: Client) -> None:
    # The list is due at every poll, not once a day.
    Workspace.objects.update(list_due_at=None)
    result = sync_workspace("default", client=cast("Any", one))
    if not result.ok or result.skipped or len(result.changes) < len(one.operations):
        raise RuntimeError(f"The poll did not write everything: {len(result.changes)} changes")


def rows_of_polls(clients: Sequence[Client]) -> list[Rows]:
    """Poll once with each client; return what each poll wrote: all operations, and new rows."""
    written: list[Rows] = []
    newest: dict[type[models.Model], int] = {}
    with transaction.atomic():
        for one in clients:
            poll(one)
            rows: Rows = {}
            for model in (ImportOperation, StatusTransition, ProgressSample):
                manager = model._default_manager
                rows[model] = list(
                    manager.filter(pk__gt=newest.get(model, 0)).order_by("pk").values(*names(model))
                )
                if model is not ImportOperation and rows[model]:
                    newest[model] = rows[model][-1]["id"]
            written.append(rows)
        transaction.set_rollback(True)
    return written


def fields(model: type[models.Model]) -> "list[models.Field[Any, Any]]":
    """Return the fields that are written."""
    options = model._meta
    return [field for field in options.concrete_fields if not field.generated]


def names(model: type[models.Model]) -> list[str]:
    return [field.attname for field in fields(model)]


def loop(rows: Rows) -> None:
    """Write one row after the other, as a first version would."""
    keys: dict[int, int] = {}
    for row in rows[ImportOperation]:
        values = {name: value for name, value in row.items() if name != "id"}
        identity = {name: values.pop(name) for name in ("workspace", "remote_id")}
        operation, _created = ImportOperation.objects.update_or_create(values, **identity)
        keys[row["id"]] = operation.pk
    for model in (StatusTransition, ProgressSample):
        for row in rows[model]:
            model._default_manager.create(
                **{**row, "id": None, "operation_id": keys[row["operation_id"]]}
            )


def insert_statements(rows: Rows) -> list[tuple[str, list[list[Any]]]]:
    """Return a statement for each model, with its parameters."""
    statements = []
    for model, of_model in rows.items():
        columns = names(model)
        table = model._meta.db_table
        marks = ", ".join(["%s"] * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        statements.append((statement, [parameters(model, row) for row in of_model]))
    return statements


def update_statements(before: Rows, rows: Rows) -> list[tuple[str, list[list[Any]]]]:
    """Return an UPDATE for the operations, which `before` inserted, and INSERTs for the rest."""
    assert len(before[ImportOperation]) == len(rows[ImportOperation])
    inserted = {model: of_model for model, of_model in rows.items() if model is not ImportOperation}
    table = ImportOperation._meta.db_table
    columns = ", ".join(f"{name} = %s" for name in names(ImportOperation))
    updates = [[*parameters(ImportOperation, row), row["id"]] for row in rows[ImportOperation]]
    return [(f"UPDATE {table} SET {columns} WHERE id = %s", updates), *insert_statements(inserted)]


def parameters(model: type[models.Model], row: dict[str, Any]) -> list[Any]:
    """Return a row's values as the database's driver takes them."""
    return [field.get_db_prep_save(row[field.attname], connection) for field in fields(model)]


def execute_many(statements: Sequence[tuple[str, list[list[Any]]]]) -> None:
    with connection.cursor() as cursor:
        for statement, rows in statements:
            cursor.executemany(statement, rows)
