"""When `--watch` ends although imports are active."""

import math
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import timedelta

from importmonitor import humanize
from importmonitor.rocketchat.exceptions import (
    PermissionMissing,
    TwoFactorRequired,
    Unauthenticated,
)
from importmonitor.sync.poll import SyncResult

# These stay until the token or its permissions are changed.
_REFUSALS = (Unauthenticated, PermissionMissing, TwoFactorRequired)


@dataclass
class WatchLimits:
    """The limits of a watch of these workspaces, in seconds of `clock` from now on.

    `timeout` is that of all of it. `patience` is how long a token may be refused; both can be
    None, for ever. A server that is down may come back, so that has no limit of its own.
    """

    watched: Container[str]
    timeout: float | None
    patience: timedelta | None
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    #: Since when tokens have been refused, and those that were refused by the last poll.
    _refused_since: dict[str, float] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def note(self, alias: str, result: SyncResult | None) -> None:
        """Note the result of a poll, None if it has none."""
        self._refused.discard(alias)
        if self.patience is None or result is None or result.skipped is not None:
            return
        if isinstance(result.error, _REFUSALS):
            self._refused.add(alias)
            self._refused_since.setdefault(alias, self.clock())
        elif result.error is None or not result.error.transient:
            self._refused_since.pop(alias, None)

    def ends_at(self) -> float:
        """Return when the watch ends."""
        return min((ends_at for ends_at, _reason in self._ends()), default=math.inf)

    def reason(self) -> str:
        """Return why the watch has ended."""
        _ends_at, reason = min(self._ends())
        return reason

    def _ends(self) -> list[tuple[float, str]]:
        ends = []
        if self.timeout is not None:
            ends.append(
                (self.started + self.timeout, f"The timeout of {self.timeout:g} s is over.")
            )
        if self.patience is not None:
            for alias in filter(self.watched.__contains__, self._refused):
                reason = (
                    f"Rocket.Chat has refused the token of {alias} for "
                    f"{humanize.format_duration(self.patience)}: waiting does not help. "
                    "`manage.py check_rocketchat` says what to do."
                )
                ends.append((self._refused_since[alias] + self.patience.total_seconds(), reason))
        return ends
