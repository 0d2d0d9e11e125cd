"""One poll of one workspace."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import Error, connection, transaction
from django.utils import timezone

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.choices import Event
from importmonitor.models import (
    ImportOperation,
    PollState,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
)
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import RateLimited, RocketChatError
from importmonitor.signals import operation_changed, operation_stalled, sync_failed
from importmonitor.sync.alerts import alerts_for_change, alerts_for_failure, alerts_for_recovery
from importmonitor.sync.diff import Change, Snapshot, diff
from importmonitor.sync.fetch import Fetched, affected_rows, fetch_snapshot
from importmonitor.sync.lease import LEASED, Lease, LeaseLost, skip_reason, stored_lease
from importmonitor.sync.rate import Sample, records_per_second

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncResult:
    """The result of one poll of one workspace.

    `skipped` is None, "leased" (another process is polling it) or "not before <ISO time>"; `error`
    is None or why the poll failed; `notice` is a message for the operator, shown once; `operation`
    is the current operation as it is now (with `dry_run`: as it would be), None if there is none
    or the poll was skipped or failed.
    """

    workspace: str
    polled_at: datetime
    duration: timedelta = timedelta(0)
    skipped: str | None = None
    error: RocketChatError | None = None
    notice: str = ""
    operation: ImportOperation | None = None
    changes: list[Change] = field(default_factory=list)
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
    wrapper: Any = connection
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
    if isinstance(workspace, str):
        workspace = conf.get_workspace(workspace)
    started = time.monotonic()
    poll = _preview if dry_run else _poll
    result = poll(workspace, client, now)
    return replace(result, duration=timedelta(seconds=time.monotonic() - started))


def _preview(
    workspace: WorkspaceConfig, client: "Client | None", now: Callable[[], datetime]
) -> SyncResult:
    """Poll and compare without a lease, and write nothing."""
    alias = workspace.alias
    result = SyncResult(alias, polled_at=now(), dry_run=True)
    # Another process's lease does not matter here; Rocket.Chat's rate limit does.
    skipped = skip_reason(alias, now())
    if skipped not in (None, LEASED):
        return replace(result, skipped=skipped)
    state = SyncPeriod.objects.poll_state(alias, now())
    try:
        fetched = fetch_snapshot(workspace, state, client, now)
    except RocketChatError as error:
        return replace(result, error=error)
    snapshot = replace(fetched.snapshot, pruned_before=stored_lease(alias).pruned_before)
    operation, changes = diff(snapshot, affected_rows(snapshot), conf.get_options())
    return replace(result, operation=operation, changes=changes, notice=fetched.notice)


def _poll(
    workspace: WorkspaceConfig, client: "Client | None", now: Callable[[], datetime]
) -> SyncResult:
    """Poll and store what changed, under the workspace's lease."""
    alias = workspace.alias
    result = SyncResult(alias, polled_at=now())
    state, alert_count = PollState(), 0
    try:
        with Lease(workspace, now) as lease:
            if not lease.is_held:
                skipped = skip_reason(alias, now()) or LEASED
                if skipped != LEASED:
                    # Rocket.Chat's rate limit is no reason to delay an alert.
                    transaction.on_commit(partial(_deliver, now))
                return replace(result, skipped=skipped)
            state = SyncPeriod.objects.poll_state(alias, now())
            try:
                fetched = fetch_snapshot(workspace, state, client, now, lease.renew)
            except RocketChatError as error:
                logger.warning("%s", error)
                if isinstance(error, RateLimited):
                    lease.release_values = {"not_before": error.until}
                alert_count = _store_failure(lease, error, state.period, now())
                result = replace(result, error=error)
            else:
                operation, changes, alert_count = _store(lease, fetched, state.period)
                lease.release_values = fetched.lease_values
                result = replace(
                    result, operation=operation, changes=changes, notice=fetched.notice
                )
    except LeaseLost:
        return replace(result, error=None, skipped=LEASED)
    for change in result.changes:
        logger.info("%s: %s: %s", alias, change.operation, ", ".join(change.updated))
    if state.alerts_due or alert_count:
        # After the lease is released, so that a slow mail server delays no other process; and
        # after the commit, if all this runs in a transaction of the host's.
        transaction.on_commit(partial(_deliver, now))
    return result


