"""The lease: of all processes, one polls a workspace at a time."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from importmonitor.models import GroupSet, Workspace
from importmonitor.models.group_sets import encode_groups
from importmonitor.rocketchat.exceptions import RocketChatError

#: Why a workspace is not polled; a time follows the second.
LEASED = "leased"
NOT_BEFORE = "not before "
RECENT = "polled recently"

#: How much longer than the workspace's deadline a lease lasts: the time to write the result.
_MARGIN = timedelta(seconds=5)
#: A lease that was extended no longer ago need not be extended again, in seconds: much less than
#: the margin.
_JUST = 1.0
_PROCESS_SUFFIX = uuid.uuid4().hex[:8]


NextPoll = Callable[[Workspace, RocketChatError | None], datetime]


class LeaseLost(Exception):
    """The lease expired during the poll, and another process acquired it."""


class Lease:
    """A workspace's lease; a context manager that acquires and releases it.

    Inside, `is_held` is whether it was acquired. `now` is the clock that it expires by, `deadline`
    the seconds that one call to the workspace may take, `groups` what it is limited to. With
    `holder` it has been acquired already, at `acquired_at` by the monotonic clock. `next_poll`
    returns when the next poll is due, where that is scheduled, after a poll that has failed with
    this error or succeeded.
    """

    def __init__(
        self,
        alias: str,
        now: Callable[[], datetime],
        *,
        deadline: float,
        groups: Sequence[str] | None = None,
        holder: str = "",
        acquired_at: float | None = None,
        next_poll: NextPoll | None = None,
    ) -> None:
        self.alias = alias
        self.groups = groups
        self.holder = holder or new_holder()
        self.is_held = bool(holder)
        self._is_finished = False
        self._extended_at = time.monotonic() if acquired_at is None else acquired_at
        self._now = now
        self._duration = lease_duration(deadline)
        self._next_poll = next_poll

    def __enter__(self) -> Self:
        if self.is_held:
            return self
        try:
            self.is_held = Workspace.objects.acquire(
                self.alias,
                self.holder,
                now=self._now(),
                duration=self._duration,
                store_groups=self._store_groups,
            )
        except BaseException:
            # A signal can interrupt this after the UPDATE.
            Workspace.objects.release(self.alias, self.holder)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # If an error followed `finish`, what it wrote may have been rolled back.
        if self.is_held and (kind is not None or not self._is_finished):
            Workspace.objects.release(self.alias, self.holder)

    def keep(self) -> None:
        """Extend the lease, unless that has just been done, before a request; raises LeaseLost."""
        if time.monotonic() - self._extended_at > _JUST:
            self.renew()

    def renew(self) -> None:
        """Extend the lease, and in a transaction keep all others out; raises LeaseLost."""
        extended_at, until = time.monotonic(), self._now() + self._duration
        if not Workspace.objects.renew(self.alias, self.holder, until=until):
            raise LeaseLost
        self._extended_at = extended_at

    def finish(
        self,
        workspace: Workspace,
        changed: Iterable[str] = (),
        error: RocketChatError | None = None,
    ) -> None:
        """Write the result of a poll, or its error, and release the lease; raises LeaseLost.

        `changed` names the fields to write besides those that every poll writes. With the result
        of any poll, what lists are made from, the groups, and when the next poll is due are
        written where they differ.
        """
        changed = {*changed, *workspace.summarize()}
        if self._next_poll is not None:
            workspace.due_at = self._next_poll(workspace, error)
        if workspace.groups != encode_groups(self.groups):
            workspace.groups = self._store_groups()
            changed.add("groups")
        if not Workspace.objects.finish(workspace, self.holder, changed):
            raise LeaseLost
        self._is_finished = True

    def _store_groups(self) -> str | None:
        """Store the set of groups, and return what the workspace's row has of it."""
        GroupSet.objects.store([self.groups])
        return encode_groups(self.groups)


def lease_duration(deadline: float) -> timedelta:
    """Return how long a lease lasts, for a workspace to which one call may take so many seconds.

    One call and the writing of its result: it is renewed before a second call.
    """
    return timedelta(seconds=deadline) + _MARGIN


def new_holder() -> str:
    """Return a new name of a holder in this process."""
    return f"{_process_prefix()}{uuid.uuid4().hex[:12]}"


def skip_reason(alias: str, now: datetime) -> str | None:
    """Return why a workspace is not to be polled now, or None."""
    workspace = Workspace.objects.filter(alias=alias).first()
    if workspace is None:
        return None
    if workspace.not_before is not None and workspace.not_before > now:
        return f"{NOT_BEFORE}{workspace.not_before.isoformat(timespec='seconds')}"
    if workspace.expires_at is not None and workspace.expires_at > now:
        return LEASED
    return None


def release_process_leases(aliases: Iterable[str] | None = None) -> None:
    """Release the leases of these workspaces, or all, that this process's threads hold."""
    rows = Workspace.objects.all()
    if aliases is not None:
        rows = rows.filter(alias__in=list(aliases))
    rows.release_all(_process_prefix())


def _process_prefix() -> str:
    """Return the prefix of the holder names of this process."""
    # With a random suffix: containers share host names and process ids.
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{_PROCESS_SUFFIX}:"
