"""Workspaces whose polls are due, claimed in batches: each process takes what is due.

When a poll is due is in the workspace's row, and so is the lease: any number of processes and
hosts share the workspaces without knowing of each other.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ImproperlyConfigured

from importmonitor import conf
from importmonitor.logs import get_logger
from importmonitor.models.leases import PollState
from importmonitor.models.workspace_queries import WorkspaceQuerySet
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.interval import MAX_BACKOFF
from importmonitor.sync.lease import lease_duration, new_holder

logger = get_logger(__name__)


@dataclass(frozen=True)
class Claim:
    """A workspace whose lease this process has, and what its poll starts from."""

    config: WorkspaceConfig
    state: PollState
    holder: str
    #: On the monotonic clock.
    claimed_at: float


def claim_due(
    rows: WorkspaceQuerySet, workspaces: conf.Workspaces, limit: int, now: datetime
) -> list[Claim]:
    """Claim up to `limit` of the workspaces whose polls are due, the oldest first.

    One with a mistake in its settings is tried again later; one that the settings no longer have
    is not due any more.
    """
    configs: dict[str, WorkspaceConfig] = {}

    def duration(aliases: Sequence[str]) -> timedelta:
        for alias in aliases:
            try:
                configs[alias] = workspaces[alias]
            except ImproperlyConfigured as error:
                logger.warning("%s", error)
            except conf.UnknownWorkspace:
                pass
        # Of an unusable one the lease is released below.
        return lease_duration(max((config.deadline for config in configs.values()), default=0.0))

    holder, claimed_at = new_holder(), time.monotonic()
    states = rows.claim(limit, holder, now=now, duration=duration)
    later = now + timedelta(seconds=MAX_BACKOFF)
    unusable = {state.workspace.alias for state in states} - configs.keys()
    wrong = {alias for alias in unusable if alias in workspaces}
    for aliases, due_at in ((wrong, later), (unusable - wrong, None)):
        if aliases:
            held = rows.filter(alias__in=aliases, holder=holder)
            held.update(due_at=due_at, holder="", expires_at=None)
    usable = (state for state in states if state.workspace.alias in configs)
    return [Claim(configs[state.workspace.alias], state, holder, claimed_at) for state in usable]
