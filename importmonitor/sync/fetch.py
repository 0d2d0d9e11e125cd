"""The requests of one poll: what Rocket.Chat says of a workspace's operations."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from importmonitor import conf
from importmonitor.models import ImportOperation, PollState, SyncPeriod
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import PermissionMissing, RocketChatError
from importmonitor.rocketchat.operation import Operation
from importmonitor.sync.diff import Snapshot
from importmonitor.sync.lease import stored_lease

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = logging.getLogger(__name__)

_LIST_INTERVAL = timedelta(days=1)
_LIST_RETRY_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Fetched:
    """The result of the requests.

    `rows` are those that the current operation can change. `lease_values` are fields of the
    SyncLease: when the list is due again, and why it is refused. `notice` is a message for the
    operator, shown once.
    """

    snapshot: Snapshot
    rows: list[ImportOperation]
    lease_values: dict[str, Any] = field(default_factory=dict)
    notice: str = ""


def fetch_snapshot(
    workspace: WorkspaceConfig,
    state: PollState,
    client: "Client | None",
    now: Callable[[], datetime],
    renew: Callable[[], None] = lambda: None,
) -> Fetched:
    """Request the current operation, and the list of operations where that can add anything.

    It can when the current operation is new, and once a day. `renew` is called before the second
    request. Raises a RocketChatError if the first one fails.
    """
    if client is None:
        # Imported here: it imports requests, a quarter of a cron command's start-up.
        from importmonitor.rocketchat.client import Client

        context: Client | nullcontext[Client] = Client(workspace)
    else:
        context = nullcontext(client)
    alias = workspace.alias
    with context as open_client:
        current = open_client.current_operation()
        at = now()
        snapshot = Snapshot(alias, at, current, watched=_watched(state.period, at))
        # A workspace that was never polled has no rows.
        is_first = state.period is None
        rows = [] if is_first else affected_rows(snapshot)
        is_known = current is None or any(row.remote_id == current.remote_id for row in rows)
        list_is_due = state.list_due_at is None or at >= state.list_due_at
        if current is None or (is_known and not list_is_due):
            return Fetched(snapshot, rows)
        renew()
        latest, lease_values, notice = _latest_operations(alias, open_client, now)
    # What is in the list can have happened since the first response.
    at = now()
    snapshot = Snapshot(
        alias,
        at,
        current,
        latest,
        has_list=True,
        watched=_watched(state.period, at),
        known_since=None if is_first else SyncPeriod.objects.first_success_at(alias),
    )
    return Fetched(snapshot, rows, lease_values, notice)


def affected_rows(snapshot: Snapshot) -> list[ImportOperation]:
    """Return the rows that a snapshot can change."""
    return ImportOperation.objects.affected_by(snapshot.workspace, list(snapshot.operations))


def _latest_operations(
    alias: str, client: "Client", now: Callable[[], datetime]
) -> tuple[Sequence[Operation], dict[str, Any], str]:
    """Return the list of operations, the fields of the lease, and a notice.

    The list is empty where the request fails: a poll can do without it.
    """
    due_again = {"list_due_at": now() + _LIST_INTERVAL, "list_refused": ""}
    try:
        return client.latest_operations(), due_again, ""
    except PermissionMissing as error:
        refusal = str(error)
    except RocketChatError as error:
        logger.info("%s", error)
        return (), {"list_due_at": now() + _LIST_RETRY_AFTER}, ""
    notice = ""
    if not stored_lease(alias).list_refused:
        notice = (
            f"{refusal} Until then, imports that start and end between two polls are missed. "
            "This is shown once."
        )
        logger.warning("%s", notice)
    return (), due_again | {"list_refused": refusal}, notice


def _watched(period: SyncPeriod | None, at: datetime) -> timedelta:
    """Return the total time in which the workspace has been watched, up to now.

    The time since the last poll counts if that succeeded; of a long time, half of what makes an
    import stalled. So a monitor that was off itself (a laptop that slept, a stopped cron) finds no
    import stalled at its first poll.
    """
    if period is None:
        return timedelta(0)
    if not period.is_good:
        return period.watched
    longest = min(conf.get_options().stalled_after.values()) / 2
    return period.watched + max(timedelta(0), min(at - period.last_at, longest))
