"""How a poll is told on a terminal: in a line for people, or as JSON for programs."""

import json
import logging
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from importmonitor import humanize
from importmonitor.management.arguments import printable
from importmonitor.models import ImportOperation
from importmonitor.sync.diff import Change
from importmonitor.sync.lease import LEASED
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors

logger = logging.getLogger(__name__)


#: Fields of a change that tell nobody anything: what was read from, and what is reckoned with.
UNTOLD = frozenset({"payload", "watched_at_progress"})


class ResultWriter:
    """Tells outcomes line by line: how it went on stdout, what is wrong on stderr.

    `describe` makes the line of a result; a `quiet` one has none when all is well. `changes_only`
    leaves out what would repeat the workspace's last line.
    """

    def __init__(
        self,
        stdout: OutputWrapper,
        stderr: OutputWrapper,
        describe: Callable[[SyncResult], str],
        *,
        quiet: bool,
    ) -> None:
        self.stdout, self.stderr = stdout, stderr
        self.describe = describe
        self.quiet = quiet
        self.changes_only = False
        self._last: dict[str, tuple[str, str]] = {}

    def write(self, outcome: SyncResult | PollFailure) -> SyncResult | None:
        """Tell how a poll went; return its result, if it came to one."""
        line = trouble = ""
        if isinstance(outcome, PollFailure):
            told = trouble_text(outcome)
            trouble = f"{outcome.workspace}: {told}"
            if self.describe is json_line:
                line = json_of_trouble(outcome, told)
        else:
            if not (self.quiet and outcome.ok):
                line = self.describe(outcome)
            if outcome.error is not None:
                trouble = f"{outcome.error.kind}: {printable(str(outcome.error))}"
        # The time left goes down by itself.
        said = (re.sub(r", about .* left\b", "", line), trouble)
        if not self.changes_only or self._last.get(outcome.workspace) != said:
            self._write(line, trouble)
        self._last[outcome.workspace] = said
        if isinstance(outcome, PollFailure):
            return None
        if outcome.notice:
            self.stderr.write(printable(outcome.notice))
        return outcome

    def _write(self, line: str, trouble: str) -> None:
        if line:
            self.stdout.write(line)
            self.stdout.flush()
        if trouble:
            self.stderr.write(trouble)


def trouble_text(trouble: PollFailure) -> str:
    """Say why a poll came to no result."""
    error = trouble.error
    if isinstance(error, database_errors()):
        # The first line: in those that follow, psycopg shows the statement.
        told = next(iter(str(error).splitlines()), type(error).__name__)
        return (
            f"the database could not be used: {told}. Is it up, and has `manage.py migrate` "
            "been run?"
        )
    logger.error("A poll of %s failed.", trouble.workspace, exc_info=error)
    return f"{type(error).__name__}: this is a mistake in importmonitor; its log has the rest."


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
        else printable(operation_text(result.operation, result.polled_at))
    )
    if result.dry_run:
        changes = "; ".join(change_text(change) for change in result.changes)
        told += f" | would change: {printable(changes) or 'nothing'}"
    return told


def operation_text(operation: ImportOperation, now: datetime) -> str:
    """Describe an operation: type, file, how it stands, its counters."""
    name = " ".join(filter(None, (operation.type, operation.file_name)))
    outcome = operation.present_outcome
    stands = outcome.value.replace("_", " ") if outcome else operation.state
    told = f"{name or operation.remote_id}: {stands}"
    if operation.status:
        told += f" ({operation.status})"
    if operation.count_completed is not None:
        total = "?" if operation.count_total is None else f"{operation.count_total:,}"
        told += f", {operation.count_completed:,} of {total}"
        if (percent := operation.percent) is not None:
            told += f", {percent} %"
    if operation.count_error:
        told += f", {operation.count_error:,} errors"
    if (left := operation.time_left(now)) is not None:
        told += f", about {humanize.format_duration(left)} left"
    if operation.is_stalled:
        told += ", stalled"
    return told


def change_text(change: Change) -> str:
    """Describe a change field by field, less the document that it was read from."""
    if change.created:
        return f"new operation {change.operation.remote_id}"
    return ", ".join(
        f"{name} {'·' if old in (None, '') else old} → {new}"
        for name, (old, new) in change.updated.items()
        if name not in UNTOLD
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


def json_of_trouble(trouble: PollFailure, told: str) -> str:
    """Describe a poll that came to no result as the same JSON object."""
    return json.dumps(
        {
            "workspace": trouble.workspace,
            "ok": False,
            "skipped": None,
            "error": {"kind": type(trouble.error).__name__, "message": told},
            "operation": None,
            "changes": [],
            "polled_at": timezone.now(),
            "duration_ms": None,
        },
        cls=DjangoJSONEncoder,
    )


def operation_json(operation: ImportOperation, now: datetime) -> dict[str, Any]:
    left = operation.time_left(now)
    return {
        "remote_id": operation.remote_id,
        "type": operation.type,
        "status": operation.status,
        "state": operation.state,
        "outcome": operation.present_outcome,
        "valid": operation.valid,
        "counters": operation.counters,
        "percent": operation.percent,
        "seconds_left": left and round(left.total_seconds()),
        "stalled": operation.is_stalled,
    }


def change_json(change: Change) -> dict[str, Any]:
    return {
        "remote_id": change.operation.remote_id,
        "created": change.created,
        "fields": {name: list(both) for name, both in change.updated.items() if name not in UNTOLD},
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
