"""Threads that poll many workspaces side by side."""

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue

from django.db import connections

from importmonitor.logs import get_logger
from importmonitor.sync.lease import release_process_leases
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors
from importmonitor.tenancy import capture_tenant

logger = get_logger(__name__)

#: How many workspaces are polled at a time. More threads wait for each other, not the network.
CONCURRENCY = 32

# How long a thread keeps its database connection without a poll, in seconds: to connect to a server
# takes longer than all the rest of a poll, and a pool that is hardly busy needs few.
_KEEP_CONNECTION = 2.0
# How long running polls may take to end when the pool stops, in seconds.
_GRACE = 0.3

PollResult = SyncResult | PollFailure
Poll = Callable[[], SyncResult]


class Pool:
    """Threads that poll, for the tenant of the thread that made the pool.

    They are daemons: a server that hangs keeps no process from ending.
    """

    def __init__(self, concurrency: int = CONCURRENCY) -> None:
        self.concurrency = concurrency
        self.finished: SimpleQueue[PollResult] = SimpleQueue()
        self.busy: set[str] = set()
        self._jobs: SimpleQueue[tuple[str, Poll] | None] = SimpleQueue()
        self._threads = 0
        self._activate_tenant = capture_tenant()

    def submit(self, alias: str, poll: Poll) -> None:
        """Have a workspace polled by this function; the result goes into `finished`."""
        self.busy.add(alias)
        self._jobs.put((alias, poll))
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
        """End all threads, and release the leases of what they do not poll to the end."""
        waiting = []
        with suppress(Empty):
            while job := self._jobs.get_nowait():
                waiting.append(job[0])
        self.busy.difference_update(waiting)
        for _ in range(self._threads):
            self._jobs.put(None)
        ends_at = time.monotonic() + _GRACE
        while self.busy and (left := ends_at - time.monotonic()) > 0:
            self.get(left)
        if unfinished := [*waiting, *self.busy]:
            # A poll that still hangs finds its lease gone, should it continue, and writes nothing.
            try:
                release_process_leases(unfinished)
            except database_errors():
                # Then they expire, some seconds after the deadline.
                logger.warning("The leases of %s could not be released.", sorted(unfinished))

    def _work(self) -> None:
        self._activate_tenant()
        while job := self._next_job():
            alias, poll = job
            result: PollResult
            try:
                result = poll()
            except Exception as error:  # noqa: BLE001 - one workspace's failure is not another's
                result = PollFailure(alias, error)
            self._close_connections(unusable=isinstance(result, PollFailure))
            self.finished.put(result)
        self._close_connections(unusable=True)

    def _next_job(self) -> tuple[str, Poll] | None:
        """Return the next job, None at the end; while there is none, keep no connection."""
        with suppress(Empty):
            return self._jobs.get(timeout=_KEEP_CONNECTION)
        self._close_connections(unusable=True)
        return self._jobs.get()

    def _close_connections(self, *, unusable: bool) -> None:
        """Close this thread's database connections, unless they are good."""
        for connection in connections.all(initialized_only=True):
            with suppress(*database_errors()):
                if unusable:
                    connection.close()
                else:
                    connection.close_if_unusable_or_obsolete()


def poll_once(polls: Mapping[str, Poll], pool: Pool) -> Generator[PollResult, None, None]:
    """Poll workspaces once, side by side, by these functions; yield the results as they come."""
    try:
        for alias, poll in polls.items():
            pool.submit(alias, poll)
        while pool.busy:
            result = pool.get(None)
            assert result is not None
            yield result
    finally:
        pool.stop()
