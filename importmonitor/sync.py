"""The only writer of operations and of their history: one poll of one workspace."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import Error, connection, transaction
from django.utils import timezone

from importmonitor import conf, notices, outcomes, rates
from importmonitor.alerts import outbox
from importmonitor.changes import Change, Look, compare
from importmonitor.events import Event
from importmonitor.looking import (
    LEASED,
    LeaseLost,
    Turn,
    goes_on,
    look_at,
    touchable,
    why_not,
)
from importmonitor.models import (
    ImportOperation,
    Known,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
)
from importmonitor.rocketchat.errors import RateLimited, RocketChatError
from importmonitor.signals import operation_changed, operation_stalled, sync_failed
from importmonitor.workspaces import Workspace

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncResult:
    """How one poll of one workspace went.

    `skipped` is None, "leased" (another process is at it) or "not before <ISO time>"; `error` is
    None or why the workspace could not be looked at; `notice` is something that somebody should
    see to, said once; `operation` is the current operation as it is now (of a `dry_run`: as it
    would be), or None if there is none or nobody looked.
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
        """Whether nothing kept us from looking; somebody else's look is as good as ours."""
        return self.error is None


def database_errors() -> tuple[type[Exception], ...]:
    """Return what is raised when the database cannot be used.

    With the driver's own: of a connection that MySQL has lost, Django lets that through where it
    closes the cursor (`SQLCompiler.execute_sql`).
    """
    wrapper: Any = connection
    return (Error, wrapper.Database.Error)


@dataclass(frozen=True)
class Trouble:
    """A poll that came to no result: the database could not be used, or there is a mistake."""

    workspace: str
    error: Exception


def sync_workspace(
    workspace: str | Workspace,
    *,
    client: "Client | None" = None,
    now: Callable[[], datetime] = timezone.now,
    dry_run: bool = False,
) -> SyncResult:
    """Look at a workspace's imports, store what is new, and tell who wants to be told.

    `workspace` is its alias, or the workspace itself if it has been read from the settings
    already; `client` is one to use and keep, else one is made for this call; `now` is the clock
    that the rows get their times from; with `dry_run` nothing is written and no lease is taken.

    Raises conf.UnknownWorkspace and ImproperlyConfigured. That the workspace could not be looked
    at is no exception but the result's `error`.
    """
    if isinstance(workspace, str):
        workspace = conf.workspace(workspace)
    began = time.monotonic()
    poll = _preview if dry_run else _poll
    result = poll(Turn(workspace, now), client)
    return replace(result, duration=timedelta(seconds=time.monotonic() - began))


def _preview(turn: Turn, client: "Client | None") -> SyncResult:
    """Look and compare, without a lease, and write nothing."""
    result = SyncResult(turn.alias, polled_at=turn.now(), dry_run=True)
    # Another process at work is no reason not to look; Rocket.Chat's budget is.
    skipped = why_not(turn)
    if skipped not in (None, LEASED):
        return replace(result, skipped=skipped)
    try:
        look, _rows = look_at(turn, SyncPeriod.objects.known(turn.alias, turn.now()), client)
    except RocketChatError as error:
        return replace(result, error=error)
    look = replace(look, pruned_before=turn.pruned_before())
    operation, changes = compare(look, touchable(look), conf.options())
    return replace(result, operation=operation, changes=changes, notice=turn.notice)


def _poll(turn: Turn, client: "Client | None") -> SyncResult:
    """Look and store what is new, under the workspace's lease."""
    result = SyncResult(turn.alias, polled_at=turn.now())
    known, written = Known(), 0
    try:
        if not turn.take():
            skipped = why_not(turn) or LEASED
            if skipped != LEASED:
                # That Rocket.Chat is to be left alone is no reason to keep a message back.
                transaction.on_commit(partial(_deliver, turn.now))
            return replace(result, skipped=skipped)
        known = SyncPeriod.objects.known(turn.alias, turn.now())
        try:
            look, rows = look_at(turn, known, client, turn.renew)
        except RocketChatError as error:
            logger.warning("%s", error)
            turn.not_before = error.until if isinstance(error, RateLimited) else None
            written = _store_failure(turn, error, known.period)
            result = replace(result, error=error)
        else:
            operation, changes, written = _store(turn, look, rows, known.period)
            turn.for_the_next = turn.listed
            result = replace(result, operation=operation, changes=changes, notice=turn.notice)
    except LeaseLost:
        return replace(result, error=None, skipped=LEASED)
    finally:
        turn.release()
    for change in result.changes:
        logger.info("%s: %s: %s", turn.alias, change.operation, ", ".join(change.updated))
    if known.alerts_due or written:
        # After the lease is given back, so that a mail server that hangs keeps nobody waiting;
        # and after the commit, if all this runs in a transaction of the host's.
        transaction.on_commit(partial(_deliver, turn.now))
    return result


