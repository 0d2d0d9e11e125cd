"""Three ways to write the same rows. Runs where the database is."""

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import django
from django.db import connection, models, transaction

django.setup()

from benchmarks.figures import by_turns  # noqa: E402 - models want Django set up
from benchmarks.writing import LOOP, OURS, RAW  # noqa: E402
from importmonitor.models import (  # noqa: E402
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
)
from importmonitor.rocketchat.operation import Operation, parse_operation  # noqa: E402
from importmonitor.sync.poll import sync_workspace  # noqa: E402
from simulator.clock import to_iso  # noqa: E402

#: How many the others write at most: their time grows with the number.
LOOPED, WRITTEN_RAW = 1_000, 10_000
FIRST_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
FOLLOWING: tuple[type[models.Model], ...] = (StatusTransition, ProgressSample)


@dataclass(frozen=True)
class Listing:
    """Stands in for the client: what a workspace's list holds, all at once, and parsed."""

    operations: Sequence[Operation]

    def current_operation(self) -> Operation:
        return self.operations[0]

    def latest_operations(self) -> Sequence[Operation]:
        return self.operations


@dataclass(frozen=True)
class Left:
    """What a look has left: of each operation the columns that are written, and what follows it.

    `following` holds, by model, pairs of an operation's place and the new row's columns.
    """

    operations: list[dict[str, Any]]
    following: dict[type[models.Model], list[tuple[int, dict[str, Any]]]]

    def first(self, most: int) -> "Left":
        """Return no more than so many operations of it, and what follows them."""
        following = {
            model: [(place, row) for place, row in rows if place < most]
            for model, rows in self.following.items()
        }
        return Left(self.operations[:most], following)


def measure(count: int) -> dict[str, list[float]]:
    """Return the seconds that each contender takes for two looks at so many, turn by turn."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    looks = [listing(count, changed=changed) for changed in (False, True)]
    lefts = left_by_ours(looks)
    looped = [left.first(LOOPED) for left in lefts]
    written = [statements(left.first(WRITTEN_RAW)) for left in lefts]
    jobs: dict[str, Callable[[], float]] = {
        OURS: lambda: timed(ours, looks),
        LOOP: lambda: timed(loop, looped) * max(1.0, count / LOOPED),
        RAW: lambda: timed(raw, written) * max(1.0, count / WRITTEN_RAW),
    }
    turns = 9 if count < 1000 else 5 if count < 50_000 else 1
    gc.collect()
    gc.freeze()
    return by_turns(turns, jobs)


def listing(count: int, *, changed: bool) -> Listing:
    """Return what Rocket.Chat would send, the newest first."""
    documents = (
        {
            "_id": f"{number:017d}",
            "type": "Slack",
            "importerKey": "slack",
            "ts": to_iso(FIRST_AT + timedelta(seconds=number)),
            "status": "importer_done" if changed else "importer_importing_messages",
            "valid": False,
            "user": "d26x6zSkaPSe5gCyy",
            "_updatedAt": to_iso(FIRST_AT + timedelta(days=30 if changed else 20)),
            "file": f"2026151200_d26x6zSkaPSe5gCyy_export_{number}.zip",
            "contentType": "application/zip",
            "hasBoundary": True,
            "count": {"total": 9000, "completed": 9000 if changed else 4000, "error": 0},
        }
        for number in reversed(range(count))
    )
    return Listing([parse_operation(document) for document in documents])


def timed(write: Callable[[Any], None], looks: Sequence[Any]) -> float:
    """Return the seconds that writing takes, and leave nothing behind."""
    if connection.vendor == "postgresql":
        # Nor anything of the rows that others wrote and took back.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
    with transaction.atomic():
        began = time.perf_counter()
        for look in looks:
            write(look)
        took = time.perf_counter() - began
        transaction.set_rollback(True)
    return took


def ours(look: Any) -> None:
    # The list is asked for once a day.
    SyncLease.objects.update(list_due_at=None)
    result = sync_workspace("default", client=look)
    if not result.ok or result.skipped or len(result.changes) < len(look.operations):
        raise RuntimeError(f"This was not the look that was meant: {len(result.changes)} changes")


def left_by_ours(looks: Sequence[Listing]) -> list[Left]:
    """Write the looks once; return what each has left."""
    found = []
    known: dict[type[models.Model], int] = dict.fromkeys(FOLLOWING, 0)
    with transaction.atomic():
        for look in looks:
            ours(look)
            operations = list(ImportOperation.objects.order_by("-started_at"))
            places = {each.pk: place for place, each in enumerate(operations)}
            following = {}
            for model in FOLLOWING:
                rows = list(model._default_manager.filter(pk__gt=known[model]).order_by("pk"))  # noqa: SLF001 - documented
                known[model] = max((row.pk for row in rows), default=known[model])
                following[model] = [
                    (places[vars(row)["operation_id"]], values(row, "operation")) for row in rows
                ]
            found.append(Left([values(each) for each in operations], following))
        transaction.set_rollback(True)
    return found


def values(row: models.Model, *left_out: str) -> dict[str, Any]:
    """Return a row's columns, less its key and what the database makes itself."""
    return {
        field.attname: getattr(row, field.attname) for field in written_fields(type(row), left_out)
    }


