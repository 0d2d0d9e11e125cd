"""The dashboard above the history: a card for each workspace."""

from collections import Counter
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf, humanize
from importmonitor.admin import display, remarks
from importmonitor.admin_urls import admin_url
from importmonitor.choices import sync_status_label
from importmonitor.conf.problems import Problem
from importmonitor.models import Freshness, Viewer, Workspace

#: The most urgent workspaces get the cards.
MAX_CARDS = 12
HISTORY = "importoperation_changelist"

_FAILED, _NOT_POLLED, _ACTIVE, _CALM = range(4)

CRITICAL = display.Badge(gettext_lazy("Critical"), "✕", "bad")
WARNING = display.Badge(gettext_lazy("Warning"), "!", "warn")
OK = display.Badge(gettext_lazy("OK"), "✓", "good")


def context(now: datetime, viewer: Viewer, workspace: str = "") -> dict[str, Any]:
    """Return the context of the dashboard's templates, for one workspace or for all."""
    workspaces = viewer.visible_workspaces([workspace] if workspace else None)
    # A stable sort: equally urgent workspaces keep the order of the settings.
    workspaces.sort(key=lambda workspace: _urgency(workspace, now))
    hidden = workspaces[MAX_CARDS:]
    return {
        "cards": [card(workspace, now) for workspace in workspaces[:MAX_CARDS]],
        "problems": _problems(viewer),
        "is_hidden": not workspaces and viewer.is_limited(),
        "more": len(hidden),
        "more_with_problems": sum(_urgency(workspace, now) < _ACTIVE for workspace in hidden),
    }


def _problems(viewer: Viewer) -> list[Problem]:
    """Return the mistakes in the settings, which name workspaces."""
    problems = [problem for problem in conf.find_problems() if problem.is_error]
    return [] if problems and viewer.is_limited() else problems


def _urgency(workspace: Workspace, now: datetime) -> int:
    """Return the rank of a workspace; lower is more urgent."""
    operation = workspace.current_operation
    if operation is not None and operation.needs_attention:
        return _FAILED
    if workspace.freshness(now) not in (None, Freshness.OK):
        return _NOT_POLLED
    if operation is not None and operation.is_active:
        return _ACTIVE
    return _CALM


def card(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """Return the context of a workspace's card."""
    operation, freshness = workspace.current_operation, workspace.freshness(now)
    values: dict[str, Any] = {
        "workspace": workspace,
        "freshness": freshness.value if freshness else "",
    }
    if workspace.last_polled_at is not None:
        since = workspace.period_started_at or workspace.last_polled_at
        values |= {
            "last_poll": display.time_since(workspace.last_polled_at),
            "is_late": workspace.is_late(now),
            "polls": humanize.format_number(workspace.period_polls),
            "failing_for": humanize.format_duration(workspace.last_polled_at - since),
            "sync_status": sync_status_label(workspace.sync_status),
        }
    if operation is not None:
        ended = operation.finished_at is not None and not operation.is_active
        values |= {
            "badge": display.operation_badge(operation),
            "progress": display.progress(operation),
            "rate": display.rate_line(operation),
            "file_name": operation.file_name,
            "started": display.time_since(operation.started_at),
            "finished": display.time_since(operation.finished_at) if ended else None,
            "last_change": display.time_since(operation.last_progress_at),
            "duration": display.format_duration(operation.duration(now)),
            "counters": display.counters(operation),
            "is_active": operation.is_active,
            "needs_attention": operation.needs_attention,
            "remarks": remarks.of_operation(operation, workspace),
        }
    return values


def status_line(now: datetime, viewer: Viewer, site: str | None = None) -> dict[str, Any]:
    """Return the context of the line that sums up the imports of all visible workspaces.

    It links into the AdminSite of this name or, if that is without the history, into another.
    """
    workspaces = viewer.visible_workspaces()
    if not workspaces and viewer.is_limited():
        return {}
    urgencies = Counter(_urgency(workspace, now) for workspace in workspaces)
    active = sum(
        workspace.current_operation is not None and workspace.current_operation.is_active
        for workspace in workspaces
    )
    parts = [
        text % {"count": humanize.format_number(count)}
        for text, count in (
            (_("%(count)s failed or stalled"), urgencies[_FAILED]),
            (_("%(count)s not polled recently"), urgencies[_NOT_POLLED]),
            (_("%(count)s running"), active),
        )
        if count
    ]
    badge, idle = OK, _("no import running")
    if urgencies[_FAILED]:
        badge = CRITICAL
    elif urgencies[_NOT_POLLED]:
        badge = WARNING
    elif not any(workspace.was_polled for workspace in workspaces):
        badge = display.NEVER_SYNCED
        idle = _("Run manage.py sync_import_status, or press Sync now.")
    return {
        "url": admin_url(HISTORY, site=site) or admin_url(HISTORY),
        "badge": display.render_badge(badge),
        "headline": ", ".join(parts) or idle,
    }