def _deliver(now: Callable[[], datetime]) -> None:
    try:
        outbox.deliver(now=now)
    except database_errors() as error:
        # The poll is done. What was not delivered is still there for the next.
        logger.warning("Alerts could not be delivered: %s", type(error).__name__)


def _store(
    turn: Turn, look: Look, rows: list[ImportOperation], period: SyncPeriod | None
) -> tuple[ImportOperation | None, list[Change], int]:
    """Write what a look changes, all of it or nothing; return also how many alerts that made.

    Raises LeaseLost.
    """
    options = conf.options()
    outcome = SyncPeriod.OK if look.current else SyncPeriod.EMPTY
    seen: dict[str, Any] = {"at": look.at, "watched": look.watched, "message": ""}
    alike = period is not None and goes_on(period, outcome, look.at)
    if alike and not look.listed:
        operation, changes = compare(look, rows, options)
        if not changes:
            _grow(turn, period, seen)
            return operation, [], 0
    with transaction.atomic():
        # What was read above may have changed since. Behind this fence nothing can any more.
        turn.renew()
        if look.listed and period is not None:
            look = replace(look, pruned_before=turn.pruned_before())
        operation, changes = compare(look, touchable(look), options)
        _save(changes, operation, look.at)
        told = [notice for change in changes for notice in notices.of_change(change, look.at)]
        if alike:
            _grow(turn, period, seen)
        else:
            if period is not None and not period.is_good:
                told += notices.of_recovery(turn.alias, look.at)
            SyncPeriod.objects.begin(turn.alias, outcome, **seen)
        written = outbox.write(told, look.at)
        for change in changes:
            transaction.on_commit(partial(_send_signals, change))
    return operation, changes, written


def _store_failure(turn: Turn, error: RocketChatError, period: SyncPeriod | None) -> int:
    """Count a look that failed; return how many alerts that made. Raises LeaseLost."""
    at = turn.now()
    seen: dict[str, Any] = {
        "at": at,
        "watched": period.watched if period else timedelta(0),
        "message": str(error),
    }
    with transaction.atomic():
        turn.renew()
        if period and goes_on(period, error.kind, at):
            _grow(turn, period, seen)
        else:
            SyncPeriod.objects.begin(turn.alias, error.kind, **seen)
        written = outbox.write(notices.of_failure(turn.alias, error, at), at)
        transaction.on_commit(
            partial(sync_failed.send_robust, sender=SyncPeriod, workspace=turn.alias, error=error)
        )
    return written


def _grow(turn: Turn, period: SyncPeriod | None, seen: dict[str, Any]) -> None:
    if period is None or not SyncPeriod.objects.grow(period, turn.holder, **seen):
        raise LeaseLost


def _send_signals(change: Change) -> None:
    operation_changed.send_robust(
        sender=ImportOperation,
        operation=change.operation,
        created=change.created,
        changed=change.updated,
        transitions=change.transitions,
    )
    if any(told.event == Event.STALLED for told in change.events):
        operation_stalled.send_robust(sender=ImportOperation, operation=change.operation)


def _save(changes: list[Change], current: ImportOperation | None, at: datetime) -> None:
    """Write changes, in a number of queries that does not depend on how many there are."""
    for change in changes:
        if change.operation is current and (change.is_sampled or "status" in change.updated):
            change.set("rate", _rate(change, at))
    ImportOperation.objects.save_all(
        [change.operation for change in changes if change.created],
        [change.operation for change in changes if not change.created],
        {name for change in changes if not change.created for name in change.updated},
        at,
    )
    transitions = [each for change in changes for each in change.transitions]
    StatusTransition.objects.add_all(transitions)
    ProgressSample.objects.add_all([each.operation for each in changes if each.is_sampled], at)
    ended = [change for change in changes if has_ended(change) and not change.created]
    ProgressSample.objects.thin([change.operation for change in ended])


def has_ended(change: Change) -> bool:
    """Tell whether a change is an operation's end, its first or another."""
    return change.was_going and not outcomes.is_active(change.operation)


def _rate(change: Change, at: datetime) -> float | None:
    """Return an operation's rate over the samples of its present step, up to this look."""
    if change.created or "status" in change.updated:
        return None
    operation = change.operation
    known = ProgressSample.objects.of_step(operation)
    if change.is_sampled:
        counted = operation.count_completed, operation.count_error, operation.count_total
        known.append((at, *counted))
    return rates.rate(
        [
            rates.Sample(at, completed, error or 0, total)
            for at, completed, error, total in known
            if completed is not None
        ]
    )
