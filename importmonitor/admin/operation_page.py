"""The contexts of the templates on an operation's page."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor.admin import clock, display, remarks
from importmonitor.alerts.advice import OPENED_SETTINGS
from importmonitor.charts import progress_chart
from importmonitor.models import (
    ImportOperation,
    Outcome,
    ProgressSample,
    StatusTransition,
    Workspace,
)
from importmonitor.models.outcomes import PREMATURE_ENDS
from importmonitor.rocketchat import states
from importmonitor.rocketchat.states import ImportState

MAX_SAMPLES = 1000
#: An import has some fifteen steps.
MAX_TRANSITIONS = 500

_Reason = StatusTransition.Reason
#: The badges of transitions that Rocket.Chat has no state for, or the same as for a failure.
_REASON_BADGES = {
    _Reason.INVALIDATED: display.OUTCOMES[Outcome.INTERRUPTED],
    _Reason.SUPERSEDED: display.OUTCOMES[Outcome.SUPERSEDED],
    _Reason.STALLED: display.STALLED,
    _Reason.GONE: display.Badge(gettext_lazy("Deleted"), "⊘", "quiet"),
}
_CALLED_DONE = display.Badge(gettext_lazy("Called done by Rocket.Chat"), "○", "quiet")


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
        "remarks": remarks.of_operation(operation, _workspace(operation), _transitions(operation)),
        "full_count": _full_count(operation),
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
        Workspace.objects.filter(alias=operation.workspace).periods(operation.started_at, end),
        now,
    )
    return {"chart": chart}


def timeline(operation: ImportOperation) -> dict[str, Any]:
    """Return the transitions, with the time between them and any unusual reason."""
    entries = list(_entries(operation, _transitions(operation)))
    return {"entries": entries, "is_cut": len(entries) == MAX_TRANSITIONS}


def _entries(
    operation: ImportOperation, transitions: list[StatusTransition]
) -> Iterator[dict[str, Any]]:
    previous: StatusTransition | None = None
    was_put_aside = False
    for transition, following in zip(transitions, [*transitions[1:], None], strict=False):
        badge = _badge(operation, transition, following, was_put_aside=was_put_aside)
        reason = _remark(transition, badge)
        if transition.reason in (_Reason.INVALIDATED, _Reason.SUPERSEDED):
            was_put_aside = True
        elif transition.reason != _Reason.REMOTE:
            was_put_aside = False
        yield {
            "transition": transition,
            "time": display.format_datetime(transition.observed_at),
            "badge": badge,
            "reason": reason,
            "completed": display.format_count(transition.count_completed),
            "total": display.format_count(transition.count_total),
            "after": display.format_duration(transition.observed_at - previous.observed_at)
            if previous
            else None,
        }
        previous = transition


def _badge(
    operation: ImportOperation,
    transition: StatusTransition,
    following: StatusTransition | None,
    *,
    was_put_aside: bool,
) -> display.Badge:
    reason, status = transition.reason, transition.to_status
    if reason in _REASON_BADGES:
        return _REASON_BADGES[_Reason(reason)]
    if status == states.DONE:
        if was_put_aside and operation.end_reason in PREMATURE_ENDS:
            return _CALLED_DONE
        is_end = following is None or following.to_status != states.DONE
        if operation.is_pending_download and not (is_end and operation.finished_at):
            # The last downloads are still arriving.
            return _CALLED_DONE
    elif transition.valid is False and status not in states.ENDS:
        # Invalid, it runs on.
        return display.step_badge(status)
    return display.state_badge(transition.to_state)


def _remark(transition: StatusTransition, badge: display.Badge) -> str:
    """Return the reason of a transition, if it is unusual and the badge does not say it."""
    if transition.reason == _Reason.REMOTE:
        is_invalid = transition.to_state == ImportState.ERROR and transition.valid is False
        return str(_Reason.INVALIDATED.label) if is_invalid else ""
    reason = str(transition.get_reason_display())
    return "" if reason == str(badge.label) else reason


def server_log(operation: ImportOperation) -> dict[str, Any]:
    """Return the time span to search in Rocket.Chat's log, which alone has reasons.

    It lasts from the last progress before the end or the stall to the first poll that saw it.
    """
    failed_at = operation.finished_at if operation.needs_attention else None
    stopped_at = operation.stalled_since or failed_at
    to = _stop_seen_at(operation)
    is_interrupted = operation.present_outcome == Outcome.INTERRUPTED
    completed = None
    if operation.count_completed is not None:
        completed = _("%(completed)s of %(total)s") % {
            "completed": display.format_count(operation.count_completed),
            "total": display.format_count(operation.count_total),
        }
    workspace = _workspace(operation)
    return {
        "operation": operation,
        "stopped": stopped_at is not None,
        "from": display.format_datetime(_last_moved_at(operation, stopped_at, to)),
        "to": display.format_datetime(_next_minute(to)),
        "started": display.format_datetime(operation.started_at),
        "errors": display.format_count(operation.count_error) if operation.count_error else None,
        "completed": completed,
        "status": _last_step(operation),
        "is_interrupted": is_interrupted,
        "may_have_open_settings": is_interrupted and _opens_settings(operation),
        "open_settings": ", ".join(name for name, _value in OPENED_SETTINGS),
        "clock": clock.notable_line(workspace) if workspace else "",
    }


def _last_step(operation: ImportOperation) -> str:
    """Return the step at which an operation was before its end: the log is about that."""
    steps = (row.to_status for row in reversed(_transitions(operation)))
    return next((step for step in steps if step not in states.ENDS), operation.status)


def _stop_seen_at(operation: ImportOperation) -> datetime:
    """Return when a poll first saw that an operation had ended or stalled."""
    transitions = _transitions(operation)
    if operation.stalled_since:
        stalls = [row.observed_at for row in transitions if row.reason == _Reason.STALLED]
        return stalls[-1] if stalls else operation.last_seen_at
    if operation.finished_at is None or not transitions:
        return operation.last_seen_at
    after = (row.observed_at for row in transitions if row.observed_at >= operation.finished_at)
    return next(after, transitions[-1].observed_at)


def _last_moved_at(
    operation: ImportOperation, stopped_at: datetime | None, to: datetime
) -> datetime:
    """Return when an operation last moved before it stopped."""
    moved_at = min(operation.last_progress_at, stopped_at or operation.last_progress_at)
    if moved_at < to or stopped_at is None:
        return moved_at
    # The poll that saw the end saw the last progress too: it happened since the one before.
    samples = ProgressSample.objects.filter(operation=operation, observed_at__lt=to)
    sample = samples.order_by("-observed_at", "-pk").first()
    moments = [row.observed_at for row in _transitions(operation) if row.observed_at < to]
    return max([operation.started_at, *moments, *([sample.observed_at] if sample else [])])


def _next_minute(moment: datetime) -> datetime:
    """Return the end of a moment's minute: times are shown without seconds."""
    minute = moment.replace(second=0, microsecond=0)
    return minute if minute == moment else minute + timedelta(minutes=1)


