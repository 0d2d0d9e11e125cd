"""Polling workspaces continuously, each at its own interval."""

import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils import timezone

from importmonitor.logs import get_logger
from importmonitor.models import Workspace
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.sync.claims import Claim
from importmonitor.sync.ends import is_settled
from importmonitor.sync.fleet import Fleet
from importmonitor.sync.interval import PollInterval, after_failure
from importmonitor.sync.lease import release_process_leases
from importmonitor.sync.poll import PollFailure, database_errors, poll_claimed
from importmonitor.sync.pool import PollResult, Pool
from importmonitor.sync.reminders import review_and_deliver
from importmonitor.sync.totals import TOTALS_INTERVAL, store_totals
from importmonitor.tenancy import capture_tenant, store_alias

logger = get_logger(__name__)

# How often the settings are read again, and incidents are reviewed, in seconds.
_REREAD_INTERVAL = 60.0
# An idle connection is closed after this many seconds: most servers close it then anyway. The
# workspaces of longer waits take no memory.
_KEEP_ALIVE = 60.0
# Claims are at least so far apart, in seconds, unless there is more to claim: a batch costs as much
# as one workspace.
_MIN_PAUSE = 0.1
# What is due but cannot be claimed is being polled by another process.
_BUSY_PAUSE = 1.0
# Another process may have scheduled what this one did not expect.
_MAX_PAUSE = 10.0
# How long to wait for a database that cannot be used.
_DATABASE_RETRY = 5.0


@dataclass
class _Connection:
    """What is kept of a workspace that is polled again soon."""

    config: WorkspaceConfig
    client: Client
    interval: PollInterval
    #: The seconds until its next poll.
    wait: float = math.inf

    def next_poll(
        self, workspace: Workspace, error: RocketChatError | None, now: Callable[[], datetime]
    ) -> datetime:
        """Return when a workspace is due again, after a poll with this error or none."""
        at = now()
        if error is not None:
            self.wait = after_failure(error, workspace.period_polls, at)
        else:
            self.wait = self.interval.after_success(
                active=not is_settled(workspace.current_operation, at),
                rate_limit=self.client.rate_limit,
                at=time.monotonic(),
            )
        return at + timedelta(seconds=self.wait)


def watch(
    fleet: Fleet,
    pool: Pool,
    *,
    interval: float,
    idle_interval: float,
    at_once: bool = False,
    now: Callable[[], datetime] = timezone.now,
    clock: Callable[[], float] = time.monotonic,
    ends_at: Callable[[], float] = lambda: math.inf,
) -> Generator[PollResult, None, None]:
    """Poll what is due, each workspace at its own interval, until `ends_at`; yield the results.

    The intervals are in seconds, for a workspace with an active import and for one without. The
    first polls of many workspaces are spread over an interval, unless `at_once`. `now` returns the
    time of day and `clock` seconds. `ends_at` returns a time of `clock`, which a result can change.
    Other processes may watch the same workspaces: each polls a part of them.
    """
    kept: dict[str, _Connection] = {}
    stopped = threading.Event()
    keeper = partial(_keep_house, fleet, stopped, capture_tenant())
    threading.Thread(target=keeper, name="importmonitor-settings", daemon=True).start()
    claim_at = clock()
    try:
        while clock() < ends_at():
            # Some more than it polls at a time, in batches.
            room = 2 * pool.concurrency - len(pool.busy)
            has_room = room >= pool.concurrency // 2
            if has_room and clock() >= claim_at:
                try:
                    if not fleet.is_started:
                        fleet.start(at_once=at_once)
                    claims = fleet.claim(room)
                    pause = _pause(fleet, claims, room)
                except database_errors() as error:
                    claims, pause = [], _DATABASE_RETRY
                    connections[store_alias()].close()
                    for alias in fleet.some():
                        yield PollFailure(alias, error)
                claim_at = clock() + pause
                for claim in claims:
                    if claim.config.alias in pool.busy:
                        # Its last poll has outlived its lease, and still uses the client.
                        continue
                    connection = _connect(kept, claim.config, interval, idle_interval, now)
                    next_poll = partial(connection.next_poll, now=now)
                    poll = partial(poll_claimed, claim, connection.client, next_poll, now)
                    pool.submit(claim.config.alias, poll)
            wait = claim_at - clock() if has_room else _MAX_PAUSE
            result = pool.get(max(0.0, min(wait, ends_at() - clock())))
            if result is not None:
                wait = _disconnect(kept, result)
                claim_at = min(claim_at, clock() + max(wait, _MIN_PAUSE))
                yield result
    finally:
        stopped.set()
        pool.stop()
        # A signal can have interrupted a claim.
        with suppress(*database_errors()):
            release_process_leases()
        connections[store_alias()].close()


def _pause(fleet: Fleet, claims: list[Claim], room: int) -> float:
    """Return the seconds until the next claim."""
    if len(claims) == room:
        return 0.0
    left = fleet.next_due()
    if left is not None and left <= 0 and not claims:
        return _BUSY_PAUSE
    pause = _MAX_PAUSE if left is None else min(max(left, _MIN_PAUSE), _MAX_PAUSE)
    if pause > _BUSY_PAUSE:
        connections[store_alias()].close()
    return pause


def _connect(
    kept: dict[str, _Connection],
    config: WorkspaceConfig,
    interval: float,
    idle_interval: float,
    now: Callable[[], datetime],
) -> _Connection:
    """Return what is kept of a workspace, or a new connection."""
    connection = kept.get(config.alias)
    if connection is None or connection.config != config:
        if connection is not None:
            connection.client.close()
        connection = _Connection(
            config, Client(config, now=now), PollInterval(interval, idle_interval)
        )
        kept[config.alias] = connection
    return connection


def _disconnect(kept: dict[str, _Connection], result: PollResult) -> float:
    """Keep nothing of a workspace that is not polled again soon; return the seconds until then."""
    connection = kept[result.workspace]
    wait = math.inf if isinstance(result, PollFailure) else connection.wait
    if wait >= _KEEP_ALIVE:
        connection.client.close()
        del kept[result.workspace]
    return wait


def _keep_house(
    fleet: Fleet, stopped: threading.Event, activate_tenant: Callable[[], None]
) -> None:
    """Do what no poll is to wait for: the totals of many workspaces, and once a minute the rest."""
    activate_tenant()
    review_at = time.monotonic() + _REREAD_INTERVAL
    pause = TOTALS_INTERVAL
    while not stopped.wait(pause):
        pause = TOTALS_INTERVAL if store_totals() else _REREAD_INTERVAL
        if time.monotonic() >= review_at:
            review_at = time.monotonic() + _REREAD_INTERVAL
            review_and_deliver()
            _reread(fleet)
        # Also what a callable WORKSPACES has opened.
        connections.close_all()


def _reread(fleet: Fleet) -> None:
    """Read the settings again; nothing is raised if that fails."""
    try:
        fleet.reread()
    except ImproperlyConfigured as error:
        logger.warning("%s", error)
    except database_errors() as error:
        logger.warning("The settings could not be read again: %s", type(error).__name__)
    except Exception:
        logger.exception("The settings could not be read again.")
