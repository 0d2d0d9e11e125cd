"""The alerts of one poll: the events of its changes, as drafts for the outbox."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import F

from importmonitor import conf
from importmonitor.alerts import outbox, subscriptions
from importmonitor.alerts.drafts import (
    AlertDraft,
    draft_operation_alert,
    draft_workspace_alert,
)
from importmonitor.alerts.queue import SAME_OUTAGE
from importmonitor.choices import OK, Event, IncidentKind
from importmonitor.models import Alert, Incident, StatusTransition, Workspace
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.sync.change import Change
from importmonitor.sync.diff import end_event
from importmonitor.sync.ends import SUPERSESSION_PAUSE, may_be_superseded
from importmonitor.sync.incidents import (
    END_EVENTS,
    EventIncidents,
    close_flapping,
    follow_failure,
    follow_recovery,
)
from importmonitor.sync.unusual import describe_usual

#: The events by which incidents are alerted.
_EVENTS = {
    IncidentKind.FAILED: Event.FAILED,
    IncidentKind.INTERRUPTED: Event.INTERRUPTED,
    IncidentKind.INCOMPLETE: Event.FINISHED,
    IncidentKind.DONE_WITH_ERRORS: Event.FINISHED,
    IncidentKind.STALLED: Event.STALLED,
    IncidentKind.WAITING: Event.WAITING,
    IncidentKind.UNUSUAL: Event.UNUSUAL,
    IncidentKind.UNREACHABLE: Event.UNREACHABLE,
    IncidentKind.REFUSED: Event.UNREACHABLE,
    IncidentKind.FLAPPING: Event.UNREACHABLE,
    IncidentKind.UNPOLLED: Event.UNPOLLED,
}


def alerts_for_change(change: Change, incidents: EventIncidents, at: datetime) -> list[AlertDraft]:
    """Return the alerts for the events of a saved change."""
    return [
        _draft(change, event, transition, at).about(incidents.get((change.operation.pk, event)))
        for event, transition in change.events
    ]


def _draft(
    change: Change, event: Event, transition: StatusTransition | None, at: datetime
) -> AlertDraft:
    operation = change.operation
    progressed_at, _now = change.updated.get("last_progress_at", (operation.last_progress_at, None))
    # The reason can be anywhere in the import's log: the counters do not date its errors, and one
    # that is new was never polled while it ran.
    whole_import = event == Event.FINISHED or change.created
    # The event is identified by its transition, or by the time since which it has waited. The key
    # has the time too, since another database has another transition with that number.
    happened_at = operation.waiting_since if event == Event.WAITING else at
    if transition is not None:
        happened_at = transition.observed_at
    number = transition.pk if transition else operation.pk
    draft = draft_operation_alert(
        event,
        operation,
        at=at,
        key=f"{event}:{operation.workspace}:{number}:{happened_at:%Y%m%dT%H%M%S.%f}",
        states=(
            (transition.from_state or None, transition.to_state)
            if transition
            else (operation.state, operation.state)
        ),
        log_from=operation.started_at if whole_import else progressed_at,
        step=(transition.from_status if transition else "") or operation.status,
        transition_pk=transition.pk if transition else None,
    )
    if event == Event.UNUSUAL:
        draft = replace(draft, body=draft.body | {"usual": describe_usual(operation)})
    if event == Event.INTERRUPTED and may_be_superseded(operation, at):
        assert operation.finished_at is not None
        return replace(draft, not_before=operation.finished_at + SUPERSESSION_PAUSE)
    return draft


def draft_for_incident(incident: Incident, at: datetime, *, reminder: int = 0) -> AlertDraft:
    """Return an alert about an incident that is open; `reminder` counts how often it was repeated.

    Its key is that of the time since when it is open, and of the number.
    """
    event, operation = _EVENTS[IncidentKind(incident.kind)], incident.operation
    if operation is not None:
        draft = draft_operation_alert(
            event,
            operation,
            at=at,
            key=f"{event}:{operation.workspace}:{operation.pk}:{incident.since:%Y%m%dT%H%M%S.%f}",
            states=(operation.state, operation.state),
            log_from=operation.last_progress_at,
            step=operation.status,
            transition_pk=None,
        )
        if event == Event.UNUSUAL:
            draft = replace(draft, body=draft.body | {"usual": describe_usual(operation)})
    else:
        # Its row may have been deleted.
        workspace = Workspace.objects.get_state(incident.workspace) or Workspace(
            alias=incident.workspace, message=incident.message
        )
        draft = draft_workspace_alert(
            event,
            workspace,
            at=at,
            since=incident.since,
            outcome=workspace.sync_status,
            message=incident.message if workspace.is_good else workspace.message,
            flapping=incident.kind == IncidentKind.FLAPPING,
        )
    if reminder:
        key = f"{draft.key}:reminder:{reminder}"
        draft = replace(draft, key=key, body=draft.body | {"idempotency_key": key})
    return draft.about(incident, reminder=reminder)


def correct_alerts(change: Change, at: datetime) -> None:
    """Replace the alert of an interruption that turned out to be a supersession.

    Where it was sent already, that was the one alert about the end.
    """
    transition = change.superseded_by
    if transition is None:
        return
    alerts = Alert.objects.for_channels().filter(
        operation=change.operation, event=Event.INTERRUPTED
    )
    alerts.filter(attempts=0, delivered_at=None, given_up_at=None).delete()
    informed = set(alerts.values_list("channel", flat=True))
    channels = [
        channel for name, channel in conf.get_options().channels.items() if name not in informed
    ]
    outbox.write([_draft(change, Event.FINISHED, transition, at)], at, channels)


def alert_subscribers(change: Change, at: datetime) -> int:
    """Make the alerts due that users have asked for, if the import has ended; return how many.

    What is not sent is corrected, as far as it turns out to be wrong.
    """
    operation = change.operation
    if change.created or not change.transitions:
        return 0
    if operation.is_active:
        if any(row.reason == StatusTransition.Reason.CONTINUED for row in change.transitions):
            subscriptions.reset(operation)
        return 0
    draft = _draft(change, end_event(operation.end_reason), change.transitions[-1], at)
    if change.has_ended:
        return subscriptions.complete(draft, at)
    is_corrected = any(event in END_EVENTS for event, _transition in change.events)
    if change.superseded_by or is_corrected:
        return subscriptions.correct(draft, at)
    return 0


def alerts_for_failure(
    workspace: Workspace, error: RocketChatError, at: datetime
) -> list[AlertDraft]:
    """Return the alert about a workspace whose polls have failed for too long, once."""
    incident = follow_failure(workspace, error, at)
    if incident is None:
        return []
    is_flapping = incident.kind == IncidentKind.FLAPPING
    draft = draft_workspace_alert(
        Event.UNREACHABLE,
        workspace,
        at=at,
        since=incident.since,
        outcome=error.kind,
        message=str(error),
        flapping=is_flapping,
    )
    return [_with_others(draft.about(incident), workspace, incident.since, at)]


def alerts_for_recovery(
    workspace: Workspace, changes: Sequence[Change], at: datetime
) -> list[AlertDraft]:
    """Return the alert about a workspace that can be polled again, if there was one before."""
    incident = follow_recovery(workspace, at, is_good=True)
    if incident is None or incident.first_alert_at is None:
        return []
    draft = _draft_recovery(workspace, incident, at, changes)
    return [_with_others(draft, workspace, incident.since, at)]


def alerts_for_settling(workspace: Workspace, at: datetime) -> list[AlertDraft]:
    """Return the alert about a workspace that has not been unreachable any more for long enough."""
    incident = close_flapping(workspace, at)
    return [] if incident is None else [_draft_recovery(workspace, incident, at)]


def _draft_recovery(
    workspace: Workspace, incident: Incident, at: datetime, changes: Sequence[Change] = ()
) -> AlertDraft:
    draft = draft_workspace_alert(
        Event.RECOVERED,
        workspace,
        at=at,
        since=incident.since,
        outcome=OK,
        message="",
        progress=[progress for change in changes if (progress := _progress(change))],
    )
    return draft.about(incident)


def _progress(change: Change) -> dict[str, Any] | None:
    """Return how far an import went since the poll before, None if it did not."""
    operation, before = change.operation, copy(change.operation)
    for name, (old, _new) in change.updated.items():
        setattr(before, name, old)
    if change.created or before.percent is None or before.percent == operation.percent:
        return None
    return {
        "operation": operation.pk,
        "type": operation.type,
        "file": operation.file_name,
        "from_percent": before.percent,
        "to_percent": operation.percent,
    }


def _with_others(
    draft: AlertDraft, workspace: Workspace, since: datetime, at: datetime
) -> AlertDraft:
    """Hold an alert for as long as others of the same outage may follow; the last releases all.

    Workspaces whose polls began to fail within a minute of each other have one cause.
    """
    others = Workspace.objects.filter(
        failing_since__range=(since - SAME_OUTAGE, since + SAME_OUTAGE), flapping_since=None
    ).exclude(alias=workspace.alias)
    # An outage is alerted at the first poll after the threshold.
    alerted_from = F("failing_since") + conf.get_options().unreachable_after
    if draft.event == Event.UNREACHABLE:
        following = others.filter(last_polled_at__lt=alerted_from)
    else:
        following = others.filter(last_polled_at__gte=alerted_from)
    if following.exists():
        return replace(draft, not_before=at + SAME_OUTAGE)
    held = Alert.objects.filter(event=draft.event, not_before__gt=at, attempts=0)
    held.filter(next_attempt_at__isnull=False).update(not_before=None, next_attempt_at=at)
    return draft
