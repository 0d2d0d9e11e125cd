"""The contexts of the templates on an operation's page."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from importmonitor.admin import display
from importmonitor.charts import progress_chart
from importmonitor.models import (
    ImportOperation,
    Outcome,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
)

MAX_SAMPLES = 1000
#: An import has some fifteen steps.
MAX_TRANSITIONS = 500


def summary(operation: ImportOperation) -> dict[str, Any]:
    """Return the status, the times and the counters."""
    is_active = operation.is_active
    counters = display.counters(operation)
    if operation.count_error is not None:
        counters[_("Errors")] = display.format_count(operation.count_error)
    return {
        "operation": operation,
        "is_active": is_active,
        "badge": display.operation_badge(operation),
        "progress": display.progress(operation),
        "rate": display.rate_line(operation),
        "file_name": operation.file_name,
        "started": display.format_datetime(operation.started_at),
        "finished": display.format_datetime(None if is_active else operation.finished_at),
        "duration": display.format_duration(operation.duration(timezone.now())),
        "counters": counters,
    }


def chart(operation: ImportOperation) -> dict[str, Any]:
    """Return the chart of the progress."""
    now = timezone.now()
    # An operation that runs again still has the time of its first end.
    end = now if operation.is_active else operation.finished_at or now
    chart = progress_chart(
        operation,
        ProgressSample.objects.spread(operation, MAX_SAMPLES),
        _transitions(operation),
        SyncPeriod.objects.overlapping([operation.workspace], operation.started_at, end),
        now,
    )
    return {"chart": chart}


def timeline(operation: ImportOperation) -> dict[str, Any]:
    """Return the transitions, with the time between them and any unusual reason."""
    transitions = _transitions(operation)
    entries = [
        {
            "transition": transition,
            "time": display.format_datetime(transition.observed_at),
            "badge": display.state_badge(transition.to_state),
            "reason": ""
            if transition.reason == StatusTransition.Reason.REMOTE
            else transition.get_reason_display(),
            "completed": display.format_count(transition.count_completed),
            "total": display.format_count(transition.count_total),
            "after": display.format_duration(transition.observed_at - previous.observed_at)
            if previous
            else None,
        }
        for previous, transition in zip([None, *transitions], transitions, strict=False)
    ]
    return {"entries": entries, "is_cut": len(entries) == MAX_TRANSITIONS}


def server_log(operation: ImportOperation) -> dict[str, Any]:
    """Return the time span to search in Rocket.Chat's log, which alone has reasons.

    It lasts from the last progress before the end or the stall to the first poll that saw it.
    """
    transitions = _transitions(operation)
    failed_at = operation.finished_at if operation.needs_attention else None
    stopped_at = operation.stalled_since or failed_at
    progress_at = operation.last_progress_at
    has_ended = operation.finished_at is not None and transitions
    completed = None
    if operation.count_completed is not None:
        completed = _("%(completed)s of %(total)s") % {
            "completed": display.format_count(operation.count_completed),
            "total": display.format_count(operation.count_total),
        }
    return {
        "operation": operation,
        "stopped": stopped_at is not None,
        "from": display.format_datetime(min(progress_at, stopped_at or progress_at)),
        "to": display.format_datetime(
            transitions[-1].observed_at if has_ended else operation.last_seen_at
        ),
        "started": display.format_datetime(operation.started_at),
        "errors": display.format_count(operation.count_error) if operation.count_error else None,
        "is_incomplete": operation.present_outcome == Outcome.INCOMPLETE,
        "completed": completed,
        "status": operation.status,
        "is_interrupted": operation.present_outcome == Outcome.INTERRUPTED,
    }


def _transitions(operation: ImportOperation) -> list[StatusTransition]:
    """Return the newest transitions, oldest first, read once for all parts of the page."""
    transitions: list[StatusTransition] | None = vars(operation).get("_shown_transitions")
    if transitions is None:
        newest = operation.transitions.order_by("-observed_at", "-pk")[:MAX_TRANSITIONS]
        transitions = list(newest)[::-1]
        vars(operation)["_shown_transitions"] = transitions
    return transitions
