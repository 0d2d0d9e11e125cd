"""The context of the template of an operation's page."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.admin.utils import label_for_field
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from importmonitor import conf
from importmonitor.admin import advice, display, notify_me, remarks, timeline
from importmonitor.admin.times import format_minute, format_time
from importmonitor.alerts.subscriptions import read_user_names
from importmonitor.charts import durations_chart, progress_chart
from importmonitor.models import (
    Alert,
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    Workspace,
    earlier_of_kind,
    find_unusual,
)
from importmonitor.permissions import RUN_IMPORT, has_perm

MAX_SAMPLES = 1000
VIEW_ALERT = "importmonitor.view_alert"

_REMOTE_FIELDS = (
    *("remote_id", "type", "importer_key", "status", "state", "valid", "remote_user_id"),
    "remote_user_name",
    *("file", "content_type", "remote_started_at", "remote_updated_at"),
)
_OWN_FIELDS = (
    *("workspace", "first_seen_at", "last_seen_at", "last_progress_at", "invalidated_at"),
    *("finished_at", "end_reason", "gone_at"),
)


def context(
    operation: ImportOperation, request: HttpRequest, incidents: Sequence[Incident]
) -> dict[str, Any]:
    """Return what the page shows of an operation; each part is read once for all."""
    now = timezone.now()
    rows = Workspace.objects.filter(alias=operation.workspace)
    workspace = next(iter(rows), None)
    transitions = _newest_transitions(operation)
    neighbours = ImportOperation.objects.neighbours(operation)
    links = conf.get_links(operation.workspace)
    can_retry = has_perm(request.user, RUN_IMPORT)
    can_view_alerts = can_retry or has_perm(request.user, VIEW_ALERT)
    alerts = _alerts(operation) if can_view_alerts else None
    # An operation that runs again still has the time of its first end.
    end = now if operation.is_active else operation.finished_at or now
    chart = progress_chart(
        operation,
        ProgressSample.objects.spread(operation, MAX_SAMPLES),
        transitions,
        rows.periods(operation.started_at, end),
        now,
    )
    return {
        "older": neighbours.older,
        "newer": neighbours.newer,
        "operation": operation,
        "is_active": operation.is_active,
        "summary": summary(operation, workspace, transitions, now),
        "usual": usual(operation, now),
        "advice": advice.of_operation(
            operation, transitions, workspace, neighbours.downloads, links, now
        ),
        "note_time": format_time(operation.note_at, operation.started_at),
        "import_page": links.import_page,
        "chart": display.keep_spaces(chart),
        "entries": timeline.build(
            operation, transitions, alerts or (), now, can_retry=can_retry, incidents=incidents
        ),
        "is_cut": len(transitions) == timeline.MAX_TRANSITIONS,
        "remote_fields": _fields(operation, _REMOTE_FIELDS),
        "own_fields": _fields(operation, _OWN_FIELDS),
        "unreadable": ", ".join(operation.unreadable) or _("none"),
        "payload": display.pretty_json(operation.payload),
        "curl": _curl(operation, request),
        **notify_me.context(request, operation, alerts),
    }


def summary(
    operation: ImportOperation,
    workspace: Workspace | None,
    transitions: Sequence[StatusTransition],
    now: datetime,
) -> dict[str, Any]:
    """Return the name, the status, the times and the counters."""
    counters = display.counters(operation)
    if operation.count_error is not None:
        counters[_("Errors")] = display.format_count(operation.count_error)
    format_here = partial(format_time, day=operation.started_at)
    has_ended = operation.finished_at is not None and not operation.is_active
    return {
        "kind": operation.type or operation.importer_key or operation.remote_id,
        "file_name": operation.file_name,
        "day": format_minute(operation.started_at),
        "badge": display.operation_badge(operation),
        "progress": display.progress(operation),
        "rate": display.rate_line(operation),
        "remarks": remarks.of_operation(operation, workspace, transitions, format_here),
        "full_count": _full_count(operation),
        "started": format_time(operation.started_at),
        "has_ended": has_ended,
        "ended": timeline.ended_line(operation, timeline.end_recorded_at(operation, transitions)),
        "duration": display.format_duration(operation.duration(now)),
        "counters": counters,
    }


def page_title(operation: ImportOperation) -> str:
    """Return the title of the window."""
    names = (operation.type or operation.importer_key, operation.file_name)
    return " · ".join(filter(None, names)) or operation.remote_id


def usual(operation: ImportOperation, now: datetime) -> dict[str, Any] | None:
    """Return how long earlier imports of its kind took, None if there are not two of them."""
    earlier = earlier_of_kind(operation)
    if len(earlier) < 2:
        return None
    durations = [row.duration(now) for row in earlier]
    unusual = find_unusual(operation, earlier, now)
    return {
        "count": len(earlier),
        "kind": operation.type or operation.importer_key,
        "low": display.format_duration(min(durations)),
        "high": display.format_duration(max(durations)),
        "unusual": unusual.label if unusual else "",
        "chart": durations_chart(operation, earlier, now),
    }


def _newest_transitions(operation: ImportOperation) -> list[StatusTransition]:
    """Return the newest transitions, oldest first."""
    newest = operation.transitions.order_by("-observed_at", "-pk")[: timeline.MAX_TRANSITIONS]
    return list(newest)[::-1]


def _alerts(operation: ImportOperation) -> list[Alert]:
    """Return the newest alerts about an operation, oldest first; the undelivered in any case."""
    # By the values of Delivery, of which "delivered" is the first.
    newest = operation.alerts.order_by("-delivery", "-pk").defer("body")[: timeline.MAX_ALERTS]
    alerts = sorted(newest, key=lambda alert: alert.pk)
    read_user_names(alerts)
    return alerts


def _full_count(operation: ImportOperation) -> str:
    """Return how many records a full import ends with, if that is more than its total."""
    target, total = operation.progress.target, operation.count_total
    if target is None or total is None or target <= total:
        return ""
    return display.format_count(target)


def _fields(operation: ImportOperation, names: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the labels and the values of raw fields."""
    labels = (str(label_for_field(name, ImportOperation)) for name in names)
    return [(label, _value(operation, name)) for label, name in zip(labels, names, strict=True)]


def _value(operation: ImportOperation, name: str) -> Any:
    value = getattr(operation, name)
    if isinstance(value, datetime):
        return format_time(value)
    if name == "end_reason":
        return operation.get_end_reason_display() or display.EMPTY
    if name == "valid" and value is not None:
        return _valid(operation, is_valid=value)
    return display.EMPTY if value in (None, "") else value


def _valid(operation: ImportOperation, *, is_valid: bool) -> SafeString:
    if is_valid:
        return format_html("{}", _("yes"))
    if operation.needs_attention or operation.is_active:
        return format_html("{}", _("no"))
    # Rocket.Chat invalidates all operations when a server starts, and old ones at a new import.
    return format_html('<span class="im-quiet">{}</span>', _("no, as usual after the end"))


def _curl(operation: ImportOperation, request: HttpRequest) -> str:
    """Return a command that reads the operation from the REST API, "" where there is none."""
    try:
        path = reverse("importmonitor-rest:operation-detail", args=[operation.pk])
    except NoReverseMatch:
        return ""
    url = request.build_absolute_uri(path)
    return f'curl -H "Authorization: Bearer $TOKEN" {url}'
