"""The lease: of all processes, one polls a workspace at a time."""

import os
import socket
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from importmonitor.models import SyncLease
from importmonitor.rocketchat.config import WorkspaceConfig

#: Why a workspace is not polled; a time follows the second.
LEASED = "leased"
NOT_BEFORE = "not before "

#: How much longer than the workspace's deadline a lease lasts: the time to write the result.
_MARGIN = timedelta(seconds=5)
_PROCESS_SUFFIX = uuid.uuid4().hex[:8]


class LeaseLost(Exception):
    """The lease expired during the poll, and another process acquired it."""


class Lease:
    """A workspace's lease; a context manager that acquires and releases it.

    Inside, `is_held` is whether it was acquired. `now` is the clock that it expires by.
    """

    def __init__(self, workspace: WorkspaceConfig, now: Callable[[], datetime]) -> None:
        self.alias = workspace.alias
        self.holder = f"{_process_prefix()}{uuid.uuid4().hex[:12]}"
        self.is_held = False
        #: Fields of the SyncLease to set at its release: what the next poll has to know.
        self.release_values: dict[str, Any] = {}
        self._now = now
        # One call and the writing of its result: it is renewed before a second call.
        self._duration = timedelta(seconds=workspace.deadline) + _MARGIN

    def __enter__(self) -> Self:
        try:
            self.is_held = SyncLease.objects.acquire(
                self.alias, self.holder, now=self._now(), duration=self._duration
            )
        except BaseException:
            # A signal can interrupt this after the UPDATE.
            SyncLease.objects.release(self.alias, self.holder)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.is_held:
            SyncLease.objects.release(self.alias, self.holder, **self.release_values)

    def renew(self) -> None:
        """Extend the lease, and in a transaction keep all others out; raises LeaseLost."""
        until = self._now() + self._duration
        if not SyncLease.objects.renew(self.alias, self.holder, until=until):
            raise LeaseLost


def skip_reason(alias: str, now: datetime) -> str | None:
    """Return why a workspace is not to be polled now, or None."""
    lease = stored_lease(alias)
    if lease.not_before is not None and lease.not_before > now:
        return f"{NOT_BEFORE}{lease.not_before.isoformat(timespec='seconds')}"
    if lease.expires_at is not None and lease.expires_at > now:
        return LEASED
    return None


def stored_lease(alias: str) -> SyncLease:
    """Return a workspace's row, or an empty one before the first poll."""
    return SyncLease.objects.filter(workspace=alias).first() or SyncLease()


def release_process_leases(aliases: Iterable[str]) -> None:
    """Release the leases of these workspaces that this process's threads hold."""
    SyncLease.objects.release_all(list(aliases), _process_prefix())


def _process_prefix() -> str:
    """Return the prefix of the holder names of this process."""
    # With a random suffix: containers share host names and process ids.
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{_PROCESS_SUFFIX}:"
