"""The alerts of one poll: the events of its changes, as drafts for the outbox."""

from dataclasses import replace
from datetime import datetime

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.alerts.messages import (
    AlertDraft,
    draft_operation_alert,
    draft_workspace_alert,
    workspace_key,
)
from importmonitor.choices import OK, Event
from importmonitor.models import Alert, StatusTransition
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.sync.change import Change
from importmonitor.sync.ends import SUPERSESSION_PAUSE, may_be_superseded


def alerts_for_change(change: Change, at: datetime) -> list[AlertDraft]:
    """Return the alerts for the events of a saved change."""
    return [_draft(change, event, transition, at) for event, transition in change.events]


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
    happened_at = transition.observed_at if transition else operation.waiting_since
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
    if event == Event.INTERRUPTED and may_be_superseded(operation, at):
        assert operation.finished_at is not None
        return replace(draft, not_before=operation.finished_at + SUPERSESSION_PAUSE)
    return draft


def correct_alerts(change: Change, at: datetime) -> None:
    """Replace the alert of an interruption that turned out to be a supersession.

    Where it was sent already, that was the one alert about the end.
    """
    transition = change.superseded_by
    if transition is None:
        return
    alerts = Alert.objects.filter(operation=change.operation, event=Event.INTERRUPTED)
    alerts.filter(attempts=0, delivered_at=None, given_up_at=None).delete()
    informed = set(alerts.values_list("channel", flat=True))
    channels = [
        channel for name, channel in conf.get_options().channels.items() if name not in informed
    ]
    outbox.write([_draft(change, Event.FINISHED, transition, at)], at, channels)


def alerts_for_failure(
    alias: str, since: datetime, error: RocketChatError, at: datetime
) -> list[AlertDraft]:
    """Return the alert about a workspace whose polls have failed for too long, once."""
    if at - since < conf.get_options().unreachable_after or _was_alerted(alias, since):
        return []
    return [
        draft_workspace_alert(
            Event.UNREACHABLE, alias, at=at, since=since, outcome=error.kind, message=str(error)
        )
    ]


def alerts_for_recovery(alias: str, since: datetime, at: datetime) -> list[AlertDraft]:
    """Return the alert about a workspace that can be polled again, if there was one before."""
    if not _was_alerted(alias, since):
        return []
    return [
        draft_workspace_alert(Event.RECOVERED, alias, at=at, since=since, outcome=OK, message="")
    ]


def _was_alerted(alias: str, since: datetime) -> bool:
    key = workspace_key(Event.UNREACHABLE, alias, since)
    return Alert.objects.filter(key=key).exists()
