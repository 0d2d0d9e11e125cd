"""`manage.py sync_import_status`: look at Rocket.Chat's imports once, and store what is new."""

import gc
import json
import signal
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError

from importmonitor import outcomes
from importmonitor.changes import Change
from importmonitor.looking import LEASED
from importmonitor.management.arguments import (
    FAILED,
    add_workspace_argument,
    chosen,
    printable,
)
from importmonitor.models import ImportOperation
from importmonitor.rocketchat.operation import COUNTS
from importmonitor.sync import SyncResult, sync_workspace

#: Exit status with --fail-on-import-error: all could be looked at, and an import is in trouble.
IMPORT_FAILED = 3
#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Look at the current import operation of each Rocket.Chat workspace and store what is "
        "new. Exit status: 0 all were looked at, 1 one or more could not be, 2 bad usage or "
        "configuration, 3 with --fail-on-import-error: an import failed, was interrupted or is "
        "stalled."
    )
    # The checks of a whole site load its URLs, its admin and DRF, and cost a cron command as much
    # as all that it does (benchmarks/). The settings that matter here are validated on use.
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a process of its own, which `call_command` does not come through."""
        # What is loaded by now stays to the end: looking through it for garbage, last of all when
        # the interpreter ends, takes longer than the poll (benchmarks/startup.py).
        gc.freeze()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            # By Ctrl-C or SIGTERM. The lease has been given back on the way here.
            sys.exit(INTERRUPTED)

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_workspace_argument(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would change and write nothing"
        )
        parser.add_argument(
            "--format",
            choices=("text", "json"),
            default="text",
            help="json: one object a line for each workspace (default: text)",
        )
        parser.add_argument(
            "--fail-on-import-error",
            action="store_true",
            help="exit with 3 if an import failed, was interrupted or is stalled",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        describe = json_line if options["format"] == "json" else text_line
        results = []
        for workspace in chosen(options["workspace"]):
            try:
                result = sync_workspace(workspace.alias, dry_run=options["dry_run"])
            except DatabaseError as error:
                # The first line: in those that follow, psycopg shows the statement.
                told = next(iter(str(error).splitlines()), type(error).__name__)
                raise CommandError(
                    f"{workspace.alias}: the database could not be used: {told}. Is it up, and "
                    "has `manage.py migrate` been run?",
                    returncode=FAILED,
                ) from None
            results.append(result)
            if options["verbosity"] > 0 or not result.ok:
                self.stdout.write(describe(result))
            if result.error is not None:
                self.stderr.write(f"{result.error.kind}: {printable(str(result.error))}")
        if not all(result.ok for result in results):
            sys.exit(FAILED)
        if options["fail_on_import_error"] and any(
            result.operation is not None and in_trouble(result.operation) for result in results
        ):
            sys.exit(IMPORT_FAILED)


def in_trouble(operation: ImportOperation) -> bool:
    """Tell whether an operation failed, was interrupted or is stalled."""
    return outcomes.stalled(operation) or outcomes.outcome(operation) in outcomes.TROUBLE


def text_line(result: SyncResult) -> str:
    """Describe a poll in one line for people."""
    told = f"{result.workspace}: "
    if result.error is not None:
        return f"{told}could not be looked at ({result.error.kind})"
    if result.skipped == LEASED:
        return f"{told}skipped, being synced by another process"
    if result.skipped is not None:
        return f"{told}skipped, not to be asked {result.skipped.removeprefix('not ')}"
    told += (
        "nothing was ever imported"
        if result.operation is None
        else printable(operation_text(result.operation))
    )
    if result.dry_run:
        changes = "; ".join(change_text(change) for change in result.changes)
        told += f" | would change: {printable(changes) or 'nothing'}"
    return told


def operation_text(operation: ImportOperation) -> str:
    """Describe an operation: type, file, how it stands, its counters."""
    name = " ".join(filter(None, (operation.type, outcomes.file_name(operation))))
    outcome = outcomes.outcome(operation)
    stands = outcome.value.replace("_", " ") if outcome else operation.state
    told = f"{name or operation.remote_id}: {stands}"
    if operation.status:
        told += f" ({operation.status})"
    if operation.count_completed is not None:
        total = "?" if operation.count_total is None else f"{operation.count_total:,}"
        told += f", {operation.count_completed:,} of {total}"
        if (percent := outcomes.percent(operation)) is not None:
            told += f", {percent} %"
    if operation.count_error:
        told += f", {operation.count_error:,} errors"
    if outcomes.stalled(operation):
        told += ", stalled"
    return told


def change_text(change: Change) -> str:
    """Describe a change field by field, less the document that it was read from."""
    if change.created:
        return f"new operation {change.operation.remote_id}"
    return ", ".join(
        f"{name} {'·' if old in (None, '') else old} → {new}"
        for name, (old, new) in change.updated.items()
        if name != "payload"
    )


def json_line(result: SyncResult) -> str:
    """Describe a poll as one JSON object; DESIGN's contract with other programs."""
    operation = result.operation
    return json.dumps(
        {
            "workspace": result.workspace,
            "ok": result.ok,
            "skipped": result.skipped,
            "error": result.error and {"kind": result.error.kind, "message": str(result.error)},
            "operation": operation and operation_json(operation, result.polled_at),
            "changes": [change_json(change) for change in result.changes],
            "polled_at": result.polled_at,
            "duration_ms": round(result.duration.total_seconds() * 1000, 1),
        },
        cls=DjangoJSONEncoder,
    )


def operation_json(operation: ImportOperation, now: datetime) -> dict[str, Any]:
    left = outcomes.time_left(operation, now)
    return {
        "remote_id": operation.remote_id,
        "type": operation.type,
        "status": operation.status,
        "state": operation.state,
        "outcome": outcomes.outcome(operation),
        "valid": operation.valid,
        "counters": {name: getattr(operation, f"count_{name}") for name in COUNTS},
        "percent": outcomes.percent(operation),
        "seconds_left": left and round(left.total_seconds()),
        "stalled": outcomes.stalled(operation),
    }


def change_json(change: Change) -> dict[str, Any]:
    return {
        "remote_id": change.operation.remote_id,
        "created": change.created,
        "fields": {name: list(both) for name, both in change.updated.items() if name != "payload"},
        "transitions": [
            {
                "from_status": transition.from_status,
                "to_status": transition.to_status,
                "from_state": transition.from_state,
                "to_state": transition.to_state,
                "reason": transition.reason,
            }
            for transition in change.transitions
        ],
    }
