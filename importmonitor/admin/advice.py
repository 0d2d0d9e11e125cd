"""What to do about an import: input, downloads, settings left open, and where its log is."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from importmonitor.admin import clock, display
from importmonitor.admin.times import format_time, format_utc
from importmonitor.alerts.advice import OPENED_SETTINGS
from importmonitor.conf.workspaces import WorkspaceLinks
from importmonitor.models import (
    ImportOperation,
    Outcome,
    ProgressSample,
    StatusTransition,
    Workspace,
)
from importmonitor.rocketchat import log_url, states

_Reason = StatusTransition.Reason
#: Importers whose files hold the addresses of avatars, and those whose messages hold files.
_WITH_AVATARS = frozenset({"slack", "slack-users"})
_WITH_FILES = frozenset({"slack"})
_DONE = (Outcome.DONE, Outcome.DONE_WITH_ERRORS, Outcome.INCOMPLETE)


def of_operation(
    operation: ImportOperation,
    transitions: Sequence[StatusTransition],
    workspace: Workspace | None,
    downloads: Collection[str],
    links: WorkspaceLinks,
    now: datetime,
) -> dict[str, Any]:
    """Return what to do; `downloads` are the importers of pending ones that ran since."""
    is_done = operation.present_outcome in _DONE
    key = operation.importer_key
    waiting_at = _waiting_at(operation, transitions)
    is_interrupted = operation.present_outcome == Outcome.INTERRUPTED
    may_have_open_settings = is_interrupted and operation.may_have_opened_settings
    context = {
        "waiting_since": format_time(waiting_at, operation.started_at) if waiting_at else "",
        "waiting_for": display.format_duration(now - waiting_at) if waiting_at else "",
        "needs_avatars": is_done
        and key in _WITH_AVATARS
        and (operation.count_users or 0) > 0
        and "pending-avatars" not in downloads,
        "needs_files": is_done
        and key in _WITH_FILES
        and (operation.count_messages or 0) > 0
        and "pending-files" not in downloads,
        "may_have_open_settings": may_have_open_settings,
        "open_settings": ", ".join(name for name, _value in OPENED_SETTINGS),
        "log": server_log(operation, transitions, workspace, links),
    }
    context["has_any"] = any(context[name] for name in context if name != "open_settings")
    return context


def _waiting_at(
    operation: ImportOperation, transitions: Sequence[StatusTransition]
) -> datetime | None:
    """Return since when an import has waited for input, None if it does not."""
    if not operation.is_active or operation.status not in states.RESTING_STEPS:
        return None
    steps = (row.observed_at for row in reversed(transitions) if row.from_status != row.to_status)
    return next(steps, operation.started_at)


def server_log(
    operation: ImportOperation,
    transitions: Sequence[StatusTransition],
    workspace: Workspace | None,
    links: WorkspaceLinks,
) -> dict[str, Any] | None:
    """Return the time span to search in Rocket.Chat's log, which alone has reasons; None for none.

    It lasts from the last progress before the end or the stall to the first poll that saw it; for
    errors, from the start on.
    """
    failed_at = operation.finished_at if operation.needs_attention else None
    stopped_at = operation.stalled_since or failed_at
    errors = operation.count_error or 0
    if stopped_at is None and errors <= 0:
        return None
    to = _stop_seen_at(operation, transitions)
    start = operation.started_at
    if stopped_at is not None:
        start = _last_moved_at(operation, transitions, stopped_at, to)
    first, last = log_url.whole_seconds(start, to)
    completed = ""
    if stopped_at is not None and operation.shown_completed is not None:
        completed = _("%(completed)s of %(total)s") % {
            "completed": display.format_count(operation.shown_completed),
            "total": display.format_count(operation.count_total),
        }
    return {
        "stopped": stopped_at is not None,
        "from": format_utc(first),
        "to": format_utc(last),
        "url": links.log_link(start, to, operation.remote_id),
        "errors": display.format_count(errors),
        "error_count": errors,
        "completed": completed,
        "status": _last_step(operation, transitions) if stopped_at is not None else "",
        "clock": clock.notable_line(workspace) if workspace else "",
    }


def _last_step(operation: ImportOperation, transitions: Sequence[StatusTransition]) -> str:
    """Return the step at which an operation was before its end: the log is about that."""
    steps = (row.to_status for row in reversed(transitions))
    return next((step for step in steps if step not in states.ENDS), operation.status)


def _stop_seen_at(operation: ImportOperation, transitions: Sequence[StatusTransition]) -> datetime:
    """Return when a poll first saw that an operation had ended or stalled."""
    if operation.stalled_since:
        stalls = [row.observed_at for row in transitions if row.reason == _Reason.STALLED]
        return stalls[-1] if stalls else operation.last_seen_at
    if operation.finished_at is None or not transitions:
        return operation.last_seen_at
    after = (row.observed_at for row in transitions if row.observed_at >= operation.finished_at)
    return next(after, transitions[-1].observed_at)


def _last_moved_at(
    operation: ImportOperation,
    transitions: Sequence[StatusTransition],
    stopped_at: datetime,
    to: datetime,
) -> datetime:
    """Return when an operation last moved before it stopped."""
    if operation.last_progress_at < stopped_at:
        return operation.last_progress_at
    # The poll that saw the end saw the last progress too: it happened since the one before.
    samples = ProgressSample.objects.filter(operation=operation, observed_at__lt=to)
    sample = samples.order_by("-observed_at", "-pk").first()
    moments = [row.observed_at for row in transitions if row.observed_at < to]
    return max([operation.started_at, *moments, *([sample.observed_at] if sample else [])])
