"""Asking a workspace what there is to be seen, in turn with all other processes."""

import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from importmonitor import conf
from importmonitor.changes import Look
from importmonitor.models import ImportOperation, Known, SyncLease, SyncPeriod
from importmonitor.rocketchat.errors import PermissionMissing, RocketChatError
from importmonitor.rocketchat.operation import Operation
from importmonitor.workspaces import Workspace

if TYPE_CHECKING:
    from importmonitor.rocketchat.client import Client

logger = logging.getLogger(__name__)

#: Why a workspace is not asked; a time comes after the second.
LEASED = "leased"
NOT_BEFORE = "not before "

#: How much longer than the workspace's deadline a lease lasts: what writing may take.
_LEASE_MARGIN = timedelta(seconds=5)
_LIST_EVERY = timedelta(days=1)
_LIST_AGAIN_AFTER = timedelta(minutes=5)
#: What comes once an hour is no pause between two looks.
_SELDOM = timedelta(hours=2)
#: Four times what was usual: two or three looks may be left out.
_LONGER = 4
_CHANCE = uuid.uuid4().hex[:8]


def _process() -> str:
    """Return how the names of this process's holders begin."""
    # The chance in it: containers have names and process numbers in common.
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{_CHANCE}:"


def release_ours(aliases: Iterable[str]) -> None:
    """Give back the leases that this process holds of these workspaces, in its other threads."""
    SyncLease.objects.release_all(list(aliases), _process())


class LeaseLost(Exception):
    """The lease ran out while the workspace was being asked, and another process took it."""


@dataclass
class Turn:
    """One poll's hold on a workspace: its lease, and what is handed on with it."""

    workspace: Workspace
    now: Callable[[], datetime]
    holder: str = field(default_factory=lambda: f"{_process()}{uuid.uuid4().hex[:12]}")
    not_before: datetime | None = None
    #: What the next poll is to know of the list, once what was in it has been stored.
    listed: dict[str, Any] = field(default_factory=dict)
    for_the_next: dict[str, Any] = field(default_factory=dict)
    notice: str = ""

    @property
    def alias(self) -> str:
        return self.workspace.alias

    @property
    def lasting(self) -> timedelta:
        """How long the lease lasts without being renewed: one call and what comes after it."""
        return timedelta(seconds=self.workspace.deadline) + _LEASE_MARGIN

    def take(self) -> bool:
        return SyncLease.objects.take(self.alias, self.holder, now=self.now(), lasting=self.lasting)

    def renew(self) -> None:
        """Prolong the lease, and in a transaction shut out everybody else; raises LeaseLost."""
        until = self.now() + self.lasting
        if not SyncLease.objects.renew(self.alias, self.holder, until=until):
            raise LeaseLost

    def pruned_before(self) -> datetime | None:
        """Return up to when this workspace's history was deleted on purpose."""
        return _lease(self).pruned_before

    def release(self) -> None:
        SyncLease.objects.release(
            self.alias, self.holder, not_before=self.not_before, **self.for_the_next
        )


def look_at(
    turn: Turn, known: Known, client: "Client | None", renew: Callable[[], None] | None = None
) -> tuple[Look, list[ImportOperation]]:
    """Ask the workspace; return what was seen, and the rows that its current operation can touch.

    Its list of operations is asked for where that can bring something to light: when the current
    operation is not known yet, and once a day.
    """
    if client is None:
        # Imported here: it brings requests, a quarter of a cron command's start-up.
        from importmonitor.rocketchat.client import Client

        asking: Client | nullcontext[Client] = Client(turn.workspace)
    else:
        asking = nullcontext(client)
    with asking as ready:
        current = ready.current_operation()
        at = turn.now()
        look = Look(turn.alias, at, current, watched=_watched(known.period, at))
        # Of a workspace that was never looked at, nothing is there to be read.
        is_first = known.period is None
        rows = [] if is_first else touchable(look)
        is_known = current is None or any(row.remote_id == current.remote_id for row in rows)
        is_due = known.list_due_at is None or at >= known.list_due_at
        if current is None or (is_known and not is_due):
            return look, rows
        if renew is not None:
            renew()
        latest = _latest(turn, ready)
        # What is in the list can have happened since the first answer.
        at = turn.now()
        look = replace(
            look,
            at=at,
            watched=_watched(known.period, at),
            listed=True,
            latest=latest,
            known_since=None if is_first else SyncPeriod.objects.known_since(turn.alias),
        )
    return look, rows


def _latest(turn: Turn, client: "Client") -> Sequence[Operation]:
    """Return the list of operations, or nothing where it cannot be had: one can do without."""
    latest: Sequence[Operation] = ()
    turn.listed = {"list_due_at": turn.now() + _LIST_EVERY, "list_refused": ""}
    try:
        latest = client.latest_operations()
    except PermissionMissing as error:
        turn.listed["list_refused"] = refused = str(error)
        if not _lease(turn).list_refused:
            turn.notice = (
                f"{refused} Until then, an import that begins and ends between two looks is "
                "missed. This is said once."
            )
            logger.warning("%s", turn.notice)
    except RocketChatError as error:
        logger.info("%s", error)
        turn.listed = {"list_due_at": turn.now() + _LIST_AGAIN_AFTER}
    return latest


def _lease(turn: Turn) -> SyncLease:
    return SyncLease.objects.filter(workspace=turn.alias).first() or SyncLease()


def _watched(period: SyncPeriod | None, at: datetime) -> timedelta:
    """Return for how long the workspace has been watched in all, this look included.

    The time since the last look counts if that was a good one; of a long time, half of what makes
    an import stalled. So a monitor that was away itself (a laptop that slept, cron that was off)
    finds no import stalled at its first look back.
    """
    if period is None:
        return timedelta(0)
    if not period.is_good:
        return period.watched
    longest = min(conf.options().stalled_after.values()) / 2
    return period.watched + max(timedelta(0), min(at - period.last_at, longest))


def goes_on(period: SyncPeriod, outcome: str, at: datetime) -> bool:
    """Tell whether a look that went so belongs to the workspace's period.

    Not after a pause in which nobody looked, so that no time counts as good or bad that nobody
    saw: longer than looks may be late, and than was usual in this period. Cron may look once an
    hour, and `--watch` waits longer and longer.
    """
    if period.outcome != outcome:
        return False
    pause = at - period.last_at
    if period.polls < 2:
        usual = _SELDOM
    else:
        usual = _LONGER * (period.last_at - period.first_at) / (period.polls - 1)
    return pause <= usual or pause <= conf.options().late_after


def touchable(look: Look) -> list[ImportOperation]:
    """Return the rows that a look can touch: those that it saw, the open ones, and the newest."""
    return ImportOperation.objects.touchable(look.workspace, list(look.snapshots))


def why_not(turn: Turn) -> str | None:
    """Tell why a workspace is not to be asked at this moment, or None if it may be."""
    lease, now = _lease(turn), turn.now()
    if lease.not_before is not None and lease.not_before > now:
        return f"{NOT_BEFORE}{lease.not_before.isoformat(timespec='seconds')}"
    if lease.expires_at is not None and lease.expires_at > now:
        return LEASED
    return None
