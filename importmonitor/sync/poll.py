"""One poll of one workspace."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import Error, connections, transaction
from django.utils import timezone

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.logs import get_logger
from importmonitor.models import (
    ImportOperation,
    Workspace,
)
from importmonitor.models.leases import PollState
from importmonitor.models.workspace_queries import is_since
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import InternalError, RocketChatError
from importmonitor.secret import trim_traceback
from importmonitor.sync.change import Change
from importmonitor.sync.claims import Claim
from importmonitor.sync.diff import diff
from importmonitor.sync.fetch import affected_rows, fetch_snapshot
from importmonitor.sync.lease import (
    LEASED,
    RECENT,
    Lease,
    LeaseLost,
    NextPoll,
    skip_reason,
)
from importmonitor.sync.record import store_failure, store_result
from importmonitor.tenancy import store_alias

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = get_logger(__name__)


@dataclass(frozen=True)
class SyncResult:
    """The result of one poll of one workspace.

    `skipped` is None, "leased" (another process is polling it) or "not before <ISO time>"; `error`
    is None or why the poll failed; `notice` is a message for the operator, shown once; `operation`
    is the current operation as it is now (with `dry_run`: as it would be), None if there is none
    or the poll was skipped or failed; `alerts_due` is whether alerts are to be sent.
    """

    workspace: str
    polled_at: datetime
    duration: timedelta = timedelta(0)
    skipped: str | None = None
    error: RocketChatError | None = None
    notice: str = ""
    operation: ImportOperation | None = None
    changes: list[Change] = field(default_factory=list)
    alerts_due: bool = False
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """Whether the poll did not fail; one that was skipped did not."""
        return self.error is None


@dataclass(frozen=True)
class PollFailure:
    """A poll without a result: the database was unusable, or there is a bug."""

    workspace: str
    error: Exception


def database_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that are raised when the database cannot be used.

    The driver's own among them: when MySQL has lost the connection, Django lets that exception
    through where it closes the cursor (`SQLCompiler.execute_sql`).
    """
    wrapper: Any = connections[store_alias()]
    return (Error, wrapper.Database.Error)


def sync_workspace(
    workspace: str | WorkspaceConfig,
    *,
    client: "Client | None" = None,
    now: Callable[[], datetime] = timezone.now,
    dry_run: bool = False,
) -> SyncResult:
    """Poll a workspace, store what changed, and send the alerts that are due.

    `workspace` is an alias, or the workspace's settings if they have been read already; `client`
    is one to use and keep open, else one is made for this call; `now` is the clock for the times
    in rows; with `dry_run` nothing is written and no lease is acquired.

    Raises conf.UnknownWorkspace and ImproperlyConfigured. When Rocket.Chat cannot be polled,
    nothing is raised: that is the result's `error`.
    """
    result = poll_workspace(workspace, client=client, now=now, dry_run=dry_run)
    if result.alerts_due:
        # After the lease is released, so that a slow mail server delays no other process; and
        # after the commit, if all this runs in a transaction of the host's.
        transaction.on_commit(partial(deliver_alerts, now), using=store_alias())
    return result


def poll_workspace(
    workspace: str | WorkspaceConfig,
    *,
    client: "Client | None" = None,
    now: Callable[[], datetime] = timezone.now,
    dry_run: bool = False,
    unless_polled_since: datetime | None = None,
) -> SyncResult:
    """Do what `sync_workspace` does, but send no alerts: the result says whether any are due.

    A workspace that any process has polled since `unless_polled_since` is skipped: `skipped` is
    then "polled recently".
    """
    if isinstance(workspace, str):
        workspace = conf.get_workspace(workspace)
    started = time.monotonic()
    if dry_run:
        result = _preview(workspace, client, now)
    else:
        result = _poll(workspace, client, now, unless_polled_since)
    return replace(result, duration=timedelta(seconds=time.monotonic() - started))


def deliver_alerts(
    now: Callable[[], datetime] = timezone.now, is_stopped: Callable[[], bool] = lambda: False
) -> None:
    """Send the alerts that are due; nothing is raised if the database cannot be used.

    Begins no delivery once `is_stopped`.
    """
    try:
        outbox.deliver(now=now, is_stopped=is_stopped)
    except database_errors() as error:
        # The poll is complete, and what was not delivered stays due.
        logger.warning("Alerts could not be delivered: %s", type(error).__name__)


