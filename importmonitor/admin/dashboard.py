"""The dashboard above the history: the most urgent workspaces, figures and charts."""

from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf, humanize
from importmonitor.admin import display, figures, remarks, runs, times, weeks
from importmonitor.admin.chips import Counts
from importmonitor.admin_urls import admin_url
from importmonitor.choices import sync_status_label
from importmonitor.conf.problems import Problem
from importmonitor.models import Freshness, Viewer, Workspace

#: The most urgent workspaces get the cards.
MAX_CARDS = 4
HISTORY = "importoperation_changelist"

_FAILED, _NOT_POLLED, _ACTIVE, _CALM = range(4)
#: The names of the icons of the browser's tab, by urgency.
_ICONS = ("bad", "warn", "busy", "good")

CRITICAL = display.Badge(gettext_lazy("Critical"), "✕", "bad")
WARNING = display.Badge(gettext_lazy("Warning"), "!", "warn")
OK = display.Badge(gettext_lazy("OK"), "✓", "good")


class Tab(NamedTuple):
    """The title of the browser's tab, and its icon among the static files."""

    text: str
    icon: str


def context(
    viewer: Viewer, workspace: str, counts: Counts, site: str, *, has_incidents: bool
) -> dict[str, Any]:
    """Return the context of the dashboard's templates, for one workspace or for all ("")."""
    now = timezone.now()
    workspaces = viewer.visible_workspaces([workspace] if workspace else None)
    # A stable sort: equally urgent workspaces keep the order of the settings.
    workspaces.sort(key=lambda workspace: _urgency(workspace, now))
    shown = workspaces[:MAX_CARDS]
    if has_incidents:
        # These say what is wrong; the cards are for what runs.
        active = [row for row in workspaces if _has_active_import(row)]
        shown = active[:MAX_CARDS] or workspaces[:2]
    hidden = [row for row in workspaces if row not in shown]
    return {
        "tab": tab(workspaces, now),
        "cards": [card(workspace, now) for workspace in shown],
        "problems": _problems(viewer),
        "is_hidden": not workspaces and viewer.is_limited(),
        "more": len(hidden),
        "more_with_problems": sum(_urgency(workspace, now) < _ACTIVE for workspace in hidden),
        "figures": figures.panel(viewer, workspace, counts.last_clean, now),
        "weeks": weeks.panel(viewer, workspace),
        "runs": runs.panel(viewer, workspace, now, site),
    }


def _has_active_import(workspace: Workspace) -> bool:
    operation = workspace.current_operation
    return operation is not None and operation.is_active


def _problems(viewer: Viewer) -> list[Problem]:
    """Return the mistakes in the settings, which name workspaces."""
    problems = [problem for problem in conf.find_problems() if problem.is_error]
    return [] if problems and viewer.is_limited() else problems


def tab(workspaces: list[Workspace], now: datetime) -> Tab:
    """Return what the browser's tab says: the progress of the import that runs, or the state.

    The most urgent workspace is the first.
    """
    active = [row.current_operation for row in workspaces if _has_active_import(row)]
    urgency = _urgency(workspaces[0], now) if workspaces else _CALM
    if not any(workspace.was_polled for workspace in workspaces):
        urgency, text = _NOT_POLLED, str(display.NEVER_SYNCED.label)
    elif len(active) == 1 and (operation := active[0]) is not None:
        percent = None if operation.is_stalled else operation.percent
        state = display.badge_of(operation).label if percent is None else f"{percent} %"
        text = f"{state} · {display.kind_of(operation)}"
    else:
        text = headline(workspaces, now)
    return Tab(text, f"importmonitor/favicon-{_ICONS[urgency]}.svg")


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
            "last_poll": times.time_since(workspace.last_polled_at),
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
            "rate": display.rate_line(operation, with_range=False),
            "file_name": operation.file_name,
            "started": times.compact_time(operation.started_at),
            "finished": times.compact_time(operation.finished_at) if ended else None,
            "duration": display.format_duration(operation.duration(now)),
            "is_active": operation.is_active,
            "needs_attention": operation.needs_attention,
            # The others are on the import's page.
            "remarks": [
                remark
                for remark in remarks.of_operation(operation, workspace)
                if remark.tone != "quiet"
            ],
        }
    return values


def headline(workspaces: list[Workspace], now: datetime) -> str:
    """Return how many imports failed or run, and how many workspaces are not polled."""
    urgencies = Counter(_urgency(workspace, now) for workspace in workspaces)
    active = sum(map(_has_active_import, workspaces))
    parts = [
        text % {"count": humanize.format_number(count)}
        for text, count in (
            (_("%(count)s failed or stalled"), urgencies[_FAILED]),
            (_("%(count)s not polled recently"), urgencies[_NOT_POLLED]),
            (_("%(count)s running"), active),
        )
        if count
    ]
    return ", ".join(parts) or _("no import running")


def status_line(now: datetime, viewer: Viewer, site: str | None = None) -> dict[str, Any]:
    """Return the context of the line that sums up the imports of all visible workspaces.

    It links into the AdminSite of this name or, if that is without the history, into another.
    """
    workspaces = viewer.visible_workspaces()
    if not workspaces and viewer.is_limited():
        return {}
    urgency = min((_urgency(workspace, now) for workspace in workspaces), default=_CALM)
    badge, text = OK, headline(workspaces, now)
    if urgency == _FAILED:
        badge = CRITICAL
    elif urgency == _NOT_POLLED:
        badge = WARNING
    elif not any(workspace.was_polled for workspace in workspaces):
        badge = display.NEVER_SYNCED
        text = _("Run manage.py sync_import_status, or press Sync now.")
    return {
        "url": admin_url(HISTORY, site=site) or admin_url(HISTORY),
        "badge": display.render_badge(badge),
        "headline": text,
    }
