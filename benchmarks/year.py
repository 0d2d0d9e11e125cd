"""A year of imports: what stands in the history at its end, against what really happened.

Simulated workspaces live through some 200 imports each: one after the other, at once behind one
another, in the middle of one another, too short to be seen; they end well, badly and not at all,
stall for shorter and for longer than counts, wait for somebody, are cancelled, cleared, restarted
over, opened again when they had ended, and run again. They are looked at every few seconds or
after days, by pollers that overlap, whose answers are slow, late, repeated or out of order, cut
off between two calls, or do not come at all. Time is the simulator's; a client without HTTP is
what a poll asks. At the end every row, transition and alert is held against the simulator's log.

What could not be known is not asked for. These readings are right:

-   An import is known when an answer has shown it. Among those that began before the first look,
    no other can be; of them nobody is told, but of what they do from then on.
-   Of an end, what happened first is told by the answers: one that a restart interrupted and that
    a newer import had followed before anybody looked, was superseded (`changes._conclude`).
-   One that was still at work when last shown, and is not in the list because that was refused or
    late, is superseded when a newer one is shown. Shown after all, it ended as it really did, and
    if that is other news, it is told: "failed" after "finished".
-   `finished_at` is the first end, however often it was run again, and lies between that end and
    the end of the first look that came after it. Of a superseded one, the end is the beginning of
    the next.
-   An import stalled if, until the look that says so, no answer had shown a move for the threshold.
    It must be told once it was watched for so long: the time between two good looks in a row, of
    which no more than half the threshold counts (`looking._watched`).
-   A second run is told of only if it ends otherwise than the run before: nobody is told
    "finished" twice, and nobody that it starts again. One that was broken off shows by its step:
    what was merely opened again never gets to importing.
-   What does not happen here, for it could not be told apart: the prepare page opened before
    anybody saw the end, and two imports that begin within a millisecond.

    python -m benchmarks.year [--imports 3000] [--seed 0]

Exit status: 0 every figure is 0; 1 one is not.
"""

import argparse
import gc
import heapq
import logging
import math
import os
import random
import sys
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import django

from importmonitor.conf import ACTIVE
from importmonitor.events import Event
from importmonitor.rocketchat.errors import BadAnswer, RateLimited, RocketChatError, Unreachable
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.workspaces import Workspace as Configured
from project.simulator.clock import Clock
from project.simulator.kinds import CANCELLED, DONE, FAILED, FINISHED, KINDS, NEW, USER_SELECTION
from project.simulator.operations import LogEntry
from project.simulator.workspace import Workspace
from project.simulator.writes import PACES, Ending

if TYPE_CHECKING:
    # They can be had only when Django is set up; see `main`.
    from importmonitor.models import Alert, ImportOperation, StatusTransition
    from importmonitor.sync import SyncResult

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
DAY = 86_400.0
#: So many imports to a workspace: one with thousands is slow to simulate.
A_YEARS = 200

STALLED_AFTER = timedelta(minutes=15)
WAITING_AFTER = timedelta(hours=1)
UNREACHABLE_AFTER = timedelta(minutes=5)
DEADLINE = 30.0
#: Of the time between two looks, no more counts as watched.
MOST_WATCHED = STALLED_AFTER / 2
#: As long as an ordinary look may take, which says nothing of when in it an answer was taken.
A_LOOK = timedelta(seconds=DEADLINE * 2)

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

MISSED = "operations missed or made up"
OUTCOMES = "wrong outcomes"
FINISHED_AT = "wrong finished_at"
MOVED = "moved finished_at"
DOUBLE = "double or broken transitions"
TWICE = "events told twice or without cause"
UNTOLD = "events not told"
FALSE_STALLS = "false stalls"
MISSED_STALLS = "stalls missed"
FALSE_INTERRUPTED = "false interrupted"
OVERLAPS = "pollers that wrote out of turn"
FIGURES = (
    MISSED,
    OUTCOMES,
    FINISHED_AT,
    MOVED,
    DOUBLE,
    TWICE,
    UNTOLD,
    FALSE_STALLS,
    MISSED_STALLS,
    FALSE_INTERRUPTED,
    OVERLAPS,
)

END_EVENTS = (Event.FINISHED, Event.FAILED, Event.INTERRUPTED)
DONES = {"done", "done_with_errors", "done_short"}


