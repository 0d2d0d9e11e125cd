"""Polling many workspaces side by side: once, or over and over, each at its own pace."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from queue import Empty, SimpleQueue

from django.db import connections
from django.utils import timezone

from importmonitor import looking, outcomes
from importmonitor.pacing import Pace
from importmonitor.rocketchat.client import Client
from importmonitor.sync import SyncResult, Trouble, database_errors
from importmonitor.workspaces import Workspace

logger = logging.getLogger(__name__)

#: So many are polled at a time. More threads would wait for each other, not for the network.
CONCURRENCY = 32

# How long those who are at it may go on when it is to end, in seconds.
_GRACE = 0.3
# How often the settings are read anew, in seconds: workspaces come and go.
_REREAD_EVERY = 60.0
# A connection that is not used for longer is closed by most servers anyway.
_KEPT_FOR = 60.0


Outcome = SyncResult | Trouble
Poll = Callable[[Workspace, Client], SyncResult]


@dataclass
class _Watched:
    """A workspace, and when its next poll is due on the clock of the watch."""

    workspace: Workspace
    client: Client
    pace: Pace
    due: float
    busy: bool = False


class Pool:
    """Threads that poll. They are daemons: a server that hangs keeps no process from ending."""

    def __init__(self, poll: Poll, concurrency: int = CONCURRENCY) -> None:
        self.poll = poll
        self.concurrency = concurrency
        self.finished: SimpleQueue[Outcome] = SimpleQueue()
        self.busy: set[str] = set()
        self._jobs: SimpleQueue[tuple[Workspace, Client] | None] = SimpleQueue()
        self._threads = 0

    def submit(self, workspace: Workspace, client: Client) -> None:
        """Have a workspace polled; the outcome goes into `finished`."""
        self.busy.add(workspace.alias)
        self._jobs.put((workspace, client))
        if self._threads < min(self.concurrency, len(self.busy)):
            self._threads += 1
            threading.Thread(target=self._work, name="importmonitor-poll", daemon=True).start()

    def get(self, timeout: float | None) -> Outcome | None:
        """Return the next outcome, or None when none has come for so many seconds."""
        try:
            outcome = self.finished.get(timeout=timeout)
        except Empty:
            return None
        self.busy.discard(outcome.workspace)
        return outcome

    def stop(self) -> None:
        """End all threads, and leave no lease behind of what does not end by itself."""
        with suppress(Empty):
            while job := self._jobs.get_nowait():
                self.busy.discard(job[0].alias)
        for _ in range(self._threads):
            self._jobs.put(None)
        ends_at = time.monotonic() + _GRACE
        while self.busy and (left := ends_at - time.monotonic()) > 0:
            self.get(left)
        if self.busy:
            # What still hangs finds its lease gone, should it ever wake up, and writes nothing.
            try:
                looking.release_ours(self.busy)
            except database_errors():
                # Then it will run out by itself, some seconds after the deadline.
                logger.warning("The leases of %s could not be given back.", sorted(self.busy))

    def _work(self) -> None:
        while job := self._jobs.get():
            workspace, client = job
            outcome: Outcome
            try:
                outcome = self.poll(workspace, client)
            except Exception as error:  # noqa: BLE001 - one workspace's trouble is not another's
                outcome = Trouble(workspace.alias, error)
            self._let_go(unusable=isinstance(outcome, Trouble))
            self.finished.put(outcome)

    def _let_go(self, *, unusable: bool) -> None:
        """Close this thread's database connections, unless they are good and needed at once."""
        for connection in connections.all(initialized_only=True):
            with suppress(*database_errors()):
                if unusable or self._jobs.empty():
                    connection.close()
                else:
                    connection.close_if_unusable_or_obsolete()


def poll_once(workspaces: Sequence[Workspace], pool: Pool) -> Generator[Outcome, None, None]:
    """Poll each workspace once, side by side; yield the outcomes as they come."""
    try:
        for workspace in workspaces:
            pool.submit(workspace, Client(workspace))
        while pool.busy:
            outcome = pool.get(None)
            assert outcome is not None
            yield outcome
    finally:
        pool.stop()


def watch(
    read: Callable[[], Sequence[Workspace]],
    pool: Pool,
    *,
    interval: float,
    idle_interval: float,
    now: Callable[[], datetime] = timezone.now,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] | None = None,
) -> Generator[Outcome, None, None]:
    """Poll workspaces for ever, each at its own pace; yield the outcomes as they come.

    `read` returns the workspaces, and is asked again now and then; the intervals are in seconds,
    for a workspace where something is going on and for one where nothing is. `now` and `clock`
    tell the time of day and seconds, and `sleep`, if given, passes the time while nothing runs.
    """
    watched: dict[str, _Watched] = {}
    reread_at = clock()
    try:
        while True:
            if clock() >= reread_at:
                _update(watched, read(), Pace(interval, idle_interval), clock(), now)
                reread_at = clock() + _REREAD_EVERY
            for each in watched.values():
                if not each.busy and each.due <= clock():
                    each.busy = True
                    pool.submit(each.workspace, each.client)
            waiting = [each.due for each in watched.values() if not each.busy]
            pause = max(0.0, min([*waiting, reread_at]) - clock())
            if sleep is not None and not pool.busy:
                sleep(pause)
                continue
            outcome = pool.get(pause)
            if outcome is not None:
                if ended := watched.get(outcome.workspace):
                    _plan(ended, outcome, clock(), now())
                yield outcome
    finally:
        pool.stop()


def _update(
    watched: dict[str, _Watched],
    workspaces: Sequence[Workspace],
    pace: Pace,
    at: float,
    now: Callable[[], datetime],
) -> None:
    """Take in new workspaces, and those that have changed; forget those that are gone."""
    configured = {workspace.alias: workspace for workspace in workspaces}
    for alias, each in list(watched.items()):
        if each.workspace != configured.get(alias) and not each.busy:
            each.client.close()
            del watched[alias]
    for alias, workspace in configured.items():
        if alias not in watched:
            client = Client(workspace, now=now)
            watched[alias] = _Watched(workspace, client, replace(pace, seen=deque()), due=at)


def _plan(watched: _Watched, outcome: Outcome, at: float, now: datetime) -> None:
    """Set when a workspace is to be polled next."""
    watched.busy = False
    pace, client = watched.pace, watched.client
    if isinstance(outcome, Trouble):
        wait = pace.after_failure(None, now)
    elif outcome.error is not None:
        wait = pace.after_failure(outcome.error, now)
    elif outcome.skipped is not None:
        wait = pace.interval
    else:
        active = outcome.operation is not None and outcomes.is_active(outcome.operation)
        wait = pace.after_look(active=active, budget=client.budget, at=at)
    watched.due = at + wait
    if wait >= _KEPT_FOR:
        client.close()
