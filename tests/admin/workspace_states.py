"""Workspaces in every state, for the dashboard to sort."""

from datetime import datetime, timedelta
from typing import Any

from importmonitor.choices import GOOD_STATUSES, OK
from importmonitor.models import ImportOperation, SyncPeriod, Workspace
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, workspace_at

WORKSPACES = "/admin/importmonitor/workspace/"

#: The fields of the workspaces' operations, by alias, the most urgent first.
STATES: dict[str, dict[str, Any]] = {
    "failed": {"end_reason": "failed", "status": "importer_import_failed", "state": "error"},
    "interrupted": {"end_reason": "interrupted", "valid": False, "state": "error"},
    "stalled": {"stalled_since": NOON - timedelta(hours=1)},
    "unreachable": {},
    "late": {},
    "running": {},
    "done": {"end_reason": "done", "status": "importer_done", "state": "done"},
    "superseded": {"end_reason": "superseded"},
}


def configure(settings: Any, *aliases: str) -> None:
    options = workspace_at("http://127.0.0.1:9")
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}


def save_period(
    alias: str,
    outcome: str = OK,
    last_at: datetime = NOON,
    operation: ImportOperation | None = None,
) -> None:
    """Save a workspace with this current operation and an hour of polls, all with this outcome."""
    first_at = last_at - timedelta(hours=1)
    is_good = outcome in GOOD_STATUSES
    message = "" if is_good else "It is down."
    period = SyncPeriod.objects.create(
        workspace=alias, outcome=outcome, message=message, first_at=first_at, last_at=first_at
    )
    row = Workspace.objects.filter(alias=alias).first() or Workspace(alias=alias)
    row.current_operation = operation
    row.sync_status, row.message = outcome, message
    row.last_polled_at = last_at
    row.first_synced_at = first_at if is_good else None
    row.last_synced_at = last_at if is_good else None
    row.failing_since = None if is_good else first_at
    row.period, row.period_started_at, row.period_polls = period, first_at, 60
    row.summarize()
    row.save()


def summarize() -> None:
    """Update what lists and totals are made from, after a test has changed an operation."""
    for row in Workspace.objects.select_related("current_operation"):
        row.summarize()
        row.save()


def save_states() -> None:
    """Save an operation for each of STATES, and polls of its workspace until NOON."""
    for number, (alias, fields) in enumerate(STATES.items()):
        operation = make_row(number, workspace=alias, **fields)
        operation.save()
        outcome = "Unreachable" if alias == "unreachable" else OK
        save_period(alias, outcome, NOON - timedelta(hours=9 if alias == "late" else 0), operation)
