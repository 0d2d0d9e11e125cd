"""The only writer of operations and of their history: one poll of one workspace."""

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from importmonitor import conf
from importmonitor.changes import Change, compare
from importmonitor.models import ImportOperation, StatusTransition, SyncLease, SyncPeriod
from importmonitor.rocketchat.errors import RateLimited, RocketChatError
from importmonitor.rocketchat.operation import Operation
from importmonitor.workspaces import Workspace

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = logging.getLogger(__name__)

LEASED = "leased"

#: How much longer than the workspace's deadline a lease lasts: what writing may take.
_LEASE_MARGIN = timedelta(seconds=5)


@dataclass(frozen=True)
class SyncResult:
    """How one poll of one workspace went.

    `skipped` is None, "leased" (another process is at it) or "not before <ISO time>"; `error` is
    None or why the workspace could not be looked at; `operation` is the current operation as it is
    now (of a `dry_run`: as it would be), or None if there is none or nobody looked.
    """

    workspace: str
    polled_at: datetime
    duration: timedelta = timedelta(0)
    skipped: str | None = None
    error: RocketChatError | None = None
    operation: ImportOperation | None = None
    changes: list[Change] = field(default_factory=list)
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing kept us from looking; somebody else's look is as good as ours."""
        return self.error is None


class _LeaseLost(Exception):
    """The lease ran out while the workspace was being asked, and another process took it."""


def sync_workspace(
    alias: str,
    *,
    client: "Client | None" = None,
    now: Callable[[], datetime] = timezone.now,
    dry_run: bool = False,
) -> SyncResult:
    """Look at a workspace's current operation and store what is new.

    `client` is one to use and keep, else one is made for this call; `now` is the clock that the
    rows get their times from; with `dry_run` nothing is written and no lease is taken.

    Raises conf.UnknownWorkspace and ImproperlyConfigured. That the workspace could not be looked
    at is no exception but the result's `error`.
    """
    workspace = conf.workspace(alias)
    began = time.monotonic()
    poll = _preview if dry_run else _poll
    result = poll(workspace, client, now)
    return replace(result, duration=timedelta(seconds=time.monotonic() - began))


def _preview(
    workspace: Workspace, client: "Client | None", now: Callable[[], datetime]
) -> SyncResult:
    """Look and compare, without a lease, and write nothing."""
    result = SyncResult(workspace.alias, polled_at=now(), dry_run=True)
    # Another process at work is no reason not to look; Rocket.Chat's budget is.
    skipped = _why_not(workspace.alias, now())
    if skipped not in (None, LEASED):
        return replace(result, skipped=skipped)
    try:
        received = _ask(workspace, client)
    except RocketChatError as error:
        return replace(result, error=error)
    stored = _touchable(workspace.alias, received)
    operation, changes = compare(workspace.alias, stored, received, now())
    return replace(result, operation=operation, changes=changes)


def _poll(workspace: Workspace, client: "Client | None", now: Callable[[], datetime]) -> SyncResult:
    """Look and store what is new, under the workspace's lease."""
    alias = workspace.alias
    result = SyncResult(alias, polled_at=now())
    lasting = timedelta(seconds=workspace.deadline) + _LEASE_MARGIN
    holder = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
    if not SyncLease.objects.take(alias, holder, now=now(), lasting=lasting):
        return replace(result, skipped=_why_not(alias, now()) or LEASED)
    not_before = None
    try:
        received = _ask(workspace, client)
        operation, changes = _store(alias, received, holder, now, lasting)
        _grow_period(alias, SyncPeriod.OK if received else SyncPeriod.EMPTY, "", now())
    except RocketChatError as error:
        logger.warning("%s", error)
        not_before = error.until if isinstance(error, RateLimited) else None
        _grow_period(alias, error.kind, str(error), now())
        return replace(result, error=error)
    except _LeaseLost:
        return replace(result, skipped=LEASED)
    finally:
        SyncLease.objects.release(alias, holder, not_before=not_before)
    for change in changes:
        logger.info("%s: %s: %s", alias, change.operation, ", ".join(change.updated))
    return replace(result, operation=operation, changes=changes)


def _ask(workspace: Workspace, client: "Client | None") -> Operation | None:
    if client is None:
        # Imported here: it brings requests, a quarter of a cron command's start-up.
        from importmonitor.rocketchat.client import Client

        asking: Client | nullcontext[Client] = Client(workspace)
    else:
        asking = nullcontext(client)
    with asking as ready:
        return ready.current_operation()


def _store(
    alias: str,
    received: Operation | None,
    holder: str,
    now: Callable[[], datetime],
    lasting: timedelta,
) -> tuple[ImportOperation | None, list[Change]]:
    """Write what a snapshot changes, all of it or nothing; raises _LeaseLost."""
    seen_at = now()
    operation, changes = compare(alias, _touchable(alias, received), received, seen_at)
    if not changes:
        return operation, changes
    with transaction.atomic():
        # What was read above may have changed since. Behind this fence nothing can any more.
        if not SyncLease.objects.renew(alias, holder, until=seen_at + lasting):
            raise _LeaseLost
        operation, changes = compare(alias, _touchable(alias, received), received, seen_at)
        transitions: list[StatusTransition] = []
        for change in changes:
            if change.created:
                change.operation.save(force_insert=True)
            else:
                change.operation.save(update_fields=list(change.updated))
            transitions.extend(change.transitions)
        StatusTransition.objects.bulk_create(transitions)
    return operation, changes


def _touchable(alias: str, received: Operation | None) -> list[ImportOperation]:
    """Return the rows that a snapshot can touch: its own, the open ones, and the newest."""
    rows = ImportOperation.objects.filter(workspace=alias)
    newest = rows.newest_first().values("pk")[:1]
    touched = Q(finished_at=None) | Q(pk=newest)
    if received is not None:
        touched |= Q(remote_id=received.remote_id)
    return list(rows.filter(touched).order_by("started_at", "pk"))


def _why_not(alias: str, now: datetime) -> str | None:
    """Tell why a workspace is not to be asked at this moment, or None if it may be."""
    lease = SyncLease.objects.filter(workspace=alias).first()
    if lease is not None and lease.not_before is not None and lease.not_before > now:
        return f"not before {lease.not_before.isoformat(timespec='seconds')}"
    if lease is not None and lease.expires_at is not None and lease.expires_at > now:
        return LEASED
    return None


def _grow_period(alias: str, outcome: str, message: str, now: datetime) -> None:
    """Count a poll in the newest period if it went the same way, else begin a new one."""
    newest = SyncPeriod.objects.newest(alias)
    if newest is None or newest.outcome != outcome:
        SyncPeriod.objects.create(
            workspace=alias, outcome=outcome, message=message, first_at=now, last_at=now
        )
        return
    SyncPeriod.objects.filter(pk=newest.pk).update(
        last_at=now, polls=F("polls") + 1, message=message
    )
