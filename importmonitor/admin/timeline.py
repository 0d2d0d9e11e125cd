"""The timeline of an import: its steps, the alerts about it, and its note, by time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf
from importmonitor.admin import display
from importmonitor.admin.times import format_time
from importmonitor.choices import event_label, incident_label
from importmonitor.conf.channels import ChannelConfig
from importmonitor.models import (
    Alert,
    Delivery,
    ImportOperation,
    Incident,
    Outcome,
    StatusTransition,
)
from importmonitor.models.outcomes import PREMATURE_ENDS
from importmonitor.rocketchat import states
from importmonitor.rocketchat.states import ImportState

#: An import has some fifteen steps.
MAX_TRANSITIONS = 500
MAX_ALERTS = 100
#: A later poll than that says when it recorded an end.
_NOTABLE_DELAY = timedelta(minutes=1)
_MAX_RECIPIENTS = 3

_Reason = StatusTransition.Reason
#: The badges of transitions that Rocket.Chat has no state for, or the same as for a failure.
_REASON_BADGES = {
    _Reason.INVALIDATED: display.OUTCOMES[Outcome.INTERRUPTED],
    _Reason.SUPERSEDED: display.OUTCOMES[Outcome.SUPERSEDED],
    _Reason.STALLED: display.STALLED,
    _Reason.GONE: display.Badge(gettext_lazy("Deleted"), "⊘", "quiet"),
}
_CALLED_DONE = display.Badge(gettext_lazy("Called done by Rocket.Chat"), "○", "quiet")


@dataclass(frozen=True)
class Entry:
    """Something that happened at a time; `kind` chooses its markup."""

    at: datetime
    kind: str
    details: dict[str, Any]


def build(
    operation: ImportOperation,
    transitions: Sequence[StatusTransition],
    alerts: Iterable[Alert],
    now: datetime,
    *,
    can_retry: bool = False,
    incidents: Iterable[Incident] = (),
) -> list[Entry]:
    """Return what happened, oldest first; of the same time, the steps first.

    `transitions` are the newest, oldest first; the acknowledgements are those of `incidents`.
    `can_retry` is whether the user may retry alerts.
    """
    entries = [
        *_steps(operation, transitions, now),
        *_alerts(operation, alerts, now, can_retry=can_retry),
        *_acknowledgements(operation, incidents),
        *_note(operation),
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _acknowledgements(operation: ImportOperation, incidents: Iterable[Incident]) -> Iterator[Entry]:
    for incident in incidents:
        at = incident.acknowledged_at
        if incident.operation_id == operation.pk and at is not None:
            details = {
                "time": format_time(at, operation.started_at),
                "author": incident.acknowledged_by or display.EMPTY,
                "kind": incident_label(incident.kind),
                "text": incident.note,
            }
            yield Entry(at, "acknowledgement", details)


def ended_line(operation: ImportOperation, recorded_at: datetime | None) -> dict[str, Any]:
    """Return the time of an end, and when it was recorded if that was notably later."""
    ended_at = operation.finished_at
    is_late = ended_at and recorded_at and recorded_at - ended_at >= _NOTABLE_DELAY
    return {
        "time": format_time(ended_at, operation.started_at),
        "recorded": format_time(recorded_at, operation.started_at) if is_late else "",
    }


def end_recorded_at(
    operation: ImportOperation, transitions: Iterable[StatusTransition]
) -> datetime | None:
    """Return when a poll first saw the end."""
    ended_at = operation.finished_at
    if ended_at is None:
        return None
    observed = (row.observed_at for row in transitions if row.observed_at >= ended_at)
    return min(observed, default=None)


def _steps(
    operation: ImportOperation, transitions: Sequence[StatusTransition], now: datetime
) -> Iterator[Entry]:
    recorded_at = end_recorded_at(operation, transitions)
    # The poll that saw the end saw what happened at the end.
    times = [
        operation.finished_at
        if operation.finished_at and recorded_at == row.observed_at
        else row.observed_at
        for row in transitions
    ]
    durations = _durations(operation, transitions, times, now)
    longest = max((duration for duration in durations if duration), default=None)
    was_put_aside = False
    for number, (row, at, duration) in enumerate(zip(transitions, times, durations, strict=True)):
        following = transitions[number + 1] if number + 1 < len(transitions) else None
        badge = _badge(operation, row, following, was_put_aside=was_put_aside)
        if row.reason in (_Reason.INVALIDATED, _Reason.SUPERSEDED):
            was_put_aside = True
        elif row.reason != _Reason.REMOTE:
            was_put_aside = False
        line = {"time": format_time(at, operation.started_at), "recorded": ""}
        if at != row.observed_at:
            line = ended_line(operation, recorded_at)
        details = {
            "badge": badge,
            "status": row.to_status,
            "reason": _remark(row, badge),
            "has_counters": row.count_completed is not None,
            "completed": display.format_count(_completed(operation, row)),
            "total": display.format_count(row.count_total),
            "duration": display.format_duration(duration) if duration else "",
            "share": round(100 * (duration / longest)) if duration and longest else 0,
        }
        yield Entry(at, "step", line | details)


def _completed(operation: ImportOperation, row: StatusTransition) -> int | None:
    """Return how many records were completed, each counted once, as elsewhere on the page."""
    if not operation.users_twice:
        return row.count_completed
    counters = replace(operation.progress, completed=row.count_completed, error=row.count_error)
    return counters.records


def _durations(
    operation: ImportOperation,
    transitions: Sequence[StatusTransition],
    times: Sequence[datetime],
    now: datetime,
) -> list[timedelta | None]:
    """Return how long each step lasted, or a stall; None for what has no duration."""
    end = now if operation.is_active else operation.finished_at
    durations: list[timedelta | None] = []
    for number, row in enumerate(transitions):
        until = (
            at
            for later, at in zip(transitions[number + 1 :], times[number + 1 :], strict=True)
            if row.reason == _Reason.STALLED or later.from_status != later.to_status
        )
        has_begun = row.reason == _Reason.STALLED or row.from_status != row.to_status
        ends_at = next(until, end) if has_begun and row.to_status not in states.ENDS else None
        durations.append(None if ends_at is None else max(ends_at - times[number], timedelta(0)))
    return durations


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


def _alerts(
    operation: ImportOperation, alerts: Iterable[Alert], now: datetime, *, can_retry: bool
) -> Iterator[Entry]:
    """Yield one entry for each event, with a delivery for each channel."""
    channels = conf.get_options().channels
    by_key: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.delivery == Delivery.WAITING:
            # Of a user, not of the import.
            continue
        by_key[alert.key].append(alert)
    for rows in by_key.values():
        deliveries = [
            _delivery(operation, row, now, can_retry=can_retry)
            | {"recipients": _recipients(channels.get(row.channel))}
            for row in rows
        ]
        details = {"event": event_label(rows[0].event), "deliveries": deliveries}
        at = rows[0].created_at
        details["time"] = format_time(at, operation.started_at)
        yield Entry(at, "alert", details)


def _delivery(
    operation: ImportOperation, alert: Alert, now: datetime, *, can_retry: bool
) -> dict[str, Any]:
    """Return by which channel an alert was sent, and whether, when and how."""
    time = format_time(alert.delivered_at or alert.next_attempt_at, operation.started_at)
    if alert.delivered_at:
        tone, text = "good", format_html(_("delivered {time}"), time=time)
    elif alert.given_up_at:
        tone, text = "bad", format_html("{}", _("failed"))
    elif alert.attempts:
        tone, text = "warn", format_html(_("failed, next attempt {time}"), time=time)
    else:
        tone, text = "quiet", format_html("{}", _("pending"))
    return {
        "key": alert.pk,
        "channel": alert.channel_label,
        "tone": tone,
        "text": text,
        "attempts": alert.attempts if alert.attempts > 1 else 0,
        "error": alert.last_error,
        "can_retry": can_retry
        and not alert.delivered_at
        and bool(alert.attempts)
        and not alert.is_claimed(now),
    }


def _recipients(channel: ChannelConfig | None) -> str:
    """Return the addresses of a channel that sends e-mail."""
    addresses = channel.options.get("TO") if channel else None
    if not isinstance(addresses, list | tuple):
        return ""
    shown = [str(address) for address in addresses[:_MAX_RECIPIENTS]]
    return ", ".join(shown) + (" …" if len(addresses) > _MAX_RECIPIENTS else "")


def _note(operation: ImportOperation) -> Iterator[Entry]:
    if operation.note and operation.note_at:
        time = format_time(operation.note_at, operation.started_at)
        details = {"text": operation.note, "author": operation.note_by, "time": time}
        yield Entry(operation.note_at, "note", details)
