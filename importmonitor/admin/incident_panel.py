"""Incidents on the pages of what they are about, with what can be done about them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from importmonitor.admin import display, times
from importmonitor.admin.display import OUTCOMES, STALLED, Badge
from importmonitor.admin.forms import MORNING
from importmonitor.admin_urls import admin_url
from importmonitor.choices import INCIDENT_LABELS, IncidentKind, incident_label
from importmonitor.models import ImportOperation, Incident, Outcome, Workspace, get_viewer
from importmonitor.permissions import CHANGE_INCIDENT, can_view_incidents, has_perm

#: Incidents on the page of an import or a workspace.
MAX_INCIDENTS = 20
#: Incidents that the history page counts, and those of them that it links.
MAX_COUNTED = 100
MAX_LINKED = 5
#: Characters of a message in a list.
_MAX_MESSAGE = 120
#: Characters of a name in one line with others.
_MAX_NAME = 24


def _kind_badge(kind: IncidentKind, symbol: str, tone: str) -> Badge:
    return Badge(INCIDENT_LABELS[kind], symbol, tone)


_BADGES = {
    IncidentKind.FAILED: OUTCOMES[Outcome.FAILED],
    IncidentKind.INTERRUPTED: OUTCOMES[Outcome.INTERRUPTED],
    IncidentKind.INCOMPLETE: OUTCOMES[Outcome.INCOMPLETE],
    IncidentKind.DONE_WITH_ERRORS: OUTCOMES[Outcome.DONE_WITH_ERRORS],
    IncidentKind.STALLED: STALLED,
    IncidentKind.WAITING: _kind_badge(IncidentKind.WAITING, "‖", "wait"),
    IncidentKind.UNUSUAL: _kind_badge(IncidentKind.UNUSUAL, "≠", "wait"),
    IncidentKind.UNREACHABLE: _kind_badge(IncidentKind.UNREACHABLE, "✕", "bad"),
    IncidentKind.REFUSED: _kind_badge(IncidentKind.REFUSED, "✕", "bad"),
    IncidentKind.FLAPPING: _kind_badge(IncidentKind.FLAPPING, "↯", "bad"),
    IncidentKind.UNPOLLED: _kind_badge(IncidentKind.UNPOLLED, "?", "bad"),
    IncidentKind.MAINTENANCE: _kind_badge(IncidentKind.MAINTENANCE, "⊘", "quiet"),
}


def read_incidents(operation: ImportOperation, now: datetime) -> list[Incident]:
    """Return the incidents of an import, over or not, and what its workspace has of maintenance."""
    is_maintenance = Q(operation=None, kind=IncidentKind.MAINTENANCE) & _unfinished(now)
    rows = Incident.objects.filter(
        Q(operation=operation) | is_maintenance, workspace=operation.workspace
    )
    # The newest, and the oldest of these first.
    incidents = list(rows.order_by("-since")[:MAX_INCIDENTS])[::-1]
    for incident in incidents:
        if incident.operation_id == operation.pk:
            incident.operation = operation
    return incidents


def of_operation(
    request: HttpRequest, operation: ImportOperation, rows: Sequence[Incident]
) -> dict[str, Any]:
    """Return the context of `importmonitor/incident_panel.html` for the page of an import.

    `rows` are those of `read_incidents`.
    """
    now = timezone.now()
    present = [row for row in rows if row.until is None or row.until > now]
    incidents, maintenance = _split(present)
    is_muted = any(row.since <= now for row in maintenance)
    return _context(request, incidents, maintenance, now) | {
        "workspace": operation.workspace,
        "operation": operation,
        "can_mute": operation.is_active and not is_muted,
    }


def of_workspace(request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
    """Return the context for the page of a workspace: its incidents, and those of its imports."""
    now = timezone.now()
    incidents, maintenance = _present(Q(workspace=workspace.alias), now)
    context = _context(request, incidents, maintenance, now)
    return context | {
        "workspace": workspace.alias,
        "can_plan": context["can_change"],
        "is_listed": True,
    }


def of_incident(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """Return the context for the page of an incident: what can be done about it and its subject."""
    return _of_incident(request, incident) | {"is_listed": True}


def _of_incident(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    now, operation = timezone.now(), incident.operation
    if incident.kind == IncidentKind.MAINTENANCE:
        rows = [incident] if incident.until is None or incident.until > now else []
        return _context(request, [], rows, now)
    if not incident.is_open:
        return _context(request, [], [], now)
    _others, maintenance = _present(Q(workspace=incident.workspace, operation=operation), now)
    context = _context(request, [incident], maintenance, now) | {"workspace": incident.workspace}
    if operation is None:
        return context | {"can_plan": context["can_change"]}
    return context | {
        "operation": operation,
        "can_mute": operation.is_active and not maintenance,
    }


def of_incidents(request: HttpRequest, incidents: Sequence[Incident]) -> dict[str, Any]:
    """Return the context for the page that asks until when they are acknowledged."""
    return _context(request, incidents, [], timezone.now())


def summary(request: HttpRequest, workspace: str = "") -> dict[str, Any]:
    """Return the context of `importmonitor/incidents.html`: what is open, of one workspace or all.

    One query, whatever there is.
    """
    now = timezone.now()
    rows = Incident.objects.open().visible_to(get_viewer(request))
    if workspace:
        rows = rows.filter(workspace=workspace)
    incidents = list(
        rows.select_related("operation").defer("operation__payload")[: MAX_COUNTED + 1]
    )
    counted = incidents[:MAX_COUNTED]
    acknowledged = [row for row in counted if row.is_acknowledged(now)]
    unacknowledged = [row for row in counted if not row.is_acknowledged(now)]
    linked = [*unacknowledged, *acknowledged][:MAX_LINKED]
    return {
        "can_view": can_view_incidents(request.user),
        "count": len(counted),
        "has_more": len(incidents) > MAX_COUNTED,
        "acknowledged": len(acknowledged),
        "oldest": times.time_since(counted[0].since) if counted else "",
        "rows": [
            {
                "incident": incident,
                "badge": badge(incident, is_quiet=incident.is_acknowledged(now)),
                "short_name": _short_name(incident),
            }
            for incident in linked
        ],
        "more": len(counted) - len(linked),
    }


def with_subjects(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """Return incidents with what `subject` links to."""
    workspaces = Workspace.objects.filter(alias=OuterRef("workspace")).order_by()
    rows = incidents.select_related("operation").defer("operation__payload")
    return rows.annotate(workspace_pk=Subquery(workspaces.values("pk")[:1]))


def badge(incident: Incident, *, is_quiet: bool = False) -> SafeString:
    """Return the badge of the kind; it is quiet if the incident is over, or on request."""
    try:
        badge = _BADGES[IncidentKind(incident.kind)]
    except ValueError:
        badge = Badge(incident_label(incident.kind), "?", "wait")
    if is_quiet or not incident.is_open:
        badge = badge._replace(tone="quiet")
    return display.render_badge(badge)


def subject(incident: Incident, site: str, *, with_message: bool = False) -> SafeString:
    """Return what an incident is about, linked if its page is in this admin site.

    `with_message` adds the beginning of its message.
    """
    operation, workspace = incident.operation, format_html("<bdi>{}</bdi>", incident.workspace)
    if operation is None:
        key = getattr(incident, "workspace_pk", None)
        url = admin_url("workspace_change", key, site=site) if key else None
        message = Truncator(incident.message).chars(_MAX_MESSAGE) if with_message else ""
        text, detail = workspace, format_html("<bdi>{}</bdi>", message) if message else ""
    else:
        url = admin_url("importoperation_change", operation.pk, site=site)
        text, detail = display.operation_name(operation), workspace
    line = format_html('<a href="{}">{}</a>', url, text) if url else text
    if not detail:
        return line
    return format_html('{}&#32;<span class="im-file im-second">{}</span>', line, detail)


def acknowledgement(incident: Incident, now: datetime) -> str:
    """Return by whom, when, until when and why it was acknowledged; "" if it was not."""
    if incident.acknowledged_at is None:
        return ""
    until = incident.acknowledged_until
    values = {
        "name": format_html("<bdi>{}</bdi>", incident.acknowledged_by or display.EMPTY),
        "time": times.compact_time(incident.acknowledged_at),
        "until": times.format_time(until),
    }
    if until is None and incident.is_open and incident.kind != IncidentKind.MAINTENANCE:
        line = format_html(_("by {name}, {time}, until it is over"), **values)
    elif until is None:
        line = format_html(_("by {name}, {time}"), **values)
    elif until > now:
        line = format_html(_("by {name}, {time}, until {until}"), **values)
    else:
        line = format_html(_("by {name}, {time}; not since {until}"), **values)
    if not incident.note:
        return line
    note = Truncator(incident.note).chars(_MAX_MESSAGE)
    return format_html('{}&#32;<span class="im-file im-second">“<bdi>{}</bdi>”</span>', line, note)


def _present(subject: Q, now: datetime) -> tuple[list[Incident], list[Incident]]:
    """Return the open incidents of a subject, and its present and planned maintenance."""
    rows = Incident.objects.filter(subject & _unfinished(now)).order_by("since")
    return _split(rows.select_related("operation").defer("operation__payload")[:MAX_INCIDENTS])


def _unfinished(now: datetime) -> Q:
    return Q(until=None) | Q(kind=IncidentKind.MAINTENANCE, until__gt=now)


def _split(rows: Iterable[Incident]) -> tuple[list[Incident], list[Incident]]:
    """Return the incidents, and the maintenance."""
    parts: tuple[list[Incident], list[Incident]] = ([], [])
    for row in rows:
        parts[row.kind == IncidentKind.MAINTENANCE].append(row)
    return parts


def _context(
    request: HttpRequest,
    incidents: Sequence[Incident],
    maintenance: Sequence[Incident],
    now: datetime,
) -> dict[str, Any]:
    return {
        "incidents": [_row(incident, now) for incident in incidents],
        "maintenance": [_row(incident, now) for incident in maintenance],
        "can_change": has_perm(request.user, CHANGE_INCIDENT),
        # Whether the page itself lists the incidents, with all that is known of them.
        "is_listed": False,
        "next": request.get_full_path(),
        "morning": f"{MORNING:%H:%M}",
        "time_zone": timezone.get_current_timezone_name(),
    }


def _short_name(incident: Incident) -> str:
    """Return the name of the import's file, or the workspace."""
    operation = incident.operation
    name = incident.workspace if operation is None else operation.file_name or str(operation)
    return Truncator(name).chars(_MAX_NAME)


def _row(incident: Incident, now: datetime) -> dict[str, Any]:
    operation = incident.operation
    return {
        "incident": incident,
        "badge": badge(incident),
        "name": display.operation_name(operation) if operation else "",
        "since": times.format_time(incident.since),
        "until": times.format_time(incident.until, incident.since) if incident.until else "",
        "duration": display.format_duration(incident.duration(now)),
        "is_acknowledged": incident.is_acknowledged(now),
        "is_planned": incident.since > now,
        "acknowledgement": acknowledgement(incident, now),
    }
