"""Polls on Django's own task framework (Django 6.0 and later), with any backend.

    from importmonitor.contrib.tasks import sync_workspaces
    sync_workspaces.enqueue()

Django does not schedule tasks: enqueue `sync_workspaces`, and each morning `send_import_digests`,
from cron or the backend's scheduler.
"""

from typing import Any

from django.tasks import task

from importmonitor import conf
from importmonitor.sync import poll as sync
from importmonitor.sync.digests import send_digests
from importmonitor.sync.heartbeat import report_stored
from importmonitor.sync.register import register_configured
from importmonitor.sync.reminders import review_and_deliver


@task
def sync_workspaces() -> int:
    """Enqueue a poll of every workspace and return their number.

    HEARTBEAT_URL gets the stored results, of the rounds before.
    """
    report_stored()
    register_configured()
    count = 0
    for alias in conf.get_workspaces():
        sync_workspace.enqueue(alias)
        count += 1
    review_and_deliver()
    return count


@task
def send_import_digests() -> int:
    """Send the digests of the last day and week that were not sent before; return their number."""
    return send_digests()


@task
def sync_workspace(alias: str) -> dict[str, Any]:
    """Poll a workspace and return the result. Of concurrent polls, all but one are skipped."""
    result = sync.sync_workspace(alias)
    return {
        "workspace": alias,
        "skipped": result.skipped,
        "error": result.error.kind if result.error else None,
    }