def _preview(
    config: WorkspaceConfig, client: "Client | None", now: Callable[[], datetime]
) -> SyncResult:
    """Poll and compare without a lease, and write nothing."""
    alias = config.alias
    result = SyncResult(alias, polled_at=now(), dry_run=True)
    # Another process's lease does not matter here; Rocket.Chat's rate limit does.
    skipped = skip_reason(alias, now())
    if skipped not in (None, LEASED):
        return replace(result, skipped=skipped)
    state = Workspace.objects.poll_state(alias, now())
    try:
        fetched = fetch_snapshot(state, config, client, now)
    except RocketChatError as error:
        return replace(result, error=error)
    snapshot = replace(fetched.snapshot, pruned_before=state.workspace.pruned_before)
    operation, changes = diff(snapshot, affected_rows(snapshot), conf.get_options())
    return replace(result, operation=operation, changes=changes, notice=fetched.notice)


def _poll(
    config: WorkspaceConfig,
    client: "Client | None",
    now: Callable[[], datetime],
    unless_polled_since: datetime | None,
) -> SyncResult:
    """Poll and store what changed, under the workspace's lease."""
    alias = config.alias
    result = SyncResult(alias, polled_at=now())
    with Lease(alias, now, deadline=config.deadline, groups=config.groups) as lease:
        if not lease.is_held:
            skipped = skip_reason(alias, now()) or LEASED
            # Rocket.Chat's rate limit is no reason to delay an alert.
            return replace(result, skipped=skipped, alerts_due=skipped != LEASED)
        state = Workspace.objects.poll_state(alias, now())
        last_polled_at = state.workspace.last_polled_at
        if unless_polled_since and is_since(last_polled_at, unless_polled_since, now()):
            # Behind the lease: of several processes, only the first gets here before a poll.
            return replace(result, skipped=RECENT, alerts_due=state.alerts_due)
        return _poll_held(lease, state, config, client, now)


def poll_claimed(
    claim: Claim,
    client: "Client",
    next_poll: NextPoll,
    now: Callable[[], datetime] = timezone.now,
) -> SyncResult:
    """Poll a workspace whose lease was claimed; `next_poll` says when it is due again."""
    started, config = time.monotonic(), claim.config
    lease = Lease(
        config.alias,
        now,
        deadline=config.deadline,
        groups=config.groups,
        holder=claim.holder,
        acquired_at=claim.claimed_at,
        next_poll=next_poll,
    )
    try:
        with lease:
            # It may have waited long for a thread.
            lease.keep()
            result = _poll_held(lease, claim.state, config, client, now)
    except LeaseLost:
        result = SyncResult(config.alias, polled_at=now(), skipped=LEASED)
    return replace(result, duration=timedelta(seconds=time.monotonic() - started))


def _poll_held(
    lease: Lease,
    state: PollState,
    config: WorkspaceConfig,
    client: "Client | None",
    now: Callable[[], datetime],
) -> SyncResult:
    """Poll and store what changed."""
    alias, polled_at = config.alias, now()
    operation: ImportOperation | None = None
    changes: list[Change] = []
    failure, notice = None, ""
    try:
        try:
            with conf.keep_options():
                fetched = fetch_snapshot(state, config, client, now, lease.keep)
                operation, changes, alert_count = store_result(lease, fetched)
                notice = fetched.notice
        except RocketChatError as error:
            logger.warning("%s", error)
            alert_count = store_failure(lease, state.workspace, error, now())
            failure = error
        except Exception as error:
            if isinstance(error, (LeaseLost, *database_errors())):
                raise
            _store_bug(lease, error, now)
            raise trim_traceback(error)  # noqa: B904 - it is the same
    except LeaseLost:
        return SyncResult(alias, polled_at, skipped=LEASED)
    for change in changes:
        logger.info("%s: %s: %s", alias, change.operation, ", ".join(change.updated))
    return SyncResult(
        alias,
        polled_at,
        error=failure,
        notice=notice,
        operation=operation,
        changes=changes,
        alerts_due=state.alerts_due or bool(alert_count),
    )


def _store_bug(lease: Lease, error: Exception, now: Callable[[], datetime]) -> None:
    """Store a failed poll whose reason is a bug, so that the workspace is told as unreachable."""
    # Without the exception's own text, which can hold anything.
    failure = InternalError(
        f"{lease.alias}: the poll failed with {type(error).__name__}. This is a bug of "
        "importmonitor or of the software around it. See the log, and report it."
    )
    # What the poll has changed in this row was rolled back in the database.
    state = Workspace.objects.poll_state(lease.alias, now())
    try:
        store_failure(lease, state.workspace, failure, now())
    except Exception:
        # The first one says more.
        logger.exception("%s: the failed poll could not be stored.", lease.alias)
