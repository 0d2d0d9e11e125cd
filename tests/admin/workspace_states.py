"""Workspaces in every state, for the dashboard to sort."""

from datetime import datetime, timedelta
from typing import Any

from importmonitor.models import SyncLease, SyncPeriod
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, workspace_at

WORKSPACES = "/admin/importmonitor/syncperiod/"

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


def save_period(alias: str, outcome: str = SyncPeriod.OK, last_at: datetime = NOON) -> None:
    """Save an hour of polls of a workspace, all with this outcome."""
    SyncLease.objects.create(workspace=alias)
    SyncPeriod.objects.create(
        workspace=alias,
        outcome=outcome,
        message="It is down." if outcome not in SyncPeriod.GOOD else "",
        first_at=last_at - timedelta(hours=1),
        last_at=last_at,
        polls=60,
    )


def save_states() -> None:
    """Save an operation for each of STATES, and polls of its workspace until NOON."""
    for number, (alias, fields) in enumerate(STATES.items()):
        make_row(number, workspace=alias, **fields).save()
        outcome = "Unreachable" if alias == "unreachable" else SyncPeriod.OK
        save_period(alias, outcome, NOON - timedelta(hours=9 if alias == "late" else 0))
