"""Rocket.Chat's rate limit: a number of calls per window, for each endpoint and address."""

import math
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.clock import Clock, to_milliseconds

WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The limiter's decision on one call.

    Attributes:
        allowed: whether the call is allowed.
        headers: the three `X-RateLimit-*` headers.
        wait: whole seconds until the window ends, at least 1.
    """

    allowed: bool
    headers: dict[str, str]
    wait: int


class Limiter:
    """Counts calls in windows that begin with the first call after the last window. Thread-safe.

    Args:
        limit: the calls allowed in a window.
        clock: the clock that measures the windows.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self.limit = limit
        self.clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, str], tuple[datetime, int]] = {}

    def take(self, client_ip: str, endpoint: str, server_time: datetime | None = None) -> Verdict:
        """Count one call of `endpoint` by `client_ip`; refused calls count as well.

        Args:
            client_ip: the caller's address.
            endpoint: the endpoint's path.
            server_time: the time on the server's clock, which `X-RateLimit-Reset` is on too; by
                default that of the limiter's clock.
        """
        now = self.clock.now()
        with self._lock:
            ends, calls = self._windows.get((client_ip, endpoint), (now, 0))
            if now >= ends:
                ends, calls = now + WINDOW, 0
            calls += 1
            self._windows[client_ip, endpoint] = (ends, calls)
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - calls)),
            "X-RateLimit-Reset": str(to_milliseconds((server_time or now) + (ends - now))),
        }
        wait = max(1, math.ceil((ends - now).total_seconds()))
        return Verdict(calls <= self.limit, headers, wait)
