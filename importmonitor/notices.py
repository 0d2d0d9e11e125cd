"""What a poll gives somebody to be told: the events of its changes, as alerts put them down."""

from datetime import datetime

from importmonitor import conf
from importmonitor.alerts.messages import (
    Notice,
    operation_notice,
    workspace_key,
    workspace_notice,
)
from importmonitor.changes import Change
from importmonitor.events import Event
from importmonitor.models import Alert, SyncPeriod
from importmonitor.rocketchat.errors import RocketChatError


def of_change(change: Change, at: datetime) -> list[Notice]:
    """Put down a saved change's events."""
    operation = change.operation
    progressed_at, _now = change.updated.get("last_progress_at", (operation.last_progress_at, None))
    notices = []
    for event, transition in change.events:
        # Of errors that it ended with nobody knows when they happened, nor of what nobody saw run.
        all_along = event == Event.FINISHED or change.created
        # What makes it one event: the transition, or the time since when it has been waiting. With
        # the time, for in another database there is another transition of that number.
        happened = transition.observed_at if transition else operation.waiting_since
        number = transition.pk if transition else operation.pk
        notices.append(
            operation_notice(
                event,
                operation,
                at=at,
                key=f"{event}:{operation.workspace}:{number}:{happened:%Y%m%dT%H%M%S.%f}",
                states=(
                    (transition.from_state or None, transition.to_state)
                    if transition
                    else (operation.state, operation.state)
                ),
                log_from=operation.started_at if all_along else progressed_at,
                step=(transition.from_status if transition else "") or operation.status,
                transition_pk=transition.pk if transition else None,
            )
        )
    return notices


def of_failure(alias: str, error: RocketChatError, at: datetime) -> list[Notice]:
    """Return what to tell when looks have failed for too long, unless it was told."""
    since = SyncPeriod.objects.failing_since(alias)
    if since is None or at - since < conf.options().unreachable_after or _was_told(alias, since):
        return []
    told = {"outcome": error.kind, "message": str(error)}
    return [workspace_notice(Event.UNREACHABLE, alias, at=at, since=since, **told)]


def of_recovery(alias: str, at: datetime) -> list[Notice]:
    """Return what to tell when a look is good again, if trouble was told of."""
    since = SyncPeriod.objects.failing_since(alias)
    if since is None or not _was_told(alias, since):
        return []
    told = {"outcome": SyncPeriod.OK, "message": ""}
    return [workspace_notice(Event.RECOVERED, alias, at=at, since=since, **told)]


def _was_told(alias: str, since: datetime) -> bool:
    key = workspace_key(Event.UNREACHABLE, alias, since)
    return Alert.objects.filter(key=key).exists()
