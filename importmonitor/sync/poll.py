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
from importmonitor.choices import EMPTY, OK, Event
from importmonitor.logs import get_logger
from importmonitor.models import (
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from importmonitor.models.charsets import storable_message
from importmonitor.models.workspaces import is_since
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import InternalError, RateLimited, RocketChatError
from importmonitor.secret import trim_traceback
from importmonitor.signals import operation_changed, operation_stalled, sync_failed
from importmonitor.sync.alerts import (
    alert_subscribers,
    alerts_for_change,
    alerts_for_failure,
    alerts_for_recovery,
    alerts_for_settling,
    correct_alerts,
)
from importmonitor.sync.change import Change, Snapshot
from importmonitor.sync.diff import diff
from importmonitor.sync.estimates import store_speeds, update_estimates
from importmonitor.sync.fetch import Fetched, affected_rows, fetch_snapshot, list_due_at
from importmonitor.sync.incidents import follow_changes, follow_recovery, open_outage
from importmonitor.sync.lease import LEASED, RECENT, Lease, LeaseLost, skip_reason
from importmonitor.sync.unusual import compare_records, expect_durations
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
    try:
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
            try:
                fetched = fetch_snapshot(state, config, client, now, lease.renew)
                operation, changes, alert_count = _store(lease, fetched)
            except RocketChatError as error:
                logger.warning("%s", error)
                alert_count = _store_failure(lease, state.workspace, error, now())
                result = replace(result, error=error)
            except Exception as error:
                if isinstance(error, (LeaseLost, *database_errors())):
                    raise
                _store_bug(lease, error, now)
                raise trim_traceback(error)  # noqa: B904 - it is the same
            else:
                result = replace(
                    result, operation=operation, changes=changes, notice=fetched.notice
                )
    except LeaseLost:
        return replace(result, error=None, skipped=LEASED)
    for change in result.changes:
        logger.info("%s: %s: %s", alias, change.operation, ", ".join(change.updated))
    return replace(result, alerts_due=state.alerts_due or bool(alert_count))


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
        _store_failure(lease, state.workspace, failure, now())
    except Exception:
        # The first one says more.
        logger.exception("%s: the failed poll could not be stored.", lease.alias)


def _store(lease: Lease, fetched: Fetched) -> tuple[ImportOperation | None, list[Change], int]:
    """Store what a snapshot changes, all of it or nothing.

    Return the current operation, the changes, and the number of alerts. Raises LeaseLost.
    """
    snapshot, options = fetched.snapshot, conf.get_options()
    workspace, at = snapshot.workspace, snapshot.at
    status = OK if snapshot.current else EMPTY
    continues = workspace.continues(status, at)
    has_settled = continues and workspace.has_settled(at)
    if continues and not has_settled and not snapshot.has_list:
        operation, changes = diff(snapshot, fetched.rows, options)
        if not changes and _key(operation) == workspace.current_operation_id:
            _record_poll(workspace, at)
            lease.finish(workspace, {*fetched.changed, *workspace.summarize()})
            return operation, [], 0
    with transaction.atomic(using=store_alias()):
        # What was read above may have changed since. Behind this fence nothing can.
        lease.renew()
        if snapshot.has_list and workspace.was_polled:
            pruned = Workspace.objects.filter(alias=lease.alias).values_list("pruned_before")
            snapshot = replace(snapshot, pruned_before=pruned.get()[0])
        rows = affected_rows(snapshot)
        operation, changes = diff(snapshot, rows, options)
        compare_records(changes, at)
        _save(changes, operation, snapshot)
        ImportOperation.objects.name_users(workspace.alias, fetched.new_names, at)
        incidents = follow_changes(changes, at)
        drafts = [draft for change in changes for draft in alerts_for_change(change, incidents, at)]
        created = [change.operation for change in changes if change.created]
        changed = {
            *fetched.changed,
            *_update_current(snapshot, operation, changes),
            *_follow([*rows, *created], snapshot),
        }
        if not continues:
            if workspace.failing_since is not None or workspace.is_late(at):
                drafts += alerts_for_recovery(workspace, changes, at)
            changed |= workspace.start_period(status, at)
        if has_settled:
            drafts += alerts_for_settling(workspace, at)
            changed.add("flapping_since")
        alert_count = outbox.write(drafts, at)
        for change in changes:
            correct_alerts(change, at)
            alert_count += alert_subscribers(change, at)
            transaction.on_commit(partial(_send_signals, change), using=store_alias())
        _record_poll(workspace, at)
        lease.finish(workspace, changed | workspace.summarize())
    return operation, changes, alert_count


def _key(operation: ImportOperation | None) -> int | None:
    return operation.pk if operation else None


def _record_poll(workspace: Workspace, at: datetime) -> None:
    workspace.last_polled_at = workspace.last_synced_at = at
    workspace.period_polls += 1


def _update_current(
    snapshot: Snapshot, operation: ImportOperation | None, changes: list[Change]
) -> set[str]:
    """Update what the workspace's row has of its operations; return the changed fields."""
    workspace, at = snapshot.workspace, snapshot.at
    changed: set[str] = set()
    gone = 0
    if snapshot.is_complete:
        gone = ImportOperation.objects.mark_gone(workspace.alias, list(snapshot.operations), at)
    has_switched = _key(operation) != workspace.current_operation_id
    # Also the same one: this has what has changed.
    workspace.current_operation = operation
    if has_switched or gone or any("gone_at" in change.updated for change in changes):
        workspace.changed_at = at
        changed |= {"current_operation_id", "changed_at"}
    for change in changes:
        twice = change.operation.users_twice
        if change.operation.count_users and twice not in (None, workspace.users_twice):
            workspace.users_twice = twice
            changed.add("users_twice")
    return changed


def _follow(operations: list[ImportOperation], snapshot: Snapshot) -> set[str]:
    """Have the list requested while an operation other than the current one has not ended."""
    workspace = snapshot.workspace
    due = list_due_at(workspace, operations, snapshot.at)
    if due is None:
        return set()
    workspace.list_due_at = due
    return {"list_due_at"}


def _store_failure(lease: Lease, workspace: Workspace, error: RocketChatError, at: datetime) -> int:
    """Store a failed poll; return the number of alerts. Raises LeaseLost."""
    # In place: the alert has the message too.
    error.args = (storable_message(str(error)),)
    message = str(error)
    with transaction.atomic(using=store_alias()):
        lease.renew()
        changed = {"failing_since", "flapping_since"}
        if workspace.was_paused(at) and open_outage(workspace.alias) is None:
            # A pause in polling is neither good nor bad time: the threshold starts again.
            workspace.failing_since = None
        if workspace.continues(error.kind, at):
            workspace.failing_since = workspace.failing_since or at
            if workspace.message != message:
                workspace.message = message
                changed.add("message")
        else:
            if workspace.is_late(at):
                follow_recovery(workspace, at, is_good=False)
            changed |= workspace.start_period(error.kind, at, message)
        workspace.last_polled_at = at
        workspace.period_polls += 1
        drafts = alerts_for_failure(workspace, error, at)
        alert_count = outbox.write(drafts, at)
        transaction.on_commit(
            partial(sync_failed.send_robust, sender=SyncPeriod, workspace=lease.alias, error=error),
            using=store_alias(),
        )
        if isinstance(error, RateLimited):
            workspace.not_before = error.until
            changed.add("not_before")
        lease.finish(workspace, changed | workspace.summarize())
    return alert_count


def _send_signals(change: Change) -> None:
    operation_changed.send_robust(
        sender=ImportOperation,
        operation=change.operation,
        created=change.created,
        changed=change.updated,
        transitions=change.transitions,
    )
    if any(event == Event.STALLED for event, _transition in change.events):
        operation_stalled.send_robust(sender=ImportOperation, operation=change.operation)


def _save(changes: list[Change], current: ImportOperation | None, snapshot: Snapshot) -> None:
    """Write changes, in a number of queries that does not depend on how many there are."""
    for change in changes:
        if change.operation is current and (change.is_sampled or "status" in change.updated):
            update_estimates(change, snapshot.at)
    expect_durations(changes)
    ImportOperation.objects.save_all(
        [change.operation for change in changes if change.created],
        [change.operation for change in changes if not change.created],
        {name for change in changes if not change.created for name in change.updated},
        snapshot.at,
    )
    StatusTransition.objects.add_all(
        [transition for change in changes for transition in change.transitions]
    )
    ProgressSample.objects.add_all(
        [change.operation for change in changes if change.is_sampled], snapshot.at
    )
    ended = [change.operation for change in changes if change.has_ended and not change.created]
    ProgressSample.objects.thin(ended)
    store_speeds(ended)