def _deliver(now: Callable[[], datetime]) -> None:
    try:
        outbox.deliver(now=now)
    except database_errors() as error:
        # The poll is complete, and what was not delivered stays due.
        logger.warning("Alerts could not be delivered: %s", type(error).__name__)


def _store(
    lease: Lease, fetched: Fetched, period: SyncPeriod | None
) -> tuple[ImportOperation | None, list[Change], int]:
    """Store what a snapshot changes, all of it or nothing.

    Return the current operation, the changes, and the number of alerts. Raises LeaseLost.
    """
    snapshot, options = fetched.snapshot, conf.get_options()
    outcome = SyncPeriod.OK if snapshot.current else SyncPeriod.EMPTY
    continues = period is not None and period.continues(outcome, snapshot.at)
    if continues and not snapshot.has_list:
        operation, changes = diff(snapshot, fetched.rows, options)
        if not changes:
            _extend(lease, period, snapshot.at, snapshot.watched)
            return operation, [], 0
    with transaction.atomic():
        # What was read above may have changed since. Behind this fence nothing can.
        lease.renew()
        if snapshot.has_list and period is not None:
            snapshot = replace(snapshot, pruned_before=stored_lease(lease.alias).pruned_before)
        operation, changes = diff(snapshot, affected_rows(snapshot), options)
        _save(changes, operation, snapshot)
        drafts = [draft for change in changes for draft in alerts_for_change(change, snapshot.at)]
        if continues:
            _extend(lease, period, snapshot.at, snapshot.watched)
        else:
            if period is not None and not period.is_good:
                drafts += alerts_for_recovery(lease.alias, snapshot.at)
            SyncPeriod.objects.start(lease.alias, outcome, at=snapshot.at, watched=snapshot.watched)
        alert_count = outbox.write(drafts, snapshot.at)
        for change in changes:
            transaction.on_commit(partial(_send_signals, change))
    return operation, changes, alert_count


def _store_failure(
    lease: Lease, error: RocketChatError, period: SyncPeriod | None, at: datetime
) -> int:
    """Store a failed poll; return the number of alerts. Raises LeaseLost."""
    watched = period.watched if period else timedelta(0)
    with transaction.atomic():
        lease.renew()
        if period is not None and period.continues(error.kind, at):
            _extend(lease, period, at, watched, str(error))
        else:
            SyncPeriod.objects.start(
                lease.alias, error.kind, at=at, watched=watched, message=str(error)
            )
        alert_count = outbox.write(alerts_for_failure(lease.alias, error, at), at)
        transaction.on_commit(
            partial(sync_failed.send_robust, sender=SyncPeriod, workspace=lease.alias, error=error)
        )
    return alert_count


def _extend(
    lease: Lease, period: SyncPeriod | None, at: datetime, watched: timedelta, message: str = ""
) -> None:
    extended = period is not None and SyncPeriod.objects.extend(
        period, lease.holder, at=at, watched=watched, message=message
    )
    if not extended:
        raise LeaseLost


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
            change.set("rate", _rate(change, snapshot.at))
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
    ProgressSample.objects.thin(
        [change.operation for change in changes if change.has_ended and not change.created]
    )


def _rate(change: Change, at: datetime) -> float | None:
    """Return an operation's rate over the samples of its present step, this poll included."""
    if change.created or "status" in change.updated:
        return None
    operation = change.operation
    samples = ProgressSample.objects.of_step(operation)
    if change.is_sampled:
        counters = operation.count_completed, operation.count_error, operation.count_total
        samples.append((at, *counters))
    return records_per_second(
        [
            Sample(at, completed, error or 0, total)
            for at, completed, error, total in samples
            if completed is not None
        ]
    )
