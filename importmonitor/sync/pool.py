"""Threads that poll many workspaces side by side."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from django.db import connections

from importmonitor.logs import get_logger
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.lease import release_process_leases
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors
from importmonitor.tenancy import capture_tenant

logger = get_logger(__name__)

#: How many workspaces are polled at a time. More threads wait for each other, not the network.
CONCURRENCY = 32

# How long running polls may take to end when the pool stops, in seconds.
_GRACE = 0.3

PollResult = SyncResult | PollFailure
Poll = Callable[[WorkspaceConfig, Client], SyncResult]


class Pool:
    """Threads that poll, for the tenant of the thread that made the pool.

    They are daemons: a server that hangs keeps no process from ending.
    """

    def __init__(self, poll: Poll, concurrency: int = CONCURRENCY) -> None:
        self.poll = poll
        self.concurrency = concurrency
        self.finished: SimpleQueue[PollResult] = SimpleQueue()
        self.busy: set[str] = set()
        self._jobs: SimpleQueue[tuple[WorkspaceConfig, Client] | None] = SimpleQueue()
        self._threads = 0
        self._activate_tenant = capture_tenant()

    def submit(self, workspace: WorkspaceConfig, client: Client) -> None:
        """Have a workspace polled; the result goes into `finished`."""
        self.busy.add(workspace.alias)
        self._jobs.put((workspace, client))
        if self._threads < min(self.concurrency, len(self.busy)):
            self._threads += 1
            threading.Thread(target=self._work, name="importmonitor-poll", daemon=True).start()

    def get(self, timeout: float | None) -> PollResult | None:
        """Return the next result, or None if there is none within `timeout` seconds."""
        try:
            result = self.finished.get(timeout=timeout)
        except Empty:
            return None
        self.busy.discard(result.workspace)
        return result

    def stop(self) -> None:
        """End all threads, and release the leases of those that do not end."""
        with suppress(Empty):
            while job := self._jobs.get_nowait():
                self.busy.discard(job[0].alias)
        for _ in range(self._threads):
            self._jobs.put(None)
        ends_at = time.monotonic() + _GRACE
        while self.busy and (left := ends_at - time.monotonic()) > 0:
            self.get(left)
        if self.busy:
            # A poll that still hangs finds its lease gone, should it continue, and writes nothing.
            try:
                release_process_leases(self.busy)
            except database_errors():
                # Then they expire, some seconds after the deadline.
                logger.warning("The leases of %s could not be released.", sorted(self.busy))

    def _work(self) -> None:
        self._activate_tenant()
        while job := self._jobs.get():
            workspace, client = job
            result: PollResult
            try:
                result = self.poll(workspace, client)
            except Exception as error:  # noqa: BLE001 - one workspace's failure is not another's
                result = PollFailure(workspace.alias, error)
            self._close_connections(unusable=isinstance(result, PollFailure))
            self.finished.put(result)
        # Another thread may have taken the job for which this one kept its connection.
        self._close_connections(unusable=True)

    def _close_connections(self, *, unusable: bool) -> None:
        """Close this thread's database connections, unless they are good and needed at once."""
        for connection in connections.all(initialized_only=True):
            with suppress(*database_errors()):
                if unusable or self._jobs.empty():
                    connection.close()
                else:
                    connection.close_if_unusable_or_obsolete()


def poll_once(
    workspaces: Sequence[WorkspaceConfig], pool: Pool
) -> Generator[PollResult, None, None]:
    """Poll each workspace once, side by side; yield the results as they come."""
    try:
        for workspace in workspaces:
            pool.submit(workspace, Client(workspace))
        while pool.busy:
            result = pool.get(None)
            assert result is not None
            yield result
    finally:
        pool.stop()
