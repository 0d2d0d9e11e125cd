"""What a poll writes: all of it in one transaction, behind the lease, or nothing."""

from dataclasses import replace
from datetime import datetime
from functools import partial

from django.db import transaction

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.choices import EMPTY, OK, Event
from importmonitor.models import (
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from importmonitor.models.charsets import storable_message
from importmonitor.rocketchat.exceptions import RateLimited, RocketChatError
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
from importmonitor.sync.fetch import Fetched, affected_rows, list_due_at
from importmonitor.sync.incidents import (
    INCIDENT_FIELDS,
    follow_changes,
    follow_recovery,
    open_outage,
)
from importmonitor.sync.lease import Lease
from importmonitor.sync.unusual import compare_records, expect_durations
from importmonitor.tenancy import store_alias


def store_result(
    lease: Lease, fetched: Fetched
) -> tuple[ImportOperation | None, list[Change], int]:
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
        is_same = _key(operation) == workspace.current_operation_id
        if is_same and not changes:
            _record_poll(workspace, at)
            lease.finish(workspace, fetched.changed)
            return operation, [], 0
        if is_same and len(changes) == 1 and _is_progress(changes[0], workspace):
            _store_progress(lease, fetched, changes[0])
            return operation, changes, 0
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
        if not snapshot.is_first:
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
        lease.finish(workspace, changed)
    return operation, changes, alert_count


def _is_progress(change: Change, workspace: Workspace) -> bool:
    """Return whether what has changed is the current operation, and that is no event."""
    is_current = change.operation.pk == workspace.current_operation_id
    is_event = change.transitions or change.events or change.has_changed(INCIDENT_FIELDS)
    return is_current and not is_event


def _store_progress(lease: Lease, fetched: Fetched, change: Change) -> None:
    """Store counters that have moved: most changes are no more, and this takes three writes.

    The row that `change` was computed from is still as it was read: only who has the lease writes
    it, and nothing deletes the current operation of a workspace without it.
    """
    snapshot, operation = fetched.snapshot, change.operation
    workspace, at = snapshot.workspace, snapshot.at
    update_estimates(change, at)
    changed = {*fetched.changed, *_update_current(snapshot, operation, [change])}
    _record_poll(workspace, at)
    with transaction.atomic(using=store_alias()):
        # First: it fails if the lease was lost, and the others wait behind it.
        lease.finish(workspace, changed | _follow(fetched.rows, snapshot))
        ImportOperation.objects.save_fields(operation, change.updated, at)
        if change.is_sampled:
            ProgressSample.objects.add_all([operation], at)
        transaction.on_commit(partial(_send_signals, change), using=store_alias())


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
    if snapshot.is_complete and not snapshot.is_first:
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


def store_failure(lease: Lease, workspace: Workspace, error: RocketChatError, at: datetime) -> int:
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
        lease.finish(workspace, changed, error)
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
