"""The page of a workspace: its availability, and its incidents with who was alerted."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.dateparse import parse_date
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from importmonitor import humanize
from importmonitor.admin import display, times
from importmonitor.admin.alerts import DELIVERY_BADGES, RETRYING
from importmonitor.admin_urls import admin_url
from importmonitor.charts import availability, availability_strip
from importmonitor.charts.scales import midnight
from importmonitor.choices import IncidentKind, event_label, incident_label
from importmonitor.models import Alert, Delivery, Incident, SyncPeriod, Workspace
from importmonitor.models.incidents import IncidentQuerySet
from importmonitor.models.workspace_queries import WorkspaceQuerySet
from importmonitor.permissions import RUN_IMPORT, has_perm

VIEW_ALERT = "importmonitor.view_alert"

#: The days of the figures, and their labels.
SPANS = {
    1: gettext_lazy("24 h"),
    7: gettext_lazy("7 d"),
    30: gettext_lazy("30 d"),
    90: gettext_lazy("90 d"),
}
LONGEST = timedelta(days=max(SPANS))
#: The days that the strip covers.
STRIP_DAYS = 7
#: How many periods are read for the figures: a workspace that is stable has a few in a week.
MAX_PERIODS = 5 * SyncPeriod.MAX
#: How many rows of a kind a page shows.
MAX_INCIDENTS = 30
MAX_DAY_PERIODS = 200
MAX_ALERTS = 300
MAX_INCIDENT_ALERTS = 12
#: No day is shown before this one.
_FIRST_DAY = date(2000, 1, 1)

#: The incidents that are less urgent than others.
_WARNINGS = frozenset(
    {
        *(IncidentKind.WAITING, IncidentKind.INCOMPLETE, IncidentKind.DONE_WITH_ERRORS),
        *(IncidentKind.FLAPPING, IncidentKind.UNPOLLED, IncidentKind.UNUSUAL),
    }
)

#: The availability in some days, in percent and in words; the first is "" if it was not polled.
Figures = dict[int, tuple[str, str]]


def read_day(request: HttpRequest, now: datetime) -> date | None:
    """Return the day that a URL names, None if it names none that can be shown."""
    try:
        day = parse_date(request.GET.get("day", ""))
    except ValueError:
        return None
    is_shown = day is not None and _FIRST_DAY <= day <= timezone.localdate(now)
    return day if is_shown else None


def figures(workspaces: Sequence[Workspace], now: datetime) -> dict[str, Figures]:
    """Return the availability of workspaces in each of SPANS, by alias."""
    rows = Workspace.objects.filter(pk__in=[workspace.pk for workspace in workspaces])
    all_periods, known_since = _read_periods(rows, now)
    periods = defaultdict(list)
    for period in all_periods:
        periods[period.workspace].append(period)
    return {
        workspace.alias: _figures(periods[workspace.alias], now, known_since)
        for workspace in workspaces
    }


def _read_periods(rows: WorkspaceQuerySet, now: datetime) -> tuple[list[SyncPeriod], datetime]:
    """Return the newest periods, and since when they are all that there are; in three queries.

    In six, if there are more than MAX_PERIODS.
    """
    since = now - LONGEST
    periods = rows.periods(since, now, MAX_PERIODS)
    if len(periods) < MAX_PERIODS:
        return periods, since
    since = max(since, min(period.first_at for period in periods[-MAX_PERIODS:]))
    # Again, for those that had begun by then.
    return rows.periods(since, now, MAX_PERIODS), since


def _figures(periods: Sequence[SyncPeriod], now: datetime, known_since: datetime) -> Figures:
    spans = {days: now - timedelta(days=days) for days in SPANS}
    return {
        days: availability(periods, since, now)
        if since >= known_since
        else ("", _("There are too many changes to compute this."))
        for days, since in spans.items()
    }


def context(request: HttpRequest, workspace: Workspace, site: str) -> dict[str, Any]:
    """Return the context of the page's template, of the last days or of the day in the URL."""
    now = timezone.now()
    day = read_day(request, now)
    values: dict[str, Any] = {"day": day}
    incidents = Incident.objects.filter(workspace=workspace.alias)
    if day is None:
        since = now - timedelta(days=STRIP_DAYS)
        planned = _select(incidents.filter(Q(until=None) | Q(until__gt=since)), is_maintenance=True)
        periods, known_since = _read_periods(Workspace.objects.filter(pk=workspace.pk), now)
        shown = _select(incidents.filter(until=None))
        shown += _select(incidents.filter(until__isnull=False))[: MAX_INCIDENTS - len(shown)]
        values["strip"] = _strip(workspace, periods, since, now, planned)
        values["days"] = _days(periods, timezone.localdate(since), now)
        values["figures"] = [
            (SPANS[days], *figure) for days, figure in _figures(periods, now, known_since).items()
        ]
    else:
        since, end = midnight(day), midnight(day + timedelta(days=1))
        of_day = incidents.filter(Q(until=None) | Q(until__gte=since), since__lt=end)
        planned, shown = _select(of_day, is_maintenance=True), _select(of_day)
        end = min(end, now)
        periods = Workspace.objects.filter(pk=workspace.pk).periods(since, end, MAX_PERIODS)
        values["strip"] = _strip(workspace, periods, since, end, planned)
        values["heading"] = _day_link(day)["label"]
        values["previous"], values["next"] = _neighbours(day, now)
        values["periods"] = [
            _period_entry(period, since) for period in _newest(periods, since)[:MAX_DAY_PERIODS]
        ]
    values["maintenance"] = [_incident_entry(entry, now, site) for entry in planned]
    values["incidents"] = _incident_entries(request, shown, now, site)
    values["is_cut"] = len(shown) >= MAX_INCIDENTS
    return values


