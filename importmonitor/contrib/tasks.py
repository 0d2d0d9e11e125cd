"""Polls on Django's own task framework (Django 6.0 and later), by whatever backend runs it.

    from importmonitor.contrib.tasks import sync_workspaces
    sync_workspaces.enqueue()

Django schedules nothing by itself: cron, or the backend's own timer, enqueues `sync_workspaces`.
"""

from typing import Any

from django.tasks import task

from importmonitor import conf
from importmonitor.sync import poll as sync


@task
def sync_workspaces() -> int:
    """Enqueue a poll of every workspace; return how many."""
    aliases = conf.aliases()
    for alias in aliases:
        sync_workspace.enqueue(alias)
    return len(aliases)


@task
def sync_workspace(alias: str) -> dict[str, Any]:
    """Poll a workspace; return how that went. Two at once do no harm: one finds the lease taken."""
    result = sync.sync_workspace(alias)
    return {
        "workspace": alias,
        "skipped": result.skipped,
        "error": result.error.kind if result.error else None,
    }
