"""Polling workspaces continuously, each at its own interval."""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.ends import is_settled
from importmonitor.sync.interval import PollInterval
from importmonitor.sync.poll import PollFailure
from importmonitor.sync.pool import PollResult, Pool

# How often the settings are read again, in seconds: workspaces come and go.
_REREAD_INTERVAL = 60.0
# An idle connection is closed after this many seconds: most servers close it then anyway.
_KEEP_ALIVE = 60.0


@dataclass
class _Watched:
    """A workspace, and when its next poll is due on the watch's clock."""

    workspace: WorkspaceConfig
    client: Client
    interval: PollInterval
    due: float
    is_busy: bool = False


def watch(
    read: Callable[[], Sequence[WorkspaceConfig]],
    pool: Pool,
    *,
    interval: float,
    idle_interval: float,
    now: Callable[[], datetime] = timezone.now,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] | None = None,
    ends_at: Callable[[], float] = lambda: math.inf,
) -> Generator[PollResult, None, None]:
    """Poll workspaces, each at its own interval, until `ends_at`; yield the results as they come.

    `read` returns the workspaces, and is called again every minute; the intervals are in seconds,
    for a workspace with an active import and for one without. `now` returns the time of day and
    `clock` seconds; `sleep`, if given, passes the time while nothing runs. `ends_at` returns a time
    of `clock`, which a result can change.
    """
    watched: dict[str, _Watched] = {}
    reread_at = clock()
    try:
        while clock() < ends_at():
            if clock() >= reread_at:
                _update(watched, read(), PollInterval(interval, idle_interval), clock(), now)
                reread_at = clock() + _REREAD_INTERVAL
            for entry in watched.values():
                if not entry.is_busy and entry.due <= clock():
                    entry.is_busy = True
                    pool.submit(entry.workspace, entry.client)
            due = [entry.due for entry in watched.values() if not entry.is_busy]
            pause = max(0.0, min([*due, reread_at, ends_at()]) - clock())
            if sleep is not None and not pool.busy:
                sleep(pause)
                continue
            result = pool.get(pause)
            if result is not None:
                if result.workspace in watched:
                    _schedule(watched[result.workspace], result, clock(), now())
                yield result
    finally:
        pool.stop()


def _update(
    watched: dict[str, _Watched],
    workspaces: Sequence[WorkspaceConfig],
    interval: PollInterval,
    at: float,
    now: Callable[[], datetime],
) -> None:
    """Add new and changed workspaces, and remove those that are gone."""
    configured = {workspace.alias: workspace for workspace in workspaces}
    for alias, entry in list(watched.items()):
        if entry.workspace != configured.get(alias) and not entry.is_busy:
            entry.client.close()
            del watched[alias]
    for alias, workspace in configured.items():
        if alias not in watched:
            client = Client(workspace, now=now)
            own_interval = replace(interval, observed=deque())
            watched[alias] = _Watched(workspace, client, own_interval, due=at)


def _schedule(entry: _Watched, result: PollResult, at: float, now: datetime) -> None:
    """Set when a workspace is due next."""
    entry.is_busy = False
    interval, client = entry.interval, entry.client
    if isinstance(result, PollFailure):
        wait = interval.after_failure(None, now)
    elif result.error is not None:
        wait = interval.after_failure(result.error, now)
    elif result.skipped is not None:
        wait = interval.interval
    else:
        is_active = not is_settled(result.operation, now)
        wait = interval.after_success(active=is_active, rate_limit=client.rate_limit, at=at)
    entry.due = at + wait
    if wait >= _KEEP_ALIVE:
        client.close()
