"""What is done to a workspace, drawn from a seed: its imports, restarts, outages and gaps."""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from importmonitor.rocketchat.exceptions import BadAnswer, RateLimited, RocketChatError, Unreachable
from simulator.clock import Clock
from simulator.kinds import KINDS
from simulator.workspace import Workspace
from simulator.writes import PACES, Ending

if TYPE_CHECKING:
    from tests.truth.looks import Observation

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = 86_400.0

#: What the list still shows if one more was at work before: fewer than twenty.
MOST_UNSEEN = 19

ENDINGS: Mapping[Ending, float] = {
    "done": 34,
    "done-with-errors": 8,
    "done-short": 6,
    "failed": 10,
    "cancelled": 4,
    "waiting": 8,
    "stuck": 14,
    "instant": 12,
    "overshoot": 4,
}


class Happenings:
    """A workspace and what is done to it; all of it drawn from a seed."""

    def __init__(self, name: str, seed: str, imports: int) -> None:
        self.name = name
        self.rng = random.Random(seed)
        self.clock = Clock(MONDAY)
        self.workspace = Workspace(
            self.clock,
            seed=self.rng.getrandbits(32),
            era=self.rng.choice((5, 6, 7, 8)),
            iso_ts=self.rng.random() < 0.7,
            rate_limit=None,
        )
        self.imports = imports
        self.started = 0
        self.looks: list[Observation] = []
        #: What was done and how polls went, to see what a run was made of.
        self.did: Counter[str] = Counter()
        self.agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._planned = 0
        self.unseen: set[str] = set()
        self.ends_seen: set[str] = set()
        self.must_look = False
        self.cadence = 60.0
        self._burst = 0
        self.away_until = MONDAY
        self._outage: str | None = None

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan something."""
        at = self.clock.now() + timedelta(seconds=seconds)
        self._planned += 1
        heapq.heappush(self.agenda, (at, self._planned, action))

    def advance(self, seconds: float, *, to_the_end: bool = True) -> None:
        """Let time pass and happen what is planned, or end sooner if somebody has to look."""
        until = self.clock.now() + timedelta(seconds=seconds)
        while self.agenda and self.agenda[0][0] <= until:
            at, _, action = heapq.heappop(self.agenda)
            self.clock.set(at)
            action()
            if self.must_look and not to_the_end:
                return
        self.clock.set(until)

    def between(self, least: float, most: float) -> float:
        """Draw a number of any size: as many are between 1 and 10 as between 10 and 100."""
        return math.exp(self.rng.uniform(math.log(least), math.log(most)))

    def start(self) -> None:
        """Start an import, and plan what will be done to it and when the next one starts."""
        if self.looks and len(self.unseen) >= MOST_UNSEEN:
            self.must_look = True
            self.later(60, self.start)
            return
        rng = self.rng
        if not self._burst and rng.random() < 0.02:
            self._burst = rng.randint(3, 25)
            if rng.random() < 0.7:
                self.go_away()
        ending = rng.choices(list(ENDINGS), list(ENDINGS.values()))[0]
        kind = rng.choice(list(KINDS))
        if ending in ("cancelled", "waiting") and not KINDS[kind].selects:
            kind = "csv"
        seconds = self.between(3, 60) if self._burst else self.between(5, 3 * 3600)
        stuck_for = self.between(240, 4 * 3600)
        remote_id = self.workspace.start_import(
            kind,
            ending,
            round(seconds, 3),
            records=rng.randint(40, 1500),
            pace=rng.choice(PACES),
            stuck_for=math.inf if stuck_for > 3 * 3600 else round(stuck_for, 3),
        )
        self.started += 1
        self.unseen.add(remote_id)
        self.did[ending] += 1
        if ending == "instant":
            seconds = 0.012
        if ending in ("stuck", "waiting"):
            seconds += stuck_for
        self.cadence = max(rng.choice((20.0, 60.0, 120.0, 300.0, 600.0)), seconds / 15)
        self._plan_for(remote_id, ending, seconds)
        self._plan_next(remote_id, seconds)

    def _plan_for(self, remote_id: str, ending: Ending, seconds: float) -> None:
        rng = self.rng
        sometime = seconds * rng.uniform(0.02, 0.98)
        if ending == "waiting" and (answer := rng.choice((self.select, self.cancel, None))):
            self.later(sometime, partial(answer, remote_id))
        drawn = rng.random()
        if drawn < 0.10:
            self.later(sometime, self.restart)
        elif drawn < 0.13:
            self.later(sometime, self.clear)
        elif drawn < 0.16:
            self.later(sometime, partial(self.cancel, remote_id))
        if rng.random() < 0.12:
            self.later(sometime, self.go_away)

    def _plan_next(self, remote_id: str, seconds: float) -> None:
        if self.started >= self.imports:
            return
        drawn = self.rng.random()
        if not self._burst and self.rng.random() < 0.15:
            # No newer import is to follow soon: this one could not be run again.
            self.later(seconds + self.between(60, 7200), partial(self.reopen, remote_id))
            pause = seconds + self.between(6 * 3600, 1.5 * DAY)
        elif self._burst:
            self._burst -= 1
            pause = seconds * self.rng.uniform(0.5, 1.5)
        elif drawn < 0.15:
            pause = seconds * self.rng.uniform(0.02, 0.98)
        elif drawn < 0.35:
            pause = seconds + self.rng.uniform(0.001, 20)
        else:
            pause = seconds + self.between(60, 1.5 * DAY)
        # Rocket.Chat begins no two within a millisecond.
        self.later(max(round(pause, 3), 0.002), self.start)

    def restart(self) -> None:
        """Let a server instance start."""
        self.workspace.restart()
        self.did["restarts"] += 1

    def clear(self) -> None:
        """Clear all operations."""
        self.workspace.clear()
        self.did["clears"] += 1

    def restart_now_and_then(self) -> None:
        """Let a server instance start, whatever goes on."""
        self.restart()
        if self.started < self.imports:
            self.later(self.between(3600, 12 * DAY), self.restart_now_and_then)

    def select(self, remote_id: str) -> None:
        """Select what to import, if that is still possible."""
        self._try(self.workspace.select, remote_id, "selected")

    def cancel(self, remote_id: str) -> None:
        """Cancel, if it is still at work: who would cancel what was interrupted?"""
        current = self.workspace.current()
        if current and current["_id"] == remote_id and current["valid"]:
            self._try(self.workspace.cancel, remote_id, "cancelled")

    def reopen(self, remote_id: str, tries: int = 5) -> None:
        """Open the prepare page of one whose end was seen, and perhaps run it again.

        Had nobody seen the end, it could not be told from one that has come this far only now.
        """
        if remote_id not in self.ends_seen or len(self.unseen) >= MOST_UNSEEN:
            if tries:
                self.later(self.between(60, 7200), partial(self.reopen, remote_id, tries - 1))
            return
        if self._try(self.workspace.prepare, remote_id, "reopened"):
            self.ends_seen.discard(remote_id)
            self.unseen.add(remote_id)
            if self.rng.random() < 0.7:
                self.later(self.between(10, 3600), partial(self.run_again, remote_id))

    def run_again(self, remote_id: str) -> None:
        """Select what to import of one that was opened again, and perhaps let that be broken."""
        if self._try(self.workspace.select, remote_id, "run again"):
            if self.rng.random() < 0.4:
                self.later(self.between(1, 1800), self.restart)
            elif self.rng.random() < 0.3:
                self.later(self.between(60, 7200), partial(self.reopen, remote_id))

    def _try(self, action: Callable[[str], object], remote_id: str, what: str) -> bool:
        try:
            action(remote_id)
        except ValueError:
            return False
        self.did[what] += 1
        return True

    def fall_out(self) -> None:
        """Let the workspace be out of reach for a while; what it does, it goes on doing."""
        self.workspace.outage = 503
        self._outage = self.rng.choice(("down", "down", "down", "odd", "limited"))
        self.did["outages"] += 1
        self.later(self.between(30, 8 * 3600), self.come_back)

    def come_back(self) -> None:
        """Let it be in reach again."""
        self.workspace.outage = self._outage = None
        if self.started < self.imports:
            self.later(self.between(1800, 8 * DAY), self.fall_out)

    def trouble(self) -> RocketChatError | None:
        """Return why a call fails now, if it does."""
        if self.workspace.outage is None:
            return None
        if self._outage == "odd":
            return BadAnswer("The answer is not JSON.")
        if self._outage == "limited":
            until = self.clock.now() + timedelta(seconds=60)
            return RateLimited("Too many requests.", until=until)
        return Unreachable(f"It answered {self.workspace.outage}.")

    def go_away(self) -> None:
        """Let nobody look for minutes to days."""
        self.away_until = self.clock.now() + timedelta(seconds=self.between(120, 4 * DAY))
        self.did["gaps"] += 1
