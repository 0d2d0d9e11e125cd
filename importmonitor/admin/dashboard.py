"""What stands above the history: a card for each workspace."""

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

#: As many cards as one page shows; those that want to be looked at come first.
MOST_CARDS = 12
HISTORY = "admin:importmonitor_importoperation_changelist"


def context(now: datetime, workspace: str = "") -> dict[str, Any]:
    """Return what the dashboard's templates show; of one workspace if its alias is given."""
    aliases = [workspace] if workspace in conf.aliases() else conf.aliases()
    found = health.workspace_health(now, aliases)
    # Sorting keeps the order of the settings among those that are alike.
    found.sort(key=_urgency)
    shown = found if len(found) <= MOST_CARDS else found[:MOST_CARDS]
    rest = found[len(shown) :]
    return {
        "cards": [card(each, now) for each in shown],
        "problems": [problem for problem in conf.problems() if problem.is_error],
        "more": len(rest),
        "more_in_trouble": sum(_urgency(each) < _CALM for each in rest),
        "history_url": reverse(HISTORY),
    }


_ALARMING, _UNSEEN, _ACTIVE, _CALM = range(4)

ALARM = display.Badge(gettext_lazy("look"), "✕", "bad")
UNSEEN = display.Badge(gettext_lazy("look"), "!", "warn")
CALM = display.Badge(gettext_lazy("well"), "✓", "good")


def _urgency(workspace: health.WorkspaceHealth) -> int:
    """Tell how soon somebody should look at a workspace; less is sooner."""
    operation = workspace.operation
    if operation is not None:
        if operation.needs_attention:
            return _ALARMING
        if workspace.freshness != health.Freshness.OK:
            return _UNSEEN
        if operation.is_active:
            return _ACTIVE
    elif workspace.freshness not in (None, health.Freshness.OK):
        return _UNSEEN
    return _CALM


def card(workspace: health.WorkspaceHealth, now: datetime) -> dict[str, Any]:
    """Prepare a workspace's card."""
    operation, period = workspace.operation, workspace.period
    found: dict[str, Any] = {
        "workspace": workspace,
        "looked": display.time_since(period.last_at) if period else None,
        "late": period is not None and health.is_late(period, now),
        "since": humanize.format_duration(period.last_at - period.first_at) if period else None,
        "trouble": sync_status_label(period.outcome) if period else None,
    }
    if operation is None:
        return found
    outcome = operation.present_outcome
    return found | {
        "badge": display.operation_badge(operation),
        "progress": display.progress(operation),
        "pace": display.rate_line(operation),
        "file_name": operation.file_name,
        "started": display.time_since(operation.started_at),
        "finished": display.time_since(operation.finished_at) if operation.finished_at else None,
        "changed": display.time_since(operation.last_progress_at),
        "duration": display.format_duration(operation.duration(now)),
        "counters": display.counters(operation),
        "active": operation.is_active,
        "alarming": operation.needs_attention,
        "interrupted": outcome == Outcome.INTERRUPTED,
    }


def status_line(now: datetime) -> dict[str, Any]:
    """Say in one line how the imports of all workspaces stand."""
    found = health.workspace_health(now)
    urgencies = Counter(_urgency(each) for each in found)
    active = sum(each.operation is not None and each.operation.is_active for each in found)
    told = [
        words % {"count": humanize.format_number(count)}
        for words, count in (
            (_("%(count)s in trouble"), urgencies[_ALARMING]),
            (_("%(count)s not seen of late"), urgencies[_UNSEEN]),
            (_("%(count)s under way"), active),
        )
        if count
    ]
    badge = CALM
    if urgencies[_ALARMING]:
        badge = ALARM
    elif urgencies[_UNSEEN]:
        badge = UNSEEN
    return {
        "url": reverse(HISTORY),
        "badge": display.render_badge(badge),
        "headline": ", ".join(told) or _("nothing under way"),
    }
