"""Polls in the background of a web process, so that no request waits for Rocket.Chat."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import timedelta
from functools import partial

from django.utils import timezone

from importmonitor.logs import get_logger
from importmonitor.models import Workspace
from importmonitor.models.workspace_queries import NEVER_POLLED, WorkspaceQuerySet
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.courier import Courier
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors, poll_workspace
from importmonitor.sync.pool import PollResult, Pool
from importmonitor.tenancy import capture_tenant, get_scope

logger = get_logger(__name__)

#: How many workspaces are polled at a time, each on a database connection of its own.
CONCURRENCY = 4
#: A workspace is polled at most once in this time, by whichever process.
MIN_INTERVAL = timedelta(seconds=15)
#: This long after the last `start`, the workspaces that still wait are dropped.
TIME_LIMIT = timedelta(minutes=2)
#: Of all workspaces, so many are polled at once: about as many as the time suffices for.
MAX_WORKSPACES = 200


def longest_unpolled(rows: WorkspaceQuerySet) -> list[Workspace]:
    """Return up to MAX_WORKSPACES, the one that was polled the longest ago first; in two queries.

    Those that were never polled come before all others.
    """
    rows = rows.listed().only("alias", "last_polled_at")
    never = list(rows.filter(NEVER_POLLED).order_by("pk")[:MAX_WORKSPACES])
    polled = rows.exclude(NEVER_POLLED).order_by("last_polled_at")
    return [*never, *polled[: MAX_WORKSPACES - len(never)]]


class BackgroundPoller:
    """Polls workspaces of one tenant in daemon threads.

    When the process ends, they end, and their leases expire.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, WorkspaceConfig] = {}
        # Of the workspaces that wait or are being polled.
        self._futures: dict[str, Future[PollResult]] = {}
        self._thread: threading.Thread | None = None
        self._ends_at = 0.0
        self._courier = Courier()

    def start(self, workspaces: Iterable[WorkspaceConfig]) -> list[Future[PollResult]]:
        """Have workspaces polled, and return at once the futures of their results.

        One that already waits or is being polled is not polled twice. A future whose workspace is
        dropped is never done.
        """
        with self._lock:
            is_working = self._thread is not None and self._thread.is_alive()
            if not is_working:
                # Empty already, unless an error ended the thread.
                self._waiting, self._futures = {}, {}
            futures = []
            for workspace in workspaces:
                if workspace.alias not in self._futures:
                    self._waiting[workspace.alias] = workspace
                    self._futures[workspace.alias] = Future()
                futures.append(self._futures[workspace.alias])
            self._ends_at = time.monotonic() + TIME_LIMIT.total_seconds()
            if self._waiting and not is_working:
                self._thread = threading.Thread(
                    target=self._work,
                    args=(capture_tenant(),),
                    name="importmonitor-background",
                    daemon=True,
                )
                self._thread.start()
            return futures

    def _work(self, activate_tenant: Callable[[], None]) -> None:
        activate_tenant()
        pool, alerts_due = Pool(CONCURRENCY), False
        try:
            while self._submit(pool):
                result = pool.get(None)
                assert result is not None
                with self._lock:
                    future = self._futures.pop(result.workspace)
                future.set_result(result)
                if isinstance(result, PollFailure):
                    _log(result)
                # A poll that ended in a bug can have written alerts too.
                alerts_due |= isinstance(result, PollFailure) or result.alerts_due
        finally:
            pool.stop()
        if alerts_due:
            # After all polls: an outage of several workspaces is one message.
            self._courier.wake()

    def _submit(self, pool: Pool) -> bool:
        """Give the pool what it can poll; return whether it polls anything."""
        with self._lock:
            if time.monotonic() > self._ends_at:
                for alias in self._waiting:
                    del self._futures[alias]
                self._waiting.clear()
            # Some more than it polls at a time: a thread without a job closes its connection.
            while self._waiting and len(pool.busy) < 2 * CONCURRENCY:
                workspace = self._waiting.pop(next(iter(self._waiting)))
                pool.submit(workspace.alias, partial(_poll, workspace))
            if not pool.busy:
                # Under the lock: whoever starts polls from now on needs another thread.
                self._thread = None
            return bool(pool.busy)


def _poll(workspace: WorkspaceConfig) -> SyncResult:
    # Checked again, because another process may have polled it while it waited.
    recently = timezone.now() - MIN_INTERVAL
    with Client(workspace) as client:
        return poll_workspace(workspace, client=client, unless_polled_since=recently)


def _log(failure: PollFailure) -> None:
    if isinstance(failure.error, database_errors()):
        # Without its text: drivers quote the statement.
        logger.error("%s: %s ended the poll.", failure.workspace, type(failure.error).__name__)
    else:
        logger.error("A poll of %s failed.", failure.workspace, exc_info=failure.error)


#: Those of this process, by tenant: workspaces of two can have the same alias.
_pollers: dict[str, BackgroundPoller] = {}


def get_poller() -> BackgroundPoller:
    """Return this process's poller for the present tenant."""
    return _pollers.setdefault(get_scope(), BackgroundPoller())
