"""The alerts of one poll: the events of its changes, as drafts for the outbox."""

from datetime import datetime

from importmonitor import conf
from importmonitor.alerts.messages import (
    AlertDraft,
    draft_operation_alert,
    draft_workspace_alert,
    workspace_key,
)
from importmonitor.choices import Event
from importmonitor.models import Alert, SyncPeriod
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.sync.diff import Change


def alerts_for_change(change: Change, at: datetime) -> list[AlertDraft]:
    """Return the alerts for the events of a saved change."""
    operation = change.operation
    progressed_at, _now = change.updated.get("last_progress_at", (operation.last_progress_at, None))
    drafts = []
    for event, transition in change.events:
        # The reason can be anywhere in the import's log: the counters do not date its errors, and
        # one that is new was never polled while it ran.
        whole_import = event == Event.FINISHED or change.created
        # The event is identified by its transition, or by the time since which it has waited. The
        # key has the time too, since another database has another transition with that number.
        happened_at = transition.observed_at if transition else operation.waiting_since
        number = transition.pk if transition else operation.pk
        drafts.append(
            draft_operation_alert(
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
        )
    return drafts


def alerts_for_failure(alias: str, error: RocketChatError, at: datetime) -> list[AlertDraft]:
    """Return the alert about a workspace whose polls have failed for too long, once."""
    since = SyncPeriod.objects.failing_since(alias)
    if since is None or at - since < conf.get_options().unreachable_after:
        return []
    if _was_alerted(alias, since):
        return []
    return [
        draft_workspace_alert(
            Event.UNREACHABLE, alias, at=at, since=since, outcome=error.kind, message=str(error)
        )
    ]


def alerts_for_recovery(alias: str, at: datetime) -> list[AlertDraft]:
    """Return the alert about a workspace that can be polled again, if there was one before."""
    since = SyncPeriod.objects.failing_since(alias)
    if since is None or not _was_alerted(alias, since):
        return []
    return [
        draft_workspace_alert(
            Event.RECOVERED, alias, at=at, since=since, outcome=SyncPeriod.OK, message=""
        )
    ]


def _was_alerted(alias: str, since: datetime) -> bool:
    key = workspace_key(Event.UNREACHABLE, alias, since)
    return Alert.objects.filter(key=key).exists()
