"""What a poll gives somebody to be told: the events of its changes, as alerts put them down."""

from datetime import datetime

from importmonitor import conf
from importmonitor.alerts.messages import Notice, operation_notice, workspace_notice
from importmonitor.changes import Change
from importmonitor.events import Event
from importmonitor.models import SyncPeriod
from importmonitor.rocketchat.errors import RocketChatError


def of_change(change: Change, at: datetime) -> list[Notice]:
    """Put down a saved change's events."""
    operation = change.operation
    notices = []
    for event, transition in change.events:
        # What makes it one event: the transition, or the time since when it has been waiting.
        what = transition.pk if transition else f"{operation.pk}:{operation.waiting_since}"
        notices.append(
            operation_notice(
                event,
                operation,
                at=at,
                key=f"{event}:{operation.workspace}:{what}",
                states=(
                    (transition.from_state or None, transition.to_state)
                    if transition
                    else (operation.state, operation.state)
                ),
                transition_pk=transition.pk if transition else None,
            )
        )
    return notices


def of_failure(
    alias: str, error: RocketChatError, period: SyncPeriod | None, at: datetime
) -> list[Notice]:
    """Return what to tell when looks have failed for too long: once, as that time is passed."""
    since, after = SyncPeriod.objects.failing_since(alias), conf.options().unreachable_after
    if since is None or at - since < after:
        return []
    if period and not period.is_good and period.last_at - since >= after:
        return []
    told = {"outcome": error.kind, "message": str(error)}
    return [workspace_notice(Event.UNREACHABLE, alias, at=at, since=since, **told)]


def of_recovery(alias: str, period: SyncPeriod | None, at: datetime) -> list[Notice]:
    """Return what to tell when a look is good again, of a workspace that was told of."""
    since = SyncPeriod.objects.failing_since(alias)
    if since is None or period is None:
        return []
    if period.last_at - since < conf.options().unreachable_after:
        return []
    told = {"outcome": SyncPeriod.OK, "message": ""}
    return [workspace_notice(Event.RECOVERED, alias, at=at, since=since, **told)]
