"""What stands above the history: a card for each workspace, and the imports of each week."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Value
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format as number
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf, health, outcomes, wording
from importmonitor.admin import display
from importmonitor.charts import Week, weeks_chart
from importmonitor.models import ImportOperation, Outcome
from importmonitor.models.operations import ImportOperationQuerySet

#: As many cards as one page shows; those that want to be looked at come first.
MOST_CARDS = 12
WEEKS = 12
HISTORY = "admin:importmonitor_importoperation_changelist"


def context(now: datetime, workspace: str = "") -> dict[str, Any]:
    """Return what the dashboard's templates show; of one workspace if its alias is given."""
    aliases = [workspace] if workspace in conf.aliases() else conf.aliases()
    found = health.workspaces(now, aliases)
    # Sorting keeps the order of the settings among those that are alike.
    found.sort(key=_urgency)
    shown = found if len(found) <= MOST_CARDS else found[:MOST_CARDS]
    rest = found[len(shown) :]
    return {
        "cards": [card(each, now) for each in shown],
        "problems": [each for each in conf.inspect()[1] if each.is_error],
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
        if outcomes.stalled(operation) or outcomes.present_outcome(operation) in outcomes.TROUBLE:
            return _ALARMING
        if workspace.freshness != health.Freshness.OK:
            return _UNSEEN
        if outcomes.is_active(operation):
            return _ACTIVE
    elif workspace.freshness not in (None, health.Freshness.OK):
        return _UNSEEN
    return _CALM


def card(workspace: health.WorkspaceHealth, now: datetime) -> dict[str, Any]:
    """Prepare a workspace's card."""
    operation, period = workspace.operation, workspace.period
    found: dict[str, Any] = {
        "workspace": workspace,
        "looked": display.ago(period.last_at) if period else None,
        "since": wording.lasting(period.last_at - period.first_at) if period else None,
    }
    if operation is None:
        return found
    outcome = outcomes.present_outcome(operation)
    return found | {
        "badge": display.badge(operation),
        "progress": display.progress(operation),
        "pace": display.pace(operation),
        "file_name": outcomes.file_name(operation),
        "started": display.at(operation.started_at),
        "finished": display.ago(operation.finished_at) if operation.finished_at else None,
        "changed": display.ago(operation.last_progress_at),
        "duration": wording.lasting(outcomes.duration(operation, now)),
        "counters": display.counters(operation),
        "active": outcomes.is_active(operation),
        "alarming": outcomes.stalled(operation) or outcome in outcomes.TROUBLE,
        "interrupted": outcome == Outcome.INTERRUPTED,
    }


def weeks(rows: ImportOperationQuerySet, today: date) -> list[Week]:
    """Count how the operations of the last weeks ended, by the week in which they began.

    In one query, which reads the index by outcome and time and nothing else.
    """
    monday = today - timedelta(days=today.weekday())
    starts = [monday - timedelta(weeks=n) for n in reversed(range(WEEKS))]
    by_week = [
        rows.filter(
            outcome__in=Outcome.values,
            started_at__gte=_midnight(start),
            started_at__lt=_midnight(start + timedelta(weeks=1)),
        )
        .order_by()
        .values("outcome")
        .annotate(week=Value(number), count=Count("*"))
        .values_list("week", "outcome", "count")
        for number, start in enumerate(starts)
    ]
    found = by_week[0].union(*by_week[1:], all=True).order_by()
    counted = {(week, outcome): count for week, outcome, count in found}
    return [
        Week(start, {each: counted.get((number, each.value), 0) for each in Outcome})
        for number, start in enumerate(starts)
    ]


def weeks_panel(workspace: str = "") -> SafeString:
    """Draw the weeks, each part a link into the list below."""
    rows = ImportOperation.objects.all()
    if workspace:
        rows = rows.filter(workspace=workspace)
    return weeks_chart(
        weeks(rows, timezone.localdate()),
        lambda week, outcome: _week_link(week, outcome, workspace),
        display.OUTCOMES,
    )


def _week_link(week: Week, outcome: Outcome, workspace: str) -> str:
    asked = {
        "outcome": outcome.value,
        "started_at__gte": _midnight(week.start).isoformat(sep=" "),
        "started_at__lt": _midnight(week.start + timedelta(weeks=1)).isoformat(sep=" "),
    }
    if workspace:
        asked["workspace"] = workspace
    return f"{reverse(HISTORY)}?{urlencode(asked)}"


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def status_line(now: datetime) -> dict[str, Any]:
    """Say in one line how the imports of all workspaces stand."""
    found = health.workspaces(now)
    urgencies = Counter(_urgency(each) for each in found)
    active = sum(
        each.operation is not None and outcomes.is_active(each.operation) for each in found
    )
    told = [
        words % {"count": number(count, force_grouping=True)}
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
        "badge": display.as_badge(badge),
        "headline": ", ".join(told) or _("nothing under way"),
    }
