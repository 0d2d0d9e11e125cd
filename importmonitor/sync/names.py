"""The names of the users who started imports: Rocket.Chat's operations have their ids alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from importmonitor import conf
from importmonitor.logs import get_logger
from importmonitor.models import ImportOperation
from importmonitor.models.charsets import storable_message
from importmonitor.rocketchat.exceptions import (
    RateLimited,
    RocketChatError,
    Unauthenticated,
    Unreachable,
)
from importmonitor.rocketchat.operation import Operation
from importmonitor.sync.change import REMOTE_FIELDS, Snapshot
from importmonitor.sync.interval import leaves_enough

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = get_logger(__name__)

# These say nothing about the user: the name is requested again.
_TRANSIENT = (Unreachable, RateLimited, Unauthenticated)


class UserNames(NamedTuple):
    """The names of users by their ids; "" was asked in vain.

    `requested` are those that were requested for this snapshot, `known` those of earlier imports.
    """

    known: Mapping[str, str]
    requested: Mapping[str, str]


def find_user_names(
    snapshot: Snapshot,
    rows: Sequence[ImportOperation],
    client: "Client",
    keep_lease: Callable[[], None],
) -> UserNames:
    """Return the names of users whose operations have none yet, by at most one request.

    None is made unless an operation is new or has changed, or the list was received. `rows` are
    those that the current operation can change. `keep_lease` is called before the request.
    """
    user_ids = _unnamed_users(snapshot, rows) if conf.get_options().user_names else []
    if not user_ids:
        return UserNames({}, {})
    known = {}
    if not snapshot.is_first:
        known = ImportOperation.objects.user_names(snapshot.workspace.alias, user_ids)
    user_id = next((user_id for user_id in user_ids if user_id not in known), None)
    # A client that a caller brings need not know how.
    request = getattr(client, "user_name", None)
    if user_id is None or request is None or not leaves_enough(client.rate_limit):
        return UserNames(known, {})
    keep_lease()
    name = _request_name(request, user_id)
    return UserNames(known, {} if name is None else {user_id: name})


def _request_name(request: Callable[[str], str], user_id: str) -> str | None:
    """Return a user's name, "" if there is none to be had, None if it may be had later."""
    try:
        name = request(user_id)
    except _TRANSIENT as error:
        logger.info("%s", error)
        return None
    except RocketChatError as error:
        logger.info("%s", error)
        return ""
    return name if storable_message(name) == name else ""


def _unnamed_users(snapshot: Snapshot, rows: Sequence[ImportOperation]) -> list[str]:
    """Return the users to name, that of the current operation first."""
    if snapshot.has_list and not snapshot.is_first:
        named = ImportOperation.objects.named(snapshot.workspace.alias, list(snapshot.operations))
        operations = [
            operation
            for operation in snapshot.operations.values()
            if operation.remote_id not in named and not _was_pruned(operation, snapshot)
        ]
    else:
        stored = {row.remote_id: row for row in rows}
        operations = [
            operation
            for operation in snapshot.operations.values()
            if _needs_name(operation, stored.get(operation.remote_id))
        ]
    user_ids = [operation.remote_user_id for operation in operations if operation.remote_user_id]
    return list(dict.fromkeys(user_ids))


def _needs_name(operation: Operation, row: ImportOperation | None) -> bool:
    if row is None:
        return True
    if row.remote_user_id != operation.remote_user_id:
        return True
    return row.remote_user_name is None and any(
        getattr(row, name) != getattr(operation, name) for name in REMOTE_FIELDS
    )


def _was_pruned(operation: Operation, snapshot: Snapshot) -> bool:
    started, before = operation.remote_started_at, snapshot.workspace.pruned_before
    return started is not None and before is not None and started < before