class Silent:
    """A channel that gets everything and says nothing."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    def send(self, message: object) -> None:
        pass


def configuration(workspaces: int) -> dict[str, Any]:
    """Return `IMPORTMONITOR` for so many workspaces."""
    credentials = {"USER_ID": "nobody", "AUTH_TOKEN": "nothing", "DEADLINE": DEADLINE}
    return {
        "WORKSPACES": {
            alias(number): {"URL": "http://127.0.0.1:9", **credentials}
            for number in range(workspaces)
        },
        "CHANNELS": {"all": {"BACKEND": "benchmarks.year.Silent"}},
        "BASE_URL": "",
        "STALLED_AFTER": STALLED_AFTER,
        "WAITING_AFTER": WAITING_AFTER,
        "UNREACHABLE_AFTER": UNREACHABLE_AFTER,
    }


def alias(number: int) -> str:
    """Name a workspace."""
    return f"year-{number:02}"


# --------------------------------------------------------------------------------------------
# What happens, and who looks when.


@dataclass(frozen=True)
class View:
    """Both answers of a workspace at one moment; `happened` is how long its log was."""

    happened: int
    current: dict[str, Any] | None
    latest: list[dict[str, Any]]


@dataclass(frozen=True)
class Look:
    """One poll that was counted; `shown` is by id how much of the log had happened by then."""

    began: datetime
    ended: datetime
    good: bool
    shown: Mapping[str, int]


def nothing() -> None:
    """Let nothing happen."""


@dataclass
class Client:
    """What a poll asks: the workspace itself, and what is to happen while it is asked.

    `within` happens when the first answer has been taken and has not yet arrived, `between`
    before the list is asked for, `within_list` as `within`. `view` is a moment in the past from
    which both answers are, `late_list` one from which only the list is.
    """

    life: "Life"
    within: Callable[[], object] = nothing
    between: Callable[[], object] = nothing
    within_list: Callable[[], object] = nothing
    view: View | None = None
    late_list: View | None = None
    cut_off: bool = False
    list_fails: bool = False
    shown: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def current_operation(self) -> Operation | None:
        """Answer as Rocket.Chat does, or raise as the real client does."""
        workspace, trouble = self.life.workspace, self.life.trouble()
        happened, current = len(workspace.log), workspace.current()
        if self.view:
            happened, current = self.view.happened, self.view.current
        self.within()
        if self.cut_off:
            trouble = Unreachable("The connection was cut off.")
        if trouble:
            raise trouble
        return None if current is None else self._show(current, happened)

    def latest_operations(self) -> list[Operation]:
        """Answer as Rocket.Chat does, or raise as the real client does."""
        self.between()
        workspace, trouble = self.life.workspace, self.life.trouble()
        happened, latest = len(workspace.log), workspace.latest()
        if past := self.view or self.late_list:
            happened, latest = past.happened, past.latest
        self.within_list()
        if self.list_fails:
            trouble = Unreachable("The connection was cut off.")
        if trouble:
            self.life.did["list not had"] += 1
            raise trouble
        return [self._show(document, happened) for document in latest]

    def _show(self, document: dict[str, Any], happened: int) -> Operation:
        remote_id = document["_id"]
        self.shown[remote_id] = max(happened, self.shown.get(remote_id, 0))
        if document["status"] in FINISHED:
            self.ended.add(remote_id)
        return parse_operation(document)


class Life:
    """A workspace: what is done to it, and who looks when; all of it drawn from a seed."""

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
        self.configured = Configured(
            name, "http://127.0.0.1:9", "nobody", "nothing", deadline=DEADLINE
        )
        self.imports = imports
        self.started = 0
        self.looks: list[Look] = []
        #: What was done and how polls went, to see what a run was made of.
        self.did: Counter[str] = Counter()
        self.moved: list[str] = []
        self.out_of_turn: list[str] = []
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._planned = 0
        self._unseen: set[str] = set()
        self._ends_seen: set[str] = set()
        self._must_look = False
        self._cadence = 60.0
        self._active = False
        self._burst = 0
        self._away_until = MONDAY
        self._outage: str | None = None
        self._past: list[View] = []
        self._finished_at: dict[str, datetime | None] = {}

    # What is done to the workspace.

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan something."""
        at = self.clock.now() + timedelta(seconds=seconds)
        self._planned += 1
        heapq.heappush(self._agenda, (at, self._planned, action))

    def advance(self, seconds: float, *, to_the_end: bool = True) -> None:
        """Let time pass and happen what is planned, or end sooner if somebody has to look."""
        until = self.clock.now() + timedelta(seconds=seconds)
        while self._agenda and self._agenda[0][0] <= until:
            at, _, action = heapq.heappop(self._agenda)
            self.clock.set(at)
            action()
            if self._must_look and not to_the_end:
                return
        self.clock.set(until)

    def between(self, least: float, most: float) -> float:
        """Draw a number of any size: as many are between 1 and 10 as between 10 and 100."""
        return math.exp(self.rng.uniform(math.log(least), math.log(most)))

    def start(self) -> None:
        """Start an import, and plan what will be done to it and when the next one starts."""
        if self.looks and len(self._unseen) >= MOST_UNSEEN:
            self._must_look = True
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
        self._unseen.add(remote_id)
        self.did[ending] += 1
        if ending == "instant":
            seconds = 0.012
        if ending in ("stuck", "waiting"):
            seconds += stuck_for
        self._cadence = max(rng.choice((20.0, 60.0, 120.0, 300.0, 600.0)), seconds / 15)
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
        if remote_id not in self._ends_seen or len(self._unseen) >= MOST_UNSEEN:
            if tries:
                self.later(self.between(60, 7200), partial(self.reopen, remote_id, tries - 1))
            return
        if self._try(self.workspace.prepare, remote_id, "reopened"):
            self._ends_seen.discard(remote_id)
            self._unseen.add(remote_id)
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
        self._away_until = self.clock.now() + timedelta(seconds=self.between(120, 4 * DAY))
        self.did["gaps"] += 1

    # Who looks when.

    def live(self) -> None:
        """Live through all imports."""
        before = self.rng.choice((0, 0, 1, 5, 30))
        self.later(self.rng.uniform(0, 3600), self.start)
        if before:
            while self.started < min(before, self.imports // 4):
                self.advance(60)
        self.poll()
        self._unseen.clear()
        self.later(self.between(3600, 5 * DAY), self.restart_now_and_then)
        self.later(self.between(3600, 4 * DAY), self.fall_out)
        while self._agenda:
            self.advance(self._pause(), to_the_end=False)
            if self._must_look:
                # Fewer than twenty between two looks is all that is asked for.
                self._must_look = False
                self.did["gaps full of imports"] += 1
                self.poll()
            else:
                self._poll_somehow()
        self._settle()

    def _settle(self) -> None:
        """Look until there is nothing more to be seen, the list included, asked for once a day."""
        for pause in (*[400] * 12, DAY, 400, DAY, 400):
            self.advance(pause)
            self.poll()

    def _pause(self) -> float:
        if self._away_until > self.clock.now():
            return (self._away_until - self.clock.now()).total_seconds()
        if self.workspace.outage:
            return self.between(30, 3600)
        if self._active:
            return self._cadence * self.rng.uniform(0.7, 1.3)
        return self.between(60, DAY / 3)

    def _poll_somehow(self) -> None:
        ways: dict[Callable[[], object], float] = {
            self.poll: 72,
            self._slow: 8,
            self._list_cut_off: 4,
            self._late: 8,
            self._late_list: 2,
            self._refused: 2,
            self._overtaken: 2,
            self._overtaken_in_the_list: 1,
            self._overslept: 1,
        }
        if self._unseen:
            # The list will be asked for: let that go wrong more often than chance would have it.
            ways |= {
                self._slow: 20,
                self._list_cut_off: 12,
                self._late_list: 8,
                self._overtaken_in_the_list: 8,
            }
        if self.rng.random() < 0.1:
            self._past = [*self._past[-5:], self.now()]
        self.rng.choices(list(ways), list(ways.values()))[0]()

    def now(self) -> View:
        """Return what there is to be seen at this moment."""
        workspace = self.workspace
        return View(len(workspace.log), workspace.current(), workspace.latest())

    def poll(self, client: Client | None = None) -> "SyncResult":
        """Look once."""
        from importmonitor.sync import sync_workspace

        client = client or Client(self)
        began = self.clock.now()
        result = sync_workspace(self.configured, client=cast("Any", client), now=self.clock.now)
        self.did["polls"] += 1
        if result.skipped is not None:
            self.did[f"polls skipped: {result.skipped.partition(' 2')[0]}"] += 1
            return result
        good = result.error is None
        self.looks.append(Look(began, self.clock.now(), good, client.shown if good else {}))
        self.did["looks that failed"] += not good
        if good:
            current = result.operation
            self._active = current is not None and current.state in ACTIVE
            self.did["looks at one that is going"] += self._active
            self._unseen -= client.shown.keys()
            self._ends_seen |= client.ended
            self._watch_finished_at(result)
        return result

    def _watch_finished_at(self, result: "SyncResult") -> None:
        from importmonitor.models import ImportOperation

        if not result.changes:
            return
        keys = [change.operation.pk for change in result.changes]
        rows = ImportOperation.objects.filter(pk__in=keys)
        self.keep(dict(rows.values_list("remote_id", "finished_at")))

    def keep(self, finished_at: Mapping[str, datetime | None]) -> None:
        """Note where `finished_at` is another than it was."""
        for remote_id, at in finished_at.items():
            before = self._finished_at.get(remote_id)
            if before is not None and at != before:
                self.moved.append(f"{self.name} {remote_id}: {before} to {at}")
            self._finished_at[remote_id] = at

    def _some_seconds(self) -> None:
        self.advance(self.between(0.01, 25))

    def _meanwhile(self) -> None:
        """Let some seconds pass, and often what is planned next happen in them, not later."""
        if self._agenda and self.rng.random() < 0.3:
            _, _, action = heapq.heappop(self._agenda)
            action()
        self._some_seconds()

    def _slow(self) -> None:
        """The answers take their time, and meanwhile things happen."""
        self.did["slow"] += 1
        self.poll(Client(self, self._meanwhile, self._meanwhile, self._meanwhile))

    def _list_cut_off(self) -> None:
        """The first answer comes, the second does not."""
        self.did["list cut off"] += 1
        self.poll(Client(self, list_fails=True))

    def _late(self) -> None:
        """Both answers are from the past, perhaps from before those that came before."""
        if self._past and (view := self.rng.choice(self._past)).current:
            self.did["late or repeated"] += 1
            self.poll(Client(self, view=view))

    def _late_list(self) -> None:
        """The list is from the past: not from before the current one was known, or it is lost."""
        if self._past and len(self._unseen) < MOST_UNSEEN // 2:
            self.did["late list"] += 1
            self.poll(Client(self, late_list=self._past[-1]))

    def _refused(self) -> None:
        """Somebody else comes along while one looks."""

        def meanwhile() -> None:
            self._some_seconds()
            if self.poll().skipped != "leased":
                self.out_of_turn.append(f"{self.name} {self.clock.now()}: two looked at once")

        self.poll(Client(self, within=meanwhile))

    def _overtaken(self) -> None:
        """One is so slow that somebody else's turn comes and goes."""
        cut_off = self.rng.random() < 0.3
        self._overtake(lambda happen: Client(self, within=happen, cut_off=cut_off))

    def _overtaken_in_the_list(self) -> None:
        self._overtake(lambda happen: Client(self, within_list=happen))

    def _overtake(self, client: Callable[[Callable[[], None]], Client]) -> None:
        left: list[Any] = []

        def meanwhile() -> None:
            self.advance(DEADLINE + 5 + self.between(0.001, 300))
            if self.poll().skipped == "leased":
                self.out_of_turn.append(f"{self.name} {self.clock.now()}: the lease did not end")
            left.extend(self.everything())

        result = self.poll(client(meanwhile))
        if not left:
            # The list was not asked for, and so nobody was slow.
            return
        self.did["overtaken"] += 1
        if result.skipped is None or self.everything() != left:
            self.out_of_turn.append(f"{self.name} {self.clock.now()}: one overtaken has written")

    def _overslept(self) -> None:
        """One is slower than its lease lasts, and nobody notices."""
        self.did["overslept"] += 1
        self.poll(Client(self, within=partial(self.advance, DEADLINE + 5 + self.between(1, 60))))

    def everything(self) -> list[Any]:
        """Return all that is stored of this workspace."""
        from importmonitor.models import Alert, ImportOperation, StatusTransition, SyncPeriod

        mine = {"workspace": self.name}
        return [
            list(ImportOperation.objects.filter(**mine).order_by("pk").values()),
            list(StatusTransition.objects.filter(operation__workspace=self.name).values("pk")),
            list(Alert.objects.filter(**mine).order_by("pk").values("pk", "attempts")),
            list(SyncPeriod.objects.filter(**mine).order_by("pk").values()),
        ]


# --------------------------------------------------------------------------------------------
# What really happened, by the log.


@dataclass
class Run:
    """An import at work, from a beginning to an end; places in the log, and how it ended."""

    begin: int
    end: int | None = None
    ended_at: datetime = MONDAY
    how: str = ""


@dataclass
class Standstill:
    """A time in which an import that was at work, or waited, did not move.

    From the move before it to what ended it, as places in the log; `resumed` if that was a move.
    """

    begin: int
    since: datetime
    status: str
    first_run: bool
    end: int = sys.maxsize
    resumed: bool = False


@dataclass
class Import:
    """One import as it really went; `number` is its place in the order of beginnings."""

    remote_id: str
    number: int
    started_at: datetime
    places: list[int] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    standstills: list[Standstill] = field(default_factory=list)
    prepared: int = 0

    def at(self, happened: int) -> LogEntry:
        """Return the import as it was when so much had happened."""
        return self.entries[bisect_left(self.places, happened) - 1]

    def is_going(self, happened: int) -> bool:
        """Tell whether it was neither over nor invalid."""
        entry = self.at(happened)
        return bool(entry.valid) and entry.status not in FINISHED

    def standstill(self, happened: int) -> Standstill | None:
        """Return the one that it was in, if it was."""
        for each in reversed(self.standstills):
            if each.begin < happened:
                return each if happened <= each.end else None
        return None


def truth(log: list[LogEntry]) -> dict[str, Import]:
    """Read from the log what became of each import."""
    imports: dict[str, Import] = {}
    for place, (entry, why) in enumerate(zip(log, causes(log), strict=True)):
        if entry.operation_id is None:
            continue
        if entry.event == "started":
            imports[entry.operation_id] = Import(entry.operation_id, len(imports), entry.at)
        each = imports[entry.operation_id]
        moved = not each.entries or _position(each.entries[-1]) != _position(entry)
        each.places.append(place)
        each.entries.append(entry)
        run = each.runs[-1] if each.runs else None
        if entry.event == "started" or (entry.event == "selected" and run and run.end is not None):
            each.runs.append(Run(place))
        elif run and run.end is None and (ended := _ended(entry, why)):
            run.end, run.ended_at, run.how = place, entry.at, ended
        each.prepared += entry.event == "prepared"
        _stand_or_move(each, place, entry, moved=moved)
    return imports


def causes(log: list[LogEntry]) -> list[str]:
    """Return for each entry what became of those that were invalidated by what was done then."""
    told, cause = [], ""
    for entry in reversed(log):
        if entry.event in ("started", "restarted", "cleared"):
            cause = "superseded" if entry.event == "started" else "interrupted"
        told.append(cause)
    return told[::-1]


def _position(entry: LogEntry) -> tuple[str | None, dict[str, Any]]:
    return entry.status, dict(entry.count)


def _ended(entry: LogEntry, why: str) -> str:
    ends = {DONE: "done", FAILED: "failed", CANCELLED: "canceled"}
    if entry.status in ends:
        return ends[entry.status]
    return why if entry.event == "invalidated" else ""


def _stand_or_move(each: Import, place: int, entry: LogEntry, *, moved: bool) -> None:
    last = each.standstills[-1] if each.standstills else None
    if last and last.end == sys.maxsize and (moved or not entry.valid):
        last.end, last.resumed = place, moved
    if moved and entry.valid and entry.status not in FINISHED:
        first_run = each.runs[0].end is None
        each.standstills.append(Standstill(place, entry.at, str(entry.status), first_run))


# --------------------------------------------------------------------------------------------
# The judgement.


@dataclass
class Told:
    """What is stored of one import."""

    row: "ImportOperation"
    transitions: "list[StatusTransition]"
    alerts: "list[Alert]"


@dataclass(frozen=True)
class Believed:
    """An end as the answers told it, and the place of the look that showed it."""

    how: str
    look: int
    run: Run


class Judge:
    """Holds what is stored of a workspace against what really happened."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.faults: dict[str, list[str]] = {name: [] for name in FIGURES}
        self.imports = truth(life.workspace.log)
        self.looks = life.looks
        #: By id: the looks that showed more of it than any before, each with how much.
        self.shown: dict[str, list[tuple[int, int]]] = defaultdict(list)
        #: By look: the number of the newest import that was known then.
        self.newest: list[int] = []
        #: By look: how much had been shown of anything.
        self.reached: list[int] = []
        #: By look: for how long the workspace had been watched.
        self.watched: list[timedelta] = []
        self._read_looks()
        first = next(each for each in self.looks if each.good)
        self.known_since = first.began

    def _read_looks(self) -> None:
        newest, reached, watched = -1, 0, timedelta(0)
        before: Look | None = None
        for place, look in enumerate(self.looks):
            for remote_id, happened in look.shown.items():
                newest = max(newest, self.imports[remote_id].number)
                reached = max(reached, happened)
                views = self.shown[remote_id]
                if not views or views[-1][1] < happened:
                    views.append((place, happened))
            if before and before.good and look.good:
                watched += min(look.ended - before.ended, MOST_WATCHED)
            self.newest.append(newest)
            self.reached.append(reached)
            self.watched.append(watched)
            before = look

    def judge(self) -> dict[str, list[str]]:
        """Return by figure what is wrong."""
        stored = self._stored()
        knowable = {
            each.remote_id
            for each in self.imports.values()
            if each.started_at >= self.known_since or each.remote_id in self.shown
        }
        self.faults[MISSED] += [self._named(each) for each in sorted(knowable ^ stored.keys())]
        for remote_id in sorted(knowable & stored.keys()):
            self._judge_one(self.imports[remote_id], stored[remote_id])
        self._judge_workspace()
        self.life.keep({remote_id: told.row.finished_at for remote_id, told in stored.items()})
        self.faults[MOVED] += self.life.moved
        self.faults[OVERLAPS] += self.life.out_of_turn
        return self.faults

    def _stored(self) -> dict[str, Told]:
        from importmonitor.models import Alert, ImportOperation, StatusTransition

        rows = ImportOperation.objects.filter(workspace=self.life.name)
        stored = {row.pk: Told(row, [], []) for row in rows}
        of_mine = StatusTransition.objects.filter(operation__workspace=self.life.name)
        for transition in of_mine.order_by("pk"):
            stored[transition.operation_id].transitions.append(transition)
        alerts = Alert.objects.filter(workspace=self.life.name, operation__isnull=False)
        for alert in alerts.order_by("pk"):
            stored[alert.operation_id or 0].alerts.append(alert)
        return {told.row.remote_id: told for told in stored.values()}

    def _named(self, remote_id: str, *more: object) -> str:
        number = self.imports[remote_id].number if remote_id in self.imports else "made up"
        return " ".join(map(str, (self.life.name, f"#{number}", remote_id, *more)))

    def _fault(self, figure: str, truly: Import, *more: object) -> None:
        self.faults[figure].append(self._named(truly.remote_id, *more))

    def _judge_one(self, truly: Import, told: Told) -> None:
        ends = self._believed(truly)
        self._judge_outcome(truly, told, ends)
        self._judge_finished_at(truly, told)
        self._judge_transitions(truly, told, ends)
        self._judge_interrupted(truly, told)
        expected: Counter[str] = Counter(self._ends_to_tell(truly, ends))
        expected[Event.STARTED] = self._start_to_tell(truly)
        stalled = [each for each in told.transitions if each.reason == "stalled"]
        expected[Event.STALLED], expected[Event.RESUMED] = self._judge_stalls(truly, stalled)
        least, most = self._waits_to_tell(truly)
        alerts = Counter(alert.event for alert in told.alerts)
        expected[Event.WAITING] = min(max(alerts[Event.WAITING], least), most)
        self._compare_alerts(self._named(truly.remote_id), alerts, expected)
        self.faults[TWICE] += [
            self._named(truly.remote_id, alert.event, "sent", alert.attempts, "times")
            for alert in told.alerts
            if alert.attempts > 1
        ]

    def _compare_alerts(self, name: str, alerts: Counter[str], expected: Counter[str]) -> None:
        self.faults[TWICE] += [f"{name} {event}" for event in (alerts - expected).elements()]
        self.faults[UNTOLD] += [f"{name} {event}" for event in (expected - alerts).elements()]

    # Ends.

    def _believed(self, truly: Import) -> list[Believed]:
        """Return the ends of an import in the order in which the answers told them."""
        ends: list[Believed] = []
        views = self.shown[truly.remote_id]
        for run in truly.runs:
            if run.end is None:
                continue
            end = run.end
            shown = next((look for look, happened in views if happened > end), None)
            newer = self._first(self.newest, truly.number)
            hidden = None if newer is None else max(newer, views[0][0])
            first_run = run is truly.runs[0]
            if first_run and hidden is not None and (shown is None or hidden < shown):
                # The newer one was shown, this one was not: see the docstring of the module.
                ends.append(Believed("superseded", hidden, run))
            if shown is not None:
                followed = run.how == "interrupted" and self.newest[shown] > truly.number
                ends.append(Believed("superseded" if followed else run.how, shown, run))
        return [
            each
            for before, each in pairwise([None, *ends])
            if each and not (before and (before.how, before.run) == (each.how, each.run))
        ]

    @staticmethod
    def _first(values: list[int], more_than: int) -> int | None:
        """Return the place of the first value that is more; they never fall."""
        place = bisect_left(values, more_than + 1)
        return place if place < len(values) else None

    def _judge_outcome(self, truly: Import, told: Told, ends: list[Believed]) -> None:
        from importmonitor.outcomes import outcome

        found = outcome(told.row)
        expected: set[str | None] = {ends[-1].how if ends else None}
        if ends and ends[-1].how == "done":
            assert ends[-1].run.end is not None
            expected = {_flavour(truly.at(ends[-1].run.end + 1).count)}
            if truly.runs[-1] is not ends[-1].run:
                # It is at work again, and its counters are those of that.
                expected = {*DONES}
        if found not in expected:
            self._fault(OUTCOMES, truly, found, "and not", *expected)

    def _judge_finished_at(self, truly: Import, told: Told) -> None:
        run, found = truly.runs[0], told.row.finished_at
        if run.end is None:
            if found is not None:
                self._fault(FINISHED_AT, truly, found, "and is not over")
            return
        seen = max(
            each
            for each in (self._first(self.reached, run.end), self.shown[truly.remote_id][0][0])
            if each is not None
        )
        until = self.looks[seen].ended
        if found is None or not run.ended_at <= found <= until:
            self._fault(FINISHED_AT, truly, found, "and not", run.ended_at, "to", until)

    def _judge_transitions(self, truly: Import, told: Told, ends: list[Believed]) -> None:
        seen: Counter[tuple[str, str, str]] = Counter()
        ended = reopened = 0
        before = ""
        for each in told.transitions:
            if each.from_status != before:
                self._fault(DOUBLE, truly, f"{before} / {each.from_status} → {each.to_status}")
            before = each.to_status
            if each.from_status in FINISHED and each.to_status not in FINISHED:
                reopened += 1
                seen.clear()
            if each.reason not in ("stalled", "resumed"):
                seen[each.from_status, each.to_status, each.reason] += 1
            ended += each.to_status in FINISHED or each.reason in ("superseded", "invalidated")
        for key, count in seen.items():
            if count > 1:
                self._fault(DOUBLE, truly, *key, count, "times")
        if ended > len(ends):
            self._fault(DOUBLE, truly, ended, "ends, not", len(ends))
        if reopened > truly.prepared:
            self._fault(DOUBLE, truly, reopened, "times reopened, not", truly.prepared)
        if before != told.row.status:
            self._fault(DOUBLE, truly, f"ends with {before}, and is {told.row.status}")

    def _judge_interrupted(self, truly: Import, told: Told) -> None:
        said = [each.observed_at for each in told.transitions if each.reason == "invalidated"]
        said += [each.created_at for each in told.alerts if each.event == Event.INTERRUPTED]
        if told.row.end_reason == "interrupted" and told.row.finished_at:
            said.append(self.looks[-1].ended)
        for at in said:
            if not any(run.how == "interrupted" and run.ended_at <= at for run in truly.runs):
                self._fault(FALSE_INTERRUPTED, truly, at)

    # Events.

    def _is_past(self, truly: Import) -> bool:
        return truly.started_at < self.known_since

    def _ends_to_tell(self, truly: Import, ends: list[Believed]) -> Iterator[str]:
        """Return the events of the ends: not twice the same, and none for the past."""
        before = ""
        for end in ends:
            event = {"failed": Event.FAILED, "interrupted": Event.INTERRUPTED}.get(
                end.how, Event.FINISHED
            )
            past = self._is_past(truly) and end.look == self.shown[truly.remote_id][0][0]
            if event != before and not past:
                yield event
            before = event

    def _start_to_tell(self, truly: Import) -> int:
        """Return 1 if it was new, and going, when it was shown for the first time."""
        look, happened = self.shown[truly.remote_id][0]
        newest = self.newest[look] == truly.number
        return int(not self._is_past(truly) and newest and truly.is_going(happened))

    def _known(self, truly: Import, look: int) -> int:
        """Return how much had been shown of an import by a look, or 0."""
        views = self.shown[truly.remote_id]
        place = bisect_left(views, (look + 1, 0))
        return views[place - 1][1] if place else 0

    def _looks_in(self, truly: Import, still: Standstill) -> tuple[int, int] | None:
        """Return the first and the last look by which one was known to stand still there."""
        views = self.shown[truly.remote_id]
        began = next((look for look, happened in views if happened > still.begin), None)
        if began is None or self._known(truly, began) > still.end:
            return None
        later = next((look for look, happened in views if happened > still.end), len(self.looks))
        # The one that shows the next import tells of the end, even if it does not show this one.
        newer = self._first(self.newest, truly.number)
        last = min(later, len(self.looks) if newer is None else newer) - 1
        while last > began and not self.looks[last].good:
            last -= 1
        return (began, last) if last >= began else None

    def _judge_stalls(
        self, truly: Import, transitions: "list[StatusTransition]"
    ) -> tuple[int, int]:
        """Return how often it is to be told that it stalled, and that it moves again."""
        stalled: Counter[int] = Counter()
        resumed = 0
        for each in transitions:
            look = self._look_at(each.observed_at)
            still = truly.standstill(self._known(truly, look))
            if still is None or each.observed_at - still.since < STALLED_AFTER:
                self._fault(FALSE_STALLS, truly, each.observed_at, still)
                continue
            stalled[still.begin] += 1
            if stalled[still.begin] == 1 and still.resumed:
                seen = next(
                    (see for see in self.shown[truly.remote_id] if see[1] > still.end), None
                )
                if seen and truly.is_going(seen[1]) and self.newest[seen[0]] == truly.number:
                    resumed += 1
        for still in truly.standstills:
            if still.status in (NEW, USER_SELECTION):
                continue
            looks = self._looks_in(truly, still)
            if looks is None or stalled[still.begin]:
                continue
            watched = self.watched[looks[1]] - self.watched[looks[0]]
            if watched >= STALLED_AFTER + A_LOOK:
                self._fault(MISSED_STALLS, truly, still, "watched for", watched)
        self.life.did["stalls told"] += len(stalled)
        return len(stalled), resumed

    def _look_at(self, moment: datetime) -> int:
        """Return the place of the last good look that went on at a moment."""
        for place in range(len(self.looks) - 1, -1, -1):
            look = self.looks[place]
            if look.good and look.began <= moment <= look.ended:
                return place
        raise LookupError(moment)

    def _waits_to_tell(self, truly: Import) -> tuple[int, int]:
        """Return how often it must, and how often it may be told that somebody is waited for."""
        least = most = 0
        for still in truly.standstills:
            if not still.first_run or still.status not in (NEW, USER_SELECTION):
                continue
            if looks := self._looks_in(truly, still):
                first, last = self.looks[looks[0]], self.looks[looks[1]]
                least += last.began - first.ended >= WAITING_AFTER
                most += last.ended - first.began >= WAITING_AFTER
        return least, most

    def _judge_workspace(self) -> None:
        from importmonitor.models import Alert

        expected: Counter[str] = Counter()
        since: datetime | None = None
        told = False
        for look in self.looks:
            if look.good:
                expected[Event.RECOVERED] += told
                since, told = None, False
                continue
            since = since or look.ended
            if not told and look.ended - since >= UNREACHABLE_AFTER:
                told = True
                expected[Event.UNREACHABLE] += 1
        mine = Alert.objects.filter(workspace=self.life.name, operation=None)
        alerts = Counter(mine.values_list("event", flat=True))
        self._compare_alerts(self.life.name, alerts, expected)


def _flavour(count: Mapping[str, Any]) -> str:
    if count.get("error"):
        return "done_with_errors"
    total, completed = count.get("total"), count.get("completed")
    if total is not None and completed is not None and completed < total:
        return "done_short"
    return "done"


# --------------------------------------------------------------------------------------------


@dataclass
class Year:
    """What came out."""

    faults: dict[str, list[str]]
    did: Counter[str]

    @property
    def holds(self) -> bool:
        """Whether every figure is 0."""
        return not any(self.faults.values())


def live(imports: int, seed: int, workspaces: int | None = None) -> Year:
    """Live through so many imports, and judge. `configuration` is to be in force."""
    from importmonitor.models import Alert, ImportOperation, StatusTransition

    workspaces = workspaces or workspaces_for(imports)
    year = Year({name: [] for name in FIGURES}, Counter())
    for number in range(workspaces):
        share = imports // workspaces + (number < imports % workspaces)
        life = Life(alias(number), f"{seed}/{number}", share)
        life.live()
        for name, faults in Judge(life).judge().items():
            year.faults[name] += faults
        year.did += life.did
    year.did["operations"] = ImportOperation.objects.count()
    year.did["transitions"] = StatusTransition.objects.count()
    year.did["alerts"] = Alert.objects.count()
    for reason, count in Counter(
        ImportOperation.objects.values_list("end_reason", flat=True)
    ).items():
        year.did[f"ended: {reason or 'not'}"] = count
    return year


def workspaces_for(imports: int) -> int:
    """Return among how many workspaces so many imports are dealt."""
    return max(1, math.ceil(imports / A_YEARS))


def main() -> int:
    """Live through a year and print what is wrong; return the exit status."""
    parser = argparse.ArgumentParser(description="Hold a year of imports against the truth.")
    parser.add_argument("--imports", type=int, default=3000, help="how many (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="where chance comes from (default: 0)")
    options = parser.parse_args()
    imports = max(options.imports, 1)
    set_up()
    from django.core.management import call_command
    from django.test.utils import override_settings

    call_command("migrate", verbosity=0)
    # What is loaded by now stays: the collector need not look at it again and again.
    gc.freeze()
    began = time.perf_counter()
    with override_settings(IMPORTMONITOR=configuration(workspaces_for(imports))):
        year = live(imports, options.seed)
    report(year, time.perf_counter() - began)
    return 0 if year.holds else 1


def set_up() -> None:
    """Set Django up with a database that is gone when this process is."""
    for name in [name for name in os.environ if name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_"))]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only for the benchmark",
        "DATABASE_URL": "sqlite://:memory:",
    }
    django.setup()
    # Every outage is a warning, and there are to be some.
    logging.getLogger("importmonitor").setLevel(logging.CRITICAL)


def report(year: Year, seconds: float) -> None:
    """Print what the year was made of, and every figure beside its goal."""
    for what, count in sorted(year.did.items()):
        print(f"{what:<40}{count:>8}")
    print()
    for name, faults in year.faults.items():
        print(
            f"{name:<40}{len(faults):>8}   goal: 0   {'holds' if not faults else 'does NOT hold'}"
        )
        for each in faults[:5]:
            print(f"    {each}")
    print(
        f"\n{year.did['polls']} polls, {year.did['operations']} operations, {seconds:.0f} seconds"
    )


if __name__ == "__main__":
    # The alerts' channel is found by the module's real name, in which there is to be but one.
    from benchmarks.year import main as main_of_the_module

    sys.exit(main_of_the_module())
