"""The dashboard above the history: a card for each workspace."""

from collections import Counter
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf, humanize
from importmonitor.admin import display
from importmonitor.choices import sync_status_label
from importmonitor.models import Outcome, health

#: The most urgent workspaces get the cards.
MAX_CARDS = 12
HISTORY = "admin:importmonitor_importoperation_changelist"

_FAILED, _NOT_POLLED, _ACTIVE, _CALM = range(4)

CRITICAL = display.Badge(gettext_lazy("Critical"), "✕", "bad")
WARNING = display.Badge(gettext_lazy("Warning"), "!", "warn")
OK = display.Badge(gettext_lazy("OK"), "✓", "good")


def context(now: datetime, workspace: str = "") -> dict[str, Any]:
    """Return the context of the dashboard's templates, for one workspace or for all."""
    aliases = [workspace] if workspace in conf.get_aliases() else conf.get_aliases()
    workspaces = health.workspace_health(now, aliases)
    # A stable sort: equally urgent workspaces keep the order of the settings.
    workspaces.sort(key=_urgency)
    hidden = workspaces[MAX_CARDS:]
    return {
        "cards": [card(workspace, now) for workspace in workspaces[:MAX_CARDS]],
        "problems": [problem for problem in conf.find_problems() if problem.is_error],
        "more": len(hidden),
        "more_with_problems": sum(_urgency(workspace) < _ACTIVE for workspace in hidden),
        "history_url": reverse(HISTORY),
    }


def _urgency(workspace: health.WorkspaceHealth) -> int:
    """Return the rank of a workspace; lower is more urgent."""
    operation = workspace.operation
    if operation is not None and operation.needs_attention:
        return _FAILED
    if workspace.freshness not in (None, health.Freshness.OK):
        return _NOT_POLLED
    if operation is not None and operation.is_active:
        return _ACTIVE
    return _CALM


def card(workspace: health.WorkspaceHealth, now: datetime) -> dict[str, Any]:
    """Return the context of a workspace's card."""
    operation, period = workspace.operation, workspace.period
    values: dict[str, Any] = {"workspace": workspace}
    if period is not None:
        values |= {
            "last_poll": display.time_since(period.last_at),
            "is_late": health.is_late(period, now),
            "failing_for": humanize.format_duration(period.last_at - period.first_at),
            "sync_status": sync_status_label(period.outcome),
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
            "is_interrupted": operation.present_outcome == Outcome.INTERRUPTED,
        }
    return values


def status_line(now: datetime) -> dict[str, Any]:
    """Return the context of the line that sums up the imports of all workspaces."""
    workspaces = health.workspace_health(now)
    urgencies = Counter(_urgency(workspace) for workspace in workspaces)
    active = sum(
        workspace.operation is not None and workspace.operation.is_active
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
    badge = OK
    if urgencies[_FAILED]:
        badge = CRITICAL
    elif urgencies[_NOT_POLLED]:
        badge = WARNING
    return {
        "url": reverse(HISTORY),
        "badge": display.render_badge(badge),
        "headline": ", ".join(parts) or _("no import running"),
    }