def _select(rows: IncidentQuerySet, *, is_maintenance: bool = False) -> list[Incident]:
    """Return the newest of these incidents, newest first: only maintenance, or all but that."""
    kind = Q(kind=IncidentKind.MAINTENANCE)
    rows = rows.filter(kind if is_maintenance else ~kind).order_by("-since", "-pk")
    return list(rows.select_related("operation").defer("operation__payload")[:MAX_INCIDENTS])


def _strip(
    workspace: Workspace,
    periods: Sequence[SyncPeriod],
    since: datetime,
    end: datetime,
    maintenance: Sequence[Incident],
) -> SafeString:
    # That of a single import mutes its alerts, and is not the workspace's.
    spans = [(row.since, row.until or end) for row in maintenance if row.operation_id is None]
    return availability_strip(periods, since, end, name=workspace.alias, maintenance=spans)


def _days(periods: Sequence[SyncPeriod], first: date, now: datetime) -> list[dict[str, Any]]:
    """Return the links to the days of the strip, with the availability in each."""
    days = [first + timedelta(days=count) for count in range(STRIP_DAYS + 1)]
    entries = []
    for day in days:
        end = min(midnight(day + timedelta(days=1)), now)
        percent, words = availability(periods, midnight(day), end)
        entries.append(_day_link(day) | {"percent": percent or display.EMPTY, "words": words})
    return entries


def _day_link(day: date) -> dict[str, Any]:
    weekday = formats.date_format(day, "D")
    return {
        "date": day,
        "query": f"?day={day.isoformat()}",
        "label": f"{weekday} {times.format_day(day)}",
    }


