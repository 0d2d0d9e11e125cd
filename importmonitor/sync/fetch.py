"""The requests of one poll: what Rocket.Chat says of a workspace's operations."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from importmonitor import conf
from importmonitor.logs import get_logger
from importmonitor.models import ImportOperation, Workspace
from importmonitor.models.charsets import storable_message
from importmonitor.models.leases import PollState
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import PermissionMissing, RocketChatError
from importmonitor.rocketchat.operation import Operation
from importmonitor.sync.change import Snapshot
from importmonitor.sync.clock import measure_offset
from importmonitor.sync.ends import may_run_on
from importmonitor.sync.names import find_user_names
from importmonitor.sync.storage import storable_operations

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client
    from importmonitor.rocketchat.rate_limit import RateLimit

logger = get_logger(__name__)

_LIST_INTERVAL = timedelta(days=1)
_LIST_RETRY_AFTER = timedelta(minutes=5)
#: How often the list is requested while an operation that is no longer current has not ended: at
#: first, and later.
_FOLLOW_INTERVALS = timedelta(minutes=5), timedelta(hours=1)
#: For how long it is followed at the shorter interval.
_FOLLOW_CLOSELY = timedelta(hours=6)

#: A Date header is exact to a second, and a response can take a while.
_CLOCK_TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True)
class Fetched:
    """The result of the requests.

    `rows` are those that the current operation can change. `changed` names the fields of
    `snapshot.workspace` that the requests changed. `notice` is a message for the operator, shown
    once. `new_names` are the names of users that were requested, by their ids.
    """

    snapshot: Snapshot
    rows: list[ImportOperation]
    changed: tuple[str, ...] = ()
    notice: str = ""
    new_names: Mapping[str, str] = field(default_factory=dict)


def fetch_snapshot(
    state: PollState,
    config: WorkspaceConfig,
    client: "Client | None",
    now: Callable[[], datetime],
    keep_lease: Callable[[], None] = lambda: None,
) -> Fetched:
    """Request the current operation, and the list of operations where that can add anything.

    It can when the current operation is another one, while an operation that is no longer current
    has not ended, and once a day. Where an older one is current again, the newer was deleted.
    At most one more request is for the name of a user who started an operation.
    `state.workspace` gets the times and the clock of this poll. `keep_lease` is called
    before each further request. Raises a RocketChatError if the first one fails.
    """
    if client is None:
        # Imported here: it imports requests, a quarter of a cron command's start-up.
        from importmonitor.rocketchat.client import Client

        context: Client | nullcontext[Client] = Client(config, now=now)
    else:
        context = nullcontext(client)
    workspace = state.workspace
    watched, remote_time = workspace.watched, workspace.remote_time
    with context as open_client:
        received = open_client.current_operation()
        current = None if received is None else storable_operations([received])[0]
        at = now()
        # A client that a caller brings need not have a network, and so no headers.
        offset: timedelta | None = getattr(open_client, "clock_offset", None)
        measure_offset(workspace, offset, at)
        workspace.remote_time = None if offset is None else at + offset
        _record_facts(workspace, open_client, at)
        pause = _pause_before(workspace, remote_time, at)
        snapshot = Snapshot(
            workspace,
            at,
            current,
            synced_at=workspace.last_synced_at,
            known_since=workspace.first_synced_at,
        )
        rows = _known_rows(state, snapshot)
        workspace.watched = watched + _watched_in(pause, workspace, rows)
        is_same = current is None or any(
            row.remote_id == current.remote_id and row.pk == workspace.current_operation_id
            for row in rows
        )
        list_is_due = _is_due(workspace.list_due_at, at)
        if current is None or (is_same and not list_is_due):
            names = find_user_names(snapshot, rows, open_client, keep_lease)
            snapshot = replace(snapshot, user_names={**names.known, **names.requested})
            return Fetched(snapshot, rows, new_names=names.requested)
        keep_lease()
        latest, notice = _latest_operations(workspace, open_client, now)
        # What is in the list can have happened since the first response.
        pause += max(timedelta(0), now() - at)
        at = now()
        workspace.watched = watched + _watched_in(pause, workspace, rows)
        snapshot = replace(snapshot, at=at, latest=latest or (), has_list=latest is not None)
        names = find_user_names(snapshot, rows, open_client, keep_lease)
    snapshot = replace(snapshot, user_names={**names.known, **names.requested})
    return Fetched(snapshot, rows, ("list_due_at", "list_refused"), notice, names.requested)


def _record_facts(workspace: Workspace, client: "Client", at: datetime) -> None:
    """Record how fast Rocket.Chat responded, and how many requests it allows."""
    # As above: a client without a network has neither.
    workspace.response_time = getattr(client, "response_time", None)
    limit: RateLimit | None = getattr(client, "rate_limit", None)
    workspace.rate_limit = workspace.rate_remaining = workspace.rate_resets_at = None
    if limit is not None:
        workspace.rate_limit, workspace.rate_remaining = limit.limit, limit.remaining
        workspace.rate_resets_at = at + timedelta(seconds=limit.resets_in)


def _is_due(due_at: datetime | None, at: datetime) -> bool:
    # What is due later than it can be was written by a clock that was ahead.
    return due_at is None or due_at <= at or due_at > at + _LIST_INTERVAL + _LIST_RETRY_AFTER


def _known_rows(state: PollState, snapshot: Snapshot) -> list[ImportOperation]:
    """Return the rows that a snapshot can change; without a query in the usual case."""
    workspace, received = state.workspace, snapshot.current
    if not workspace.was_polled:
        return []
    current = workspace.current_operation
    is_same = current and received and current.remote_id == received.remote_id
    if current and is_same and not state.has_others:
        return [current]
    return affected_rows(snapshot)


def affected_rows(snapshot: Snapshot) -> list[ImportOperation]:
    """Return the rows that a snapshot can change."""
    workspace = snapshot.workspace
    return ImportOperation.objects.affected_by(
        workspace.alias, list(snapshot.operations), workspace.current_operation_id
    )


def list_due_at(
    workspace: Workspace, operations: Sequence[ImportOperation], at: datetime
) -> datetime | None:
    """Return when the list is due, where that is earlier than the workspace has it.

    Only the list shows the end of one of `operations` that is no longer current.
    """
    hidden = [
        operation
        for operation in operations
        if operation.pk != workspace.current_operation_id and may_run_on(operation, at)
    ]
    if not hidden or workspace.list_refused:
        return None
    changed_at = workspace.changed_at or at
    interval = _FOLLOW_INTERVALS[at - changed_at >= _FOLLOW_CLOSELY]
    due = at + interval
    return due if workspace.list_due_at is None or due < workspace.list_due_at else None


def _latest_operations(
    workspace: Workspace, client: "Client", now: Callable[[], datetime]
) -> tuple[Sequence[Operation] | None, str]:
    """Return the list of operations, None if there is none, and a notice.

    A poll can do without the list. The row gets when it is due again, and why it is refused.
    """
    was_refused = bool(workspace.list_refused)
    workspace.list_due_at = now() + _LIST_INTERVAL
    try:
        latest = storable_operations(list(client.latest_operations()))
    except PermissionMissing as error:
        workspace.list_refused = storable_message(str(error))
    except RocketChatError as error:
        logger.info("%s", error)
        workspace.list_due_at = now() + _LIST_RETRY_AFTER
        return None, ""
    else:
        workspace.list_refused = ""
        return latest, ""
    if was_refused:
        return None, ""
    notice = (
        f"{workspace.list_refused} Until then, imports that start and end between two polls are "
        "missed, and so are the ends of imports that run on behind a newer one. This is shown once."
    )
    logger.warning("%s", notice)
    return None, notice


def _pause_before(workspace: Workspace, remote_time: datetime | None, at: datetime) -> timedelta:
    """Return how long ago the last poll was, when Rocket.Chat's time was `remote_time`.

    Where its clock and ours disagree, one was stepped, or another host with another clock polls
    too: the shorter time is right.
    """
    if workspace.last_polled_at is None:
        return timedelta(0)
    pause = at - workspace.last_polled_at
    if remote_time is None or workspace.remote_time is None:
        return max(timedelta(0), pause)
    remote_pause = workspace.remote_time - remote_time
    if abs(pause - remote_pause) <= _CLOCK_TOLERANCE:
        return max(timedelta(0), pause)
    return min(
        (time for time in (pause, remote_pause) if time > timedelta(0)), default=timedelta(0)
    )


def _watched_in(
    pause: timedelta, workspace: Workspace, rows: Sequence[ImportOperation]
) -> timedelta:
    """Return for how long the workspace has been watched in the pause since the last poll.

    The time counts if that poll succeeded; of a long time, half of what makes the current import
    stalled. So a monitor that was off itself (a laptop that slept, a stopped cron) finds no import
    stalled at its first poll.
    """
    if workspace.last_polled_at is None or not workspace.is_good:
        return timedelta(0)
    thresholds = conf.get_options().stalled_after
    current = next((row for row in rows if row.pk == workspace.current_operation_id), None)
    stalled_after = current and thresholds.threshold(
        current.importer_key, current.status, current.rate
    )
    return min(pause, (stalled_after or thresholds.shortest) / 2)
