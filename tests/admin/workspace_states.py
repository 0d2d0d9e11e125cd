"""Workspaces in every condition, for the dashboard to put in order."""

from datetime import datetime, timedelta
from typing import Any

from importmonitor.models import SyncLease, SyncPeriod
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, workspace_at

HEALTH = "/admin/importmonitor/syncperiod/"

#: How the operations of some workspaces stand, those first that somebody should look at.
STANDING: dict[str, dict[str, Any]] = {
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


def polled_ago(alias: str, outcome: str = SyncPeriod.OK, at: datetime = NOON) -> None:
    """Note that a workspace was looked at for the last hour, and how that went."""
    SyncLease.objects.create(workspace=alias)
    SyncPeriod.objects.create(
        workspace=alias,
        outcome=outcome,
        message="It is down." if outcome not in SyncPeriod.GOOD else "",
        first_at=at - timedelta(hours=1),
        last_at=at,
        polls=60,
    )


def stand() -> None:
    """Save an operation for each of STANDING, and how its workspace was looked at up to NOON."""
    for number, (alias, fields) in enumerate(STANDING.items()):
        make_row(number, workspace=alias, **fields).save()
        outcome = "Unreachable" if alias == "unreachable" else SyncPeriod.OK
        polled_ago(alias, outcome, NOON - timedelta(hours=9 if alias == "late" else 0))
