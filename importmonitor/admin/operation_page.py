"""What the page of one operation shows: pieces for its templates."""

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

#: More points than these are on no chart.
MOST_SAMPLES = 1000
#: More transitions than these have nobody's patience; an import passes some fifteen steps.
MOST_TRANSITIONS = 500


def summary(operation: ImportOperation) -> dict[str, Any]:
    """Return how an operation stands."""
    now, active = timezone.now(), operation.is_active
    counters = display.counters(operation)
    if operation.count_error is not None:
        counters[_("Errors")] = display.format_count(operation.count_error)
    return {
        "operation": operation,
        "active": active,
        "badge": display.operation_badge(operation),
        "progress": display.progress(operation),
        "pace": display.rate_line(operation),
        "file_name": operation.file_name,
        "started": display.format_datetime(operation.started_at),
        "finished": display.format_datetime(None if active else operation.finished_at),
        "changed": display.time_since(operation.last_progress_at),
        "duration": display.format_duration(operation.duration(now)),
        "counters": counters,
    }


def chart(operation: ImportOperation) -> dict[str, Any]:
    """Draw how an operation went on."""
    now = timezone.now()
    # What runs once more has an end, its first, and goes on all the same.
    end = now if operation.is_active else operation.finished_at or now
    drawn = progress_chart(
        operation,
        ProgressSample.objects.spread(operation, MOST_SAMPLES),
        _transitions(operation),
        SyncPeriod.objects.overlapping([operation.workspace], operation.started_at, end),
        now,
    )
    return {"chart": drawn}


def timeline(operation: ImportOperation) -> dict[str, Any]:
    """Return an operation's transitions, each with the time since the one before."""
    transitions = _transitions(operation)
    entries = [
        {
            "transition": transition,
            "at": display.format_datetime(transition.observed_at),
            "badge": display.state_badge(transition.to_state),
            "completed": display.format_count(transition.count_completed),
            "total": display.format_count(transition.count_total),
            "after": display.format_duration(transition.observed_at - before.observed_at)
            if before
            else None,
        }
        for before, transition in zip([None, *transitions], transitions, strict=False)
    ]
    return {"entries": entries, "cut": len(entries) == MOST_TRANSITIONS}


def server_log(operation: ImportOperation) -> dict[str, Any]:
    """Return when to look into Rocket.Chat's log, the only place that has reasons.

    From the last that went well to the first that did not: what was seen last before the end,
    or before it stalled.
    """
    transitions = _transitions(operation)
    failed_at = operation.finished_at if operation.needs_attention else None
    stopped = operation.stalled_since or failed_at
    over = operation.finished_at is not None and transitions
    counted = None
    if operation.count_completed is not None:
        counted = _("%(completed)s of %(total)s") % {
            "completed": display.format_count(operation.count_completed),
            "total": display.format_count(operation.count_total),
        }
    return {
        "operation": operation,
        "trouble": stopped is not None,
        "from": display.format_datetime(
            min(operation.last_progress_at, stopped or operation.last_progress_at)
        ),
        "to": display.format_datetime(
            transitions[-1].observed_at if over else operation.last_seen_at
        ),
        "began": display.format_datetime(operation.started_at),
        "errors": display.format_count(operation.count_error) if operation.count_error else None,
        "short": operation.present_outcome == Outcome.INCOMPLETE,
        "counted": counted,
        "step": operation.status,
        "interrupted": operation.present_outcome == Outcome.INTERRUPTED,
    }


def _transitions(operation: ImportOperation) -> list[StatusTransition]:
    """Return an operation's transitions, read once for all that show them."""
    cached = operation.__dict__.get("_shown_transitions")
    if cached is None:
        newest = operation.transitions.order_by("-observed_at", "-pk")[:MOST_TRANSITIONS]
        cached = list(newest)[::-1]
        operation.__dict__["_shown_transitions"] = cached
    return list(cached)