def _neighbours(day: date, now: datetime) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the links to the day before and the day after, None where there is none to show."""
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    return (
        _day_link(before) if before >= _FIRST_DAY else None,
        _day_link(after) if after <= timezone.localdate(now) else None,
    )


def _newest(periods: Sequence[SyncPeriod], since: datetime) -> list[SyncPeriod]:
    """Return the periods that were not over at a time, newest first."""
    return [period for period in reversed(periods) if period.last_at >= since]


def _period_entry(period: SyncPeriod, day: datetime) -> dict[str, Any]:
    return {
        "badge": display.render_badge(display.sync_status_badge(period.outcome)),
        "since": times.format_time(period.first_at, day),
        "duration": display.format_duration(period.last_at - period.first_at),
        "polls": humanize.format_number(period.polls),
        "message": period.message,
    }


def _incident_entries(
    request: HttpRequest, incidents: Sequence[Incident], now: datetime, site: str
) -> list[dict[str, Any]]:
    entries = [_incident_entry(incident, now, site) for incident in incidents]
    if not any(has_perm(request.user, name) for name in (RUN_IMPORT, VIEW_ALERT)):
        return entries
    keys = [incident.pk for incident in incidents]
    rows = Alert.objects.filter(incident__in=keys).order_by("-pk").defer("body")[:MAX_ALERTS]
    alerts = defaultdict(list)
    for alert in rows:
        alerts[alert.incident_id].append(alert)
    for incident, entry in zip(incidents, entries, strict=True):
        newest = alerts[incident.pk]
        # The first say who was alerted, and when.
        shown = newest[::-1][:MAX_INCIDENT_ALERTS]
        entry["alerts"] = [_alert_entry(alert) for alert in shown]
        entry["more_alerts"] = len(newest) - len(shown)
        entry["shows_alerts"] = True
    return entries


def _incident_entry(incident: Incident, now: datetime, site: str) -> dict[str, Any]:
    operation = incident.operation
    url = operation and admin_url("importoperation_change", operation.pk, site=site)
    is_planned = incident.since > now
    is_maintenance = incident.kind == IncidentKind.MAINTENANCE
    return {
        "incident": incident,
        "badge": incident_badge(incident, now),
        "since": times.format_time(incident.since),
        "until": times.format_time(incident.until, incident.since) if incident.until else None,
        "is_open": incident.is_open or (incident.until is not None and incident.until > now),
        "is_planned": is_planned,
        "is_maintenance": is_maintenance,
        "is_calm": is_maintenance or incident.is_acknowledged(now),
        "duration": None if is_planned else display.format_duration(incident.duration(now)),
        "day": _day_link(timezone.localdate(incident.since))["query"],
        "operation": operation and display.operation_name(operation),
        "url": url,
        "acknowledged": times.format_time(incident.acknowledged_at),
        "acknowledged_until": incident.acknowledged_until
        and times.format_time(incident.acknowledged_until),
    }


def incident_badge(incident: Incident, now: datetime) -> SafeString:
    """Return the badge of an incident: in colour while it is open and not acknowledged."""
    label = incident_label(incident.kind)
    if incident.kind == IncidentKind.MAINTENANCE:
        badge = display.Badge(label, "⚙", "wait")
    elif not incident.is_open:
        badge = display.Badge(label, "✓", "quiet")
    elif incident.is_acknowledged(now):
        badge = display.Badge(label, "●", "wait")
    elif incident.kind in _WARNINGS:
        badge = display.Badge(label, "!", "warn")
    else:
        badge = display.Badge(label, "✕", "bad")
    return display.render_badge(badge)


def _alert_entry(alert: Alert) -> dict[str, Any]:
    """Return to which channel an alert went, and whether it was delivered."""
    delivery = Delivery(alert.delivery)
    is_retrying = delivery == Delivery.DUE and alert.attempts
    badge = RETRYING if is_retrying else DELIVERY_BADGES[delivery]
    at = alert.delivered_at or alert.given_up_at or alert.created_at
    parts = [times.format_time(at)]
    if alert.attempts > 1:
        text = ngettext("%(count)s attempt", "%(count)s attempts", alert.attempts)
        parts.append(format_html("{}", text % {"count": humanize.format_number(alert.attempts)}))
    return {
        "channel": alert.channel,
        "event": event_label(alert.event),
        "badge": display.render_badge(badge),
        "details": parts,
        "error": "" if delivery == Delivery.DELIVERED else alert.last_error,
    }