def written_fields(model: type[models.Model], left_out: Iterable[str] = ()) -> list[Any]:
    """Return the fields that one writes."""
    return [
        field
        for field in model._meta.concrete_fields  # noqa: SLF001 - documented by Django
        if not field.primary_key and not field.generated and field.name not in left_out
    ]


def loop(left: Left) -> None:
    """Write what one would write without much thought: an operation at a time."""
    keys = []
    for row in left.operations:
        identity = {"workspace": row["workspace"], "remote_id": row["remote_id"]}
        operation, _created = ImportOperation.objects.update_or_create(
            **identity, defaults={name: row[name] for name in row.keys() - identity.keys()}
        )
        keys.append(operation.pk)
    for model, rows in left.following.items():
        for place, row in rows:
            model._default_manager.create(operation_id=keys[place], **row)  # noqa: SLF001 - documented


def statements(left: Left) -> list[tuple[str, list[list[Any]]]]:
    """Return statements with their parameters, ready for the database's driver."""
    fields = written_fields(ImportOperation)
    columns = [field.column for field in fields]
    marks = ", ".join(["%s"] * len(columns))
    table = ImportOperation._meta.db_table  # noqa: SLF001 - documented by Django
    found = [
        (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {on_conflict(columns)}",
            [prepared(fields, row) for row in left.operations],
        )
    ]
    # The key of the operation that a row follows is in nobody's hands.
    key = f"(SELECT id FROM {table} WHERE workspace = %s AND remote_id = %s)"
    for model, rows in left.following.items():
        fields = written_fields(model, ["operation"])
        names = ", ".join(field.column for field in fields)
        marks = ", ".join(["%s"] * len(fields))
        into = f"INSERT INTO {model._meta.db_table} (operation_id, {names})"  # noqa: SLF001 - documented
        params = [
            [
                left.operations[place]["workspace"],
                left.operations[place]["remote_id"],
                *prepared(fields, row),
            ]
            for place, row in rows
        ]
        found.append((f"{into} VALUES ({key}, {marks})", params))
    return found


def on_conflict(columns: Sequence[str]) -> str:
    """Return how an INSERT updates what is there."""
    if connection.vendor == "mysql":
        updates = ", ".join(f"{name} = VALUES({name})" for name in columns)
        return f"ON DUPLICATE KEY UPDATE {updates}"
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns)
    return f"ON CONFLICT (workspace, remote_id) DO UPDATE SET {updates}"


def prepared(fields: Sequence[Any], row: dict[str, Any]) -> list[Any]:
    """Return a row's values as the driver takes them."""
    return [field.get_db_prep_save(row[field.attname], connection) for field in fields]


def raw(look: Sequence[tuple[str, list[list[Any]]]]) -> None:
    with connection.cursor() as cursor:
        for statement, rows in look:
            cursor.executemany(statement, rows)
