"""What the page of one operation shows: pieces for its templates."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from importmonitor import outcomes
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
    now, active = timezone.now(), outcomes.is_active(operation)
    counters = display.counters(operation)
    if operation.count_error is not None:
        counters[_("Errors")] = display.number(operation.count_error)
    return {
        "operation": operation,
        "active": active,
        "badge": display.badge(operation),
        "progress": display.progress(operation),
        "pace": display.pace(operation),
        "file_name": outcomes.file_name(operation),
        "started": display.at(operation.started_at),
        "finished": display.at(None if active else operation.finished_at),
        "changed": display.ago(operation.last_progress_at),
        "duration": display.lasting(outcomes.duration(operation, now)),
        "counters": counters,
    }


def chart(operation: ImportOperation) -> dict[str, Any]:
    """Draw how an operation went on."""
    now = timezone.now()
    # What runs once more has an end, its first, and goes on all the same.
    end = now if outcomes.is_active(operation) else operation.finished_at or now
    drawn = progress_chart(
        operation,
        ProgressSample.objects.spread(operation, MOST_SAMPLES),
        _transitions(operation),
        SyncPeriod.objects.touching([operation.workspace], operation.started_at, end),
        now,
    )
    return {"chart": drawn}


def timeline(operation: ImportOperation) -> dict[str, Any]:
    """Return an operation's transitions, each with the time since the one before."""
    transitions = _transitions(operation)
    entries = [
        {
            "transition": transition,
            "at": display.at(transition.observed_at),
            "badge": display.state_badge(transition.to_state),
            "completed": display.number(transition.count_completed),
            "total": display.number(transition.count_total),
            "after": display.lasting(transition.observed_at - before.observed_at)
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
    trouble = outcomes.present_outcome(operation) in outcomes.TROUBLE
    stopped = operation.stalled_since or (operation.finished_at if trouble else None)
    over = operation.finished_at is not None and transitions
    counted = None
    if operation.count_completed is not None:
        counted = _("%(completed)s of %(total)s") % {
            "completed": display.number(operation.count_completed),
            "total": display.number(operation.count_total),
        }
    return {
        "operation": operation,
        "trouble": stopped is not None,
        "from": display.at(min(operation.last_progress_at, stopped or operation.last_progress_at)),
        "to": display.at(transitions[-1].observed_at if over else operation.last_seen_at),
        "began": display.at(operation.started_at),
        "errors": display.number(operation.count_error) if operation.count_error else None,
        "short": outcomes.present_outcome(operation) == Outcome.DONE_SHORT,
        "counted": counted,
        "step": operation.status,
        "interrupted": outcomes.present_outcome(operation) == Outcome.INTERRUPTED,
    }


def _transitions(operation: ImportOperation) -> list[StatusTransition]:
    """Return an operation's transitions, read once for all that show them."""
    cached = operation.__dict__.get("_shown_transitions")
    if cached is None:
        newest = operation.transitions.order_by("-observed_at", "-pk")[:MOST_TRANSITIONS]
        cached = list(newest)[::-1]
        operation.__dict__["_shown_transitions"] = cached
    return list(cached)
