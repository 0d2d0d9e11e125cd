"""The results of polls on a terminal: a line of text for people, or JSON for programs."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from importmonitor import humanize
from importmonitor.logs import get_logger, printable
from importmonitor.models import ImportOperation
from importmonitor.sync.change import Change
from importmonitor.sync.lease import LEASED, NOT_BEFORE
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors

logger = get_logger(__name__)

#: Fields of a change that are not shown: the document, and a value for internal arithmetic.
HIDDEN_FIELDS = frozenset({"payload", "watched_at_progress"})


class ResultWriter:
    """Writes the results of polls line by line: results to stdout, errors to stderr.

    `describe` makes the line of a result; with `quiet`, a successful one has none. With
    `changes_only`, a line that repeats the workspace's previous one is left out.
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
        self._previous: dict[str, tuple[str, str]] = {}

    def write(self, result: SyncResult | PollFailure) -> SyncResult | None:
        """Write the result of a poll and return it; None for a PollFailure."""
        line = error = ""
        if isinstance(result, PollFailure):
            message = printable(failure_text(result))
            error = f"{result.workspace}: {message}"
            if self.describe is json_line:
                line = failure_json(result, message)
        else:
            if not (self.quiet and result.ok):
                line = self.describe(result)
            if result.error is not None:
                error = f"{result.error.kind}: {printable(str(result.error))}"
        # The time left changes with every poll.
        written = (re.sub(r", about .* left\b", "", line), error)
        if not self.changes_only or self._previous.get(result.workspace) != written:
            self._write(line, error)
        self._previous[result.workspace] = written
        if isinstance(result, PollFailure):
            return None
        if result.notice:
            self.stderr.write(printable(result.notice))
        return result

    def _write(self, line: str, error: str) -> None:
        if line:
            self.stdout.write(line)
            self.stdout.flush()
        if error:
            self.stderr.write(error)


def failure_text(failure: PollFailure) -> str:
    """Return why a poll has no result."""
    error = failure.error
    if isinstance(error, database_errors()):
        # Only the first line: in the following ones, psycopg quotes the statement.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return (
            f"the database could not be used: {reason}. Is it up, and has `manage.py migrate` "
            "been run?"
        )
    logger.error("A poll of %s failed.", failure.workspace, exc_info=error)
    return f"{type(error).__name__}: this is a bug in importmonitor; its log has the traceback."


def text_line(result: SyncResult) -> str:
    """Return the result of a poll as a line of text."""
    if result.error is not None:
        text = f"sync failed ({result.error.kind})"
    elif result.skipped == LEASED:
        text = "skipped, being synced by another process"
    elif result.skipped is not None:
        until = result.skipped.removeprefix(NOT_BEFORE)
        text = f"skipped, rate limited by Rocket.Chat until {until}"
    elif result.operation is None:
        text = "nothing was ever imported"
    else:
        text = printable(operation_text(result.operation, result.polled_at))
    if result.dry_run and result.ok and result.skipped is None:
        changes = "; ".join(change_text(change) for change in result.changes)
        text += f" | would change: {printable(changes) or 'nothing'}"
    return f"{result.workspace}: {text}"


def operation_text(operation: ImportOperation, now: datetime) -> str:
    """Return an operation's type, file, state and counters as text."""
    name = " ".join(filter(None, (operation.type, operation.file_name)))
    outcome = operation.present_outcome
    state = outcome.value.replace("_", " ") if outcome else operation.state
    text = f"{name or operation.remote_id}: {state}"
    if operation.status:
        text += f" ({operation.status})"
    if (completed := operation.shown_completed) is not None:
        total = "?" if operation.count_total is None else f"{operation.count_total:,}"
        text += f", {completed:,} of {total}"
        if (percent := operation.percent) is not None:
            text += f", {percent} %"
    if operation.count_error:
        text += f", {operation.count_error:,} errors"
    if (time_left := operation.time_left(now)) is not None:
        text += f", about {humanize.format_duration(time_left.expected)} left"
    if operation.is_stalled:
        text += ", stalled"
    return text


def change_text(change: Change) -> str:
    """Return the changed fields of an operation as text."""
    if change.created:
        return f"new operation {change.operation.remote_id}"
    return ", ".join(
        f"{name} {'·' if old in (None, '') else old} → {new}"
        for name, (old, new) in change.updated.items()
        if name not in HIDDEN_FIELDS
    )


def json_line(result: SyncResult) -> str:
    """Return the result of a poll as a JSON object, whose keys are a contract."""
    operation = result.operation
    return _dump(
        workspace=result.workspace,
        ok=result.ok,
        skipped=result.skipped,
        error=result.error and {"kind": result.error.kind, "message": str(result.error)},
        operation=operation and operation_json(operation, result.polled_at),
        changes=[change_json(change) for change in result.changes],
        polled_at=result.polled_at,
        duration_ms=round(result.duration.total_seconds() * 1000, 1),
    )


def failure_json(failure: PollFailure, message: str) -> str:
    """Return a poll without a result as the same JSON object."""
    return _dump(
        workspace=failure.workspace,
        ok=False,
        skipped=None,
        error={"kind": type(failure.error).__name__, "message": message},
        operation=None,
        changes=[],
        polled_at=timezone.now(),
        duration_ms=None,
    )


def _dump(**values: Any) -> str:
    return json.dumps(values, cls=DjangoJSONEncoder)


def operation_json(operation: ImportOperation, now: datetime) -> dict[str, Any]:
    time_left = operation.time_left(now)
    return {
        "remote_id": operation.remote_id,
        "type": operation.type,
        "status": operation.status,
        "state": operation.state,
        "outcome": operation.present_outcome,
        "valid": operation.valid,
        "counters": operation.counters,
        "percent": operation.percent,
        "seconds_left": time_left and time_left.seconds()[0],
        "stalled": operation.is_stalled,
    }


def change_json(change: Change) -> dict[str, Any]:
    return {
        "remote_id": change.operation.remote_id,
        "created": change.created,
        "fields": {
            name: [old, new]
            for name, (old, new) in change.updated.items()
            if name not in HIDDEN_FIELDS
        },
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