def _opens_settings(operation: ImportOperation) -> bool:
    """Return whether Rocket.Chat had opened settings for it and may not have restored them.

    The sheet of facts, section 6: from `importing_started` on, never for pending files and
    avatars; and only a killed server does not restore them, so not if it wrote an end.
    """
    if operation.is_pending_download:
        return False
    status = operation.status
    return status.startswith("importer_importing_") or status == "importer_finishing"


def _full_count(operation: ImportOperation) -> str:
    """Return how many records a full import ends with, if that is more than its total."""
    target, total = operation.progress.target, operation.count_total
    if target is None or total is None or target <= total:
        return ""
    return display.format_count(target)


def _workspace(operation: ImportOperation) -> Workspace | None:
    """Return the operation's workspace, read once for all parts of the page."""
    if "_shown_workspace" not in vars(operation):
        workspace = Workspace.objects.get_state(operation.workspace)
        vars(operation)["_shown_workspace"] = workspace
    shown: Workspace | None = vars(operation)["_shown_workspace"]
    return shown


def _transitions(operation: ImportOperation) -> list[StatusTransition]:
    """Return the newest transitions, oldest first, read once for all parts of the page."""
    transitions: list[StatusTransition] | None = vars(operation).get("_shown_transitions")
    if transitions is None:
        newest = operation.transitions.order_by("-observed_at", "-pk")[:MAX_TRANSITIONS]
        transitions = list(newest)[::-1]
        vars(operation)["_shown_transitions"] = transitions
    return transitions
