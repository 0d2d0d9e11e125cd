"""When a workspace is to be asked again: often enough, and within Rocket.Chat's budget."""

import math
import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from importmonitor.rocketchat.budget import WINDOW, Budget
from importmonitor.rocketchat.errors import RateLimited, RocketChatError

#: After a failure, in seconds; it doubles with each further one, up to the second.
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 600.0

# For how long it counts how much of the budget others have been seen to spend.
_MEMORY = 3600.0
# Where in a window to place its only call: late enough to see what others spend of it.
_PLACE = 30.0
# Less of a window tells nothing of the whole.
_TELLING = 20.0
# Of the budget, what is left to those who have not been seen yet.
_RESERVE = 0.2


@dataclass
class Pace:
    """Remembers how a workspace's answers went; times are in seconds of one steady clock."""

    interval: float
    idle_interval: float
    failures: int = 0
    #: When others were seen to spend so many calls of a window.
    seen: deque[tuple[float, float]] = field(default_factory=deque)
    #: Our own calls in the present window, and when that ends.
    ours: int = 0
    window_ends: float = -math.inf

    def after_failure(self, error: RocketChatError | None, now: datetime) -> float:
        """Return how long to wait after a look that failed: longer each time, never the same."""
        self.failures += 1
        pause: float = min(FIRST_PAUSE * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE)
        pause *= random.uniform(0.8, 1.2)
        if isinstance(error, RateLimited):
            # At once when it allows that again, but not together with all who wait for it too.
            left = (error.until - now).total_seconds()
            return max(left, 0.0) + random.uniform(0.5, 5.0)
        return min(pause, LONGEST_PAUSE)

    def after_look(self, *, active: bool, budget: Budget | None, at: float) -> float:
        """Return how long to wait after a good look that was answered `at` this time."""
        self.failures = 0
        wanted = self.interval if active else self.idle_interval
        if budget is None:
            return wanted
        spent = self._count(budget, at)
        if wanted >= budget.resets_in:
            return wanted
        # Would be a further call in this window: only if everybody else has enough all the same.
        to_come = max(0.0, self._others(budget, at) - spent)
        if budget.remaining - 1 >= to_come:
            return wanted
        return budget.resets_in + (min(_PLACE, wanted) if self.seen else _PLACE)

    def _count(self, budget: Budget, at: float) -> int:
        """Count this call, and return how many others have made in its window so far."""
        ends, passed = at + budget.resets_in, WINDOW - budget.resets_in
        # Since when it is known how many calls there were: the beginning of the window, or the
        # end of the one before, if another cannot have been in between.
        since = at - passed
        if abs(ends - self.window_ends) > WINDOW / 10:
            if since - self.window_ends < WINDOW:
                since = min(since, self.window_ends)
            self.ours = 0
        self.window_ends = ends
        self.ours += 1
        spent = max(0, budget.limit - budget.remaining - self.ours)
        if at - since >= _TELLING:
            self.seen.append((at, spent * WINDOW / (at - since)))
        while self.seen and self.seen[0][0] < at - _MEMORY:
            self.seen.popleft()
        return spent

    def _others(self, budget: Budget, at: float) -> float:
        """Return how many calls of a window to leave to others: the most that they have made."""
        if not self.seen:
            # Nothing is known of them yet: all but one.
            return budget.limit - 1
        return max(budget.limit * _RESERVE, *(calls for _, calls in self.seen))
