"""What happens to a workspace: imports, restarts, outages and gaps, chosen at random."""

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from importmonitor.rocketchat.exceptions import BadAnswer, RateLimited, RocketChatError, Unreachable
from simulator.clock import Clock
from simulator.eras import Era
from simulator.kinds import FINISHED, KINDS, Kind
from simulator.workspace import Workspace
from simulator.writes import PACES, Ending

if TYPE_CHECKING:
    from tests.truth.observations import Observation

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = 86_400.0

#: The list holds twenty operations, and one more can have been active before.
MAX_UNSEEN = 19

#: Seconds by which Rocket.Chat's clock is ahead, or is stepped.
OFFSETS = (-3600, -600, -40, 40, 300, 3600)

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


class Scenario:
    """A workspace and what happens to it; the seed determines all of it."""

    def __init__(self, name: str, seed: str, imports: int) -> None:
        self.name = name
        self.rng = random.Random(seed)
        self.clock = Clock(MONDAY)
        self.workspace = Workspace(
            self.clock,
            seed=self.rng.getrandbits(32),
            era=self.rng.choice(list(Era)),
            rate_limit=None,
        )
        #: The kinds of the imports, by id.
        self.kinds: dict[str, Kind] = {}
        #: When they were started. They may have been inserted a while later.
        self.called_at: dict[str, datetime] = {}
        if self.rng.random() < 0.5:
            self.workspace.clock_offset = timedelta(seconds=self.rng.choice(OFFSETS))
        #: When Rocket.Chat's clock was set.
        self.clock_steps: list[datetime] = [MONDAY]
        self.imports = imports
        self.started = 0
        self.observations: list[Observation] = []
        #: How often things happened, for the report.
        self.did: Counter[str] = Counter()
        self.agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._scheduled = 0
        self.unseen: set[str] = set()
        self.ends_shown: set[str] = set()
        # Up to 6.2, the list also holds those that run on behind newer ones.
        aborts = self.workspace.era.aborts_invalid_imports
        self._max_unseen = MAX_UNSEEN if aborts else MAX_UNSEEN // 2
        self.must_poll = False
        self.cadence = 60.0
        self._burst = 0
        self.paused_until = MONDAY
        self._outage: str | None = None
        self._is_down = False
        self._last_start = MONDAY
        self._backup: list[dict[str, Any]] | None = None

    def schedule(self, seconds: float, action: Callable[[], object]) -> None:
        """Schedule an action."""
        at = self.clock.now() + timedelta(seconds=seconds)
        self._scheduled += 1
        heapq.heappush(self.agenda, (at, self._scheduled, action))

    def advance(self, seconds: float, *, to_the_end: bool = True) -> None:
        """Let time pass and run what is scheduled; return sooner if a poll is required."""
        until = self.clock.now() + timedelta(seconds=seconds)
        while self.agenda and self.agenda[0][0] <= until:
            at, _, action = heapq.heappop(self.agenda)
            self.clock.set(at)
            action()
            if self.must_poll and not to_the_end:
                return
        self.clock.set(until)

    def log_uniform(self, minimum: float, maximum: float) -> float:
        """Return a random number of any magnitude: 1 to 10 is as likely as 10 to 100."""
        return math.exp(self.rng.uniform(math.log(minimum), math.log(maximum)))

    def start(self) -> None:
        """Start an import, and schedule what happens to it and when the next one starts."""
        if self._is_down:
            self.schedule(60, self.start)
            return
        if self.clock.now() < self._last_start + timedelta(milliseconds=2):
            # The one before is not inserted: this is no way to start two.
            self.schedule(100, self.start)
            return
        if self.observations and len(self.unseen) >= self._max_unseen:
            self.must_poll = True
            self.schedule(60, self.start)
            return
        rng = self.rng
        if not self._burst and rng.random() < 0.02:
            self._burst = rng.randint(3, 25)
            if rng.random() < 0.7:
                self.pause_polling()
        ending = rng.choices(list(ENDINGS), list(ENDINGS.values()))[0]
        # Half as often again those that run on when they are invalid.
        kind = rng.choice([*KINDS, *(key for key in KINDS if not KINDS[key].selects), "csv"])
        if ending in ("cancelled", "waiting") and not KINDS[kind].selects:
            kind = "csv"
        seconds = self.log_uniform(3, 60) if self._burst else self.log_uniform(5, 3 * 3600)
        # Pending files and avatars can be silent for so long that they seem to be killed.
        longest = 3 * 3600 if KINDS[kind].selects else 20 * 3600
        stuck_for = self.log_uniform(240, 1.3 * longest)
        insert_after = 0.0
        if not self._burst and rng.random() < 0.15:
            # It takes long to delete the staged records of the one before.
            insert_after = round(self.log_uniform(1, 100), 3)
        remote_id = self.workspace.start_import(
            kind,
            ending,
            round(seconds, 3),
            records=rng.randint(40, 1500),
            pace=rng.choice(PACES),
            insert_after=insert_after,
            stuck_for=math.inf if stuck_for > longest else round(stuck_for, 3),
        )
        self.started += 1
        self.kinds[remote_id] = KINDS[kind]
        self.called_at[remote_id] = self.clock.now()
        self._last_start = self.clock.now() + timedelta(seconds=insert_after)
        self.unseen.add(remote_id)
        self.did[ending] += 1
        if ending == "instant":
            seconds = 0.012
        if ending in ("stuck", "waiting"):
            seconds += stuck_for
        self.cadence = max(rng.choice((20.0, 60.0, 120.0, 300.0, 600.0)), seconds / 15)
        self._schedule_for(remote_id, ending, insert_after, seconds)
        self._schedule_next(remote_id, insert_after + seconds)

    def _schedule_for(
        self, remote_id: str, ending: Ending, insert_after: float, seconds: float
    ) -> None:
        rng = self.rng
        moment = insert_after + seconds * rng.uniform(0.02, 0.98)
        if ending == "waiting" and (reaction := rng.choice((self.select, self.cancel, None))):
            self.schedule(moment, partial(reaction, remote_id))
        accident = rng.choices(
            (self.restart, self.start_instance, self.kill, self.clear, None), (5, 5, 5, 6, 79)
        )[0]
        if accident:
            self.schedule(moment, accident)
        elif rng.random() < 0.04:
            self.schedule(moment, partial(rng.choice((self.cancel, self.remove)), remote_id))
        if rng.random() < 0.12:
            self.schedule(moment, self.pause_polling)

    def _schedule_next(self, remote_id: str, seconds: float) -> None:
        if self.started >= self.imports:
            return
        chance = self.rng.random()
        if not self._burst and self.rng.random() < 0.15:
            # No newer import may follow soon, or this one could not be run again.
            self.schedule(seconds + self.log_uniform(60, 7200), partial(self.reopen, remote_id))
            pause = seconds + self.log_uniform(6 * 3600, 1.5 * DAY)
        elif self._burst:
            self._burst -= 1
            pause = seconds * self.rng.uniform(0.5, 1.5)
        elif chance < 0.15:
            # In the middle of this one. Not before it is inserted.
            pause = 100 + seconds * self.rng.uniform(0.02, 0.98)
        elif chance < 0.35:
            pause = seconds + self.rng.uniform(0.001, 20)
        else:
            pause = seconds + self.log_uniform(60, 1.5 * DAY)
        # Rocket.Chat starts no two within a millisecond.
        self.schedule(max(round(pause, 3), 0.002), self.start)

    def restart(self) -> None:
        """Start a server instance."""
        if not self._is_down:
            self.workspace.restart()
            self.did["restarts"] += 1

    def clear(self) -> None:
        """Clear all operations."""
        if not self._is_down:
            self.workspace.clear()
            self.did["clears"] += 1

    def start_instance(self) -> None:
        """Start another server instance: the processes of the others live."""
        if not self._is_down:
            self.workspace.start_instance()
            self.did["other instances"] += 1

    def kill(self) -> None:
        """Kill the servers, and start one a while later."""
        if not self._is_down:
            self.workspace.kill()
            self._is_down = True
            self.did["kills"] += 1
            self.schedule(self.log_uniform(5, 3600), self._end_of_downtime)

    def _end_of_downtime(self) -> None:
        self._is_down = False
        self.workspace.start_instance()

    def remove(self, remote_id: str) -> None:
        """Delete the current import from Rocket.Chat's database."""
        current = self.workspace.current()
        if current and current["_id"] == remote_id and self.workspace.backup()[1:]:
            self.workspace.remove_operation(remote_id)
            self.unseen.discard(remote_id)
            self.did["removed"] += 1

    def make_backup(self) -> None:
        """Make a backup of Rocket.Chat's database, early in the year, to be restored later."""
        current = self.workspace.current()
        is_at_rest = self.workspace.next_write_at() is None and not self._is_down
        if not (is_at_rest and current and current["status"] in FINISHED):
            if self.started < self.imports // 2:
                self.schedule(self.log_uniform(60, 7200), self.make_backup)
            return
        self._backup = self.workspace.backup()
        self.schedule(self.log_uniform(3600, 3 * DAY), self.restore_backup)

    def restore_backup(self) -> None:
        """Restore the backup: Rocket.Chat knows nothing of what happened since."""
        backup, self._backup = self._backup, None
        if not backup or self._is_down:
            return
        self.workspace.restore_backup(backup)
        self.unseen &= {document["_id"] for document in backup}
        self.did["backups restored"] += 1

    def step_clock_occasionally(self) -> None:
        """Set Rocket.Chat's clock, and schedule the next time."""
        step = timedelta(seconds=self.rng.choice(OFFSETS))
        # The current operation is the one with the greatest `ts`: it must stay the last.
        if self.clock.now() - self._last_start > -step:
            self.workspace.clock_offset += step
            self.clock_steps.append(self.clock.now())
            self.did["clock steps"] += 1
        if self.started < self.imports:
            self.schedule(self.log_uniform(3600, 12 * DAY), self.step_clock_occasionally)

    def restart_occasionally(self) -> None:
        """Start a server instance, whatever is running, and schedule the next start."""
        self.restart()
        if self.started < self.imports:
            self.schedule(self.log_uniform(3600, 12 * DAY), self.restart_occasionally)

    def select(self, remote_id: str) -> None:
        """Select what to import, if still possible."""
        self._try(self.workspace.select, remote_id, "selected")

    def cancel(self, remote_id: str) -> None:
        """Cancel an import that is still active."""
        current = self.workspace.current()
        if current and current["valid"]:
            self._try(self.workspace.cancel, remote_id, "cancelled")

    def reopen(self, remote_id: str, tries: int = 5) -> None:
        """Open the prepare page of an import whose end was shown, and perhaps run it again.

        Without a poll of the end, it could not be told apart from one that is only now prepared.
        """
        if self._backup is not None or not self.kinds[remote_id].selects:
            # What is reopened must not be restored, and these have no prepare page.
            return
        if remote_id not in self.ends_shown or len(self.unseen) >= self._max_unseen:
            if tries:
                self.schedule(
                    self.log_uniform(60, 7200), partial(self.reopen, remote_id, tries - 1)
                )
            return
        if self._try(self.workspace.prepare, remote_id, "reopened"):
            self.ends_shown.discard(remote_id)
            self.unseen.add(remote_id)
            if self.rng.random() < 0.7:
                self.schedule(self.log_uniform(10, 3600), partial(self.run_again, remote_id))

    def run_again(self, remote_id: str) -> None:
        """Run a reopened import again, and perhaps interrupt or reopen it."""
        if self._try(self.workspace.select, remote_id, "run again"):
            if self.rng.random() < 0.4:
                self.schedule(self.log_uniform(1, 1800), self.restart)
            elif self.rng.random() < 0.3:
                self.schedule(self.log_uniform(60, 7200), partial(self.reopen, remote_id))

    def _try(self, action: Callable[[str], object], remote_id: str, name: str) -> bool:
        current = self.workspace.current()
        if self._is_down or current is None or current["_id"] != remote_id:
            return False
        try:
            action(remote_id)
        except ValueError:
            return False
        self.did[name] += 1
        return True

    def start_outage(self) -> None:
        """Make the workspace unreachable for a while; its imports continue."""
        self.workspace.outage = 503
        self._outage = self.rng.choice(("down", "down", "down", "odd", "limited"))
        self.did["outages"] += 1
        self.schedule(self.log_uniform(30, 8 * 3600), self.end_outage)

    def end_outage(self) -> None:
        """Make the workspace reachable again."""
        self.workspace.outage = self._outage = None
        if self.started < self.imports:
            self.schedule(self.log_uniform(1800, 8 * DAY), self.start_outage)

    def request_error(self) -> RocketChatError | None:
        """Return why a request fails now, or None."""
        if self._is_down:
            return Unreachable("No connection.")
        if self.workspace.outage is None:
            return None
        if self._outage == "odd":
            return BadAnswer("The answer is not JSON.")
        if self._outage == "limited":
            until = self.clock.now() + timedelta(seconds=60)
            return RateLimited("Too many requests.", until=until)
        return Unreachable(f"It answered {self.workspace.outage}.")

    def pause_polling(self) -> None:
        """Stop polling for minutes to days."""
        self.paused_until = self.clock.now() + timedelta(seconds=self.log_uniform(120, 4 * DAY))
        self.did["gaps"] += 1
