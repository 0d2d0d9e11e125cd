"""The time until a workspace's next poll: short, and within Rocket.Chat's rate limit."""

import math
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from importmonitor.rocketchat.exceptions import RateLimited, RocketChatError
from importmonitor.rocketchat.rate_limit import WINDOW, RateLimit

#: The back-off in seconds: after the first failure, doubled with each further one, up to the max.
INITIAL_BACKOFF = 30.0
MAX_BACKOFF = 600.0

# How long the calls of other clients are remembered, in seconds.
_MEMORY = 3600.0
# Seconds into a window at which its only call is made: late enough to count the calls of others.
_OFFSET = 30.0
# A shorter part of a window says nothing about the whole, in seconds.
_MIN_OBSERVED = 20.0
# The part of the limit that is reserved for clients that have made no call so far.
_RESERVE = 0.2


def leaves_enough(rate_limit: RateLimit | None) -> bool:
    """Return whether one more request leaves the other clients what is reserved for them."""
    return rate_limit is None or rate_limit.remaining - 1 >= rate_limit.limit * _RESERVE


def after_failure(error: RocketChatError | None, failures: int, now: datetime) -> float:
    """Return the seconds to wait after so many failed polls: exponential back-off with jitter."""
    if isinstance(error, RateLimited):
        # As soon as Rocket.Chat allows it, but not together with all other clients.
        left = (error.until - now).total_seconds()
        return max(left, 0.0) + random.uniform(0.5, 5.0)
    backoff: float = min(INITIAL_BACKOFF * 2 ** min(max(failures - 1, 0), 10), MAX_BACKOFF)
    return min(backoff * random.uniform(0.8, 1.2), MAX_BACKOFF)


@dataclass
class PollInterval:
    """Computes the time until the next poll; times are in seconds of one monotonic clock."""

    interval: float
    idle_interval: float
    #: When other clients were observed to make how many calls per window.
    observed: deque[tuple[float, float]] = field(default_factory=deque)
    #: Our own calls in the present window, and when that ends.
    own_calls: int = 0
    window_ends: float = -math.inf

    def after_success(self, *, active: bool, rate_limit: RateLimit | None, at: float) -> float:
        """Return the seconds to wait after a successful poll that was answered at this time."""
        wanted = self.interval if active else self.idle_interval
        if rate_limit is None:
            return wanted
        others = self._count(rate_limit, at)
        if wanted >= rate_limit.resets_in:
            return wanted
        # A further call in this window: only if it leaves enough for all other clients.
        expected = max(0.0, self._others_per_window(rate_limit, at) - others)
        if rate_limit.remaining - 1 >= expected:
            return wanted
        return rate_limit.resets_in + (min(_OFFSET, wanted) if self.observed else _OFFSET)

    def _count(self, rate_limit: RateLimit, at: float) -> int:
        """Count this call, and return how many calls others have made in its window."""
        ends, passed = at + rate_limit.resets_in, WINDOW - rate_limit.resets_in
        # The number of calls is known since the beginning of the window, or since the end of the
        # last one that was observed, if there cannot have been another in between.
        since = at - passed
        if abs(ends - self.window_ends) > WINDOW / 10:
            if since - self.window_ends < WINDOW:
                since = min(since, self.window_ends)
            self.own_calls = 0
        self.window_ends = ends
        self.own_calls += 1
        others = max(0, rate_limit.limit - rate_limit.remaining - self.own_calls)
        if at - since >= _MIN_OBSERVED:
            self.observed.append((at, others * WINDOW / (at - since)))
        while self.observed and self.observed[0][0] < at - _MEMORY:
            self.observed.popleft()
        return others

    def _others_per_window(self, rate_limit: RateLimit, at: float) -> float:
        """Return how many calls per window to leave to others: the maximum that was observed."""
        if not self.observed:
            # They can need all but one.
            return rate_limit.limit - 1
        return max(rate_limit.limit * _RESERVE, *(calls for _, calls in self.observed))
