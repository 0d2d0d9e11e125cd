"""The alerts of one poll: the events of its changes, as drafts for the outbox."""

from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import F

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.alerts.messages import (
    AlertDraft,
    draft_operation_alert,
    draft_workspace_alert,
    workspace_key,
)
from importmonitor.alerts.queue import SAME_OUTAGE
from importmonitor.choices import OK, Event
from importmonitor.models import Alert, StatusTransition, Workspace
from importmonitor.models.workspaces import STABLE_AFTER
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.sync.change import Change
from importmonitor.sync.ends import SUPERSESSION_PAUSE, may_be_superseded

# After so many outages within this time, the next is told as flapping, and is the last for now.
_MAX_OUTAGES = 2
_FLAP_WINDOW = timedelta(hours=2)


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
    workspace: Workspace, error: RocketChatError, at: datetime
) -> list[AlertDraft]:
    """Return the alert about a workspace whose polls have failed for too long, once."""
    since, options = workspace.failing_since, conf.get_options()
    if since is None or not options.channels or at - since < options.unreachable_after:
        return []
    was_flapping = workspace.flapping_since is not None
    if was_flapping:
        if at - since < STABLE_AFTER:
            return []
        workspace.flapping_since = None
    if _was_alerted(workspace.alias, since):
        return []
    if not was_flapping and _count_outages(workspace.alias, at) >= _MAX_OUTAGES:
        workspace.flapping_since = at
    draft = draft_workspace_alert(
        Event.UNREACHABLE,
        workspace.alias,
        at=at,
        since=since,
        outcome=error.kind,
        message=str(error),
        flapping=workspace.flapping_since is not None,
    )
    return [_with_others(draft, workspace, since, at)]


def alerts_for_recovery(workspace: Workspace, since: datetime, at: datetime) -> list[AlertDraft]:
    """Return the alert about a workspace that can be polled again, if there was one before."""
    if workspace.flapping_since is not None or not _was_alerted(workspace.alias, since):
        return []
    draft = draft_workspace_alert(
        Event.RECOVERED, workspace.alias, at=at, since=since, outcome=OK, message=""
    )
    return [_with_others(draft, workspace, since, at)]


def alerts_for_settling(workspace: Workspace, at: datetime) -> list[AlertDraft]:
    """Return the alert about a workspace that has not been unreachable any more for long enough."""
    since, workspace.flapping_since = workspace.flapping_since, None
    assert since is not None
    return [
        draft_workspace_alert(
            Event.RECOVERED, workspace.alias, at=at, since=since, outcome=OK, message=""
        )
    ]


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


def was_alerted(workspace: Workspace) -> bool:
    """Return whether there was an alert about a workspace's present outage."""
    since = workspace.failing_since
    return since is not None and _was_alerted(workspace.alias, since)


def _was_alerted(alias: str, since: datetime) -> bool:
    key = workspace_key(Event.UNREACHABLE, alias, since)
    return Alert.objects.filter(key=key).exists()


def _count_outages(alias: str, at: datetime) -> int:
    """Return how many outages of a workspace were alerted recently."""
    alerts = Alert.objects.filter(workspace=alias, event=Event.UNREACHABLE)
    recent = alerts.filter(created_at__range=(at - _FLAP_WINDOW, at))
    return recent.values("key").distinct().count()
