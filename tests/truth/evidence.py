"""What the responses showed of what actually happened: the most that can be known."""

from bisect import bisect_left
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from simulator.kinds import FILE_LOADED, FINISHED, NEW, USER_SELECTION
from tests.truth.conf import STALLED_AFTER
from tests.truth.imports import Import, Run, Standstill, is_importing, progress, read_log
from tests.truth.poller import Poller

if TYPE_CHECKING:
    from tests.truth.observations import Observation

#: Of the time between two polls, at most this counts as watched.
MAX_WATCHED = STALLED_AFTER / 2
#: So many polls until the offset of a clock that was set is known.
CLOCK_POLLS = 3
#: Nothing can be told to run at these steps.
RESTING = (NEW, FILE_LOADED, USER_SELECTION)
#: Pending files and avatars that were silent for this long, and are invalid, were killed.
MAX_SILENCE = timedelta(hours=12)


class Evidence:
    """What the polls of a workspace have shown, and when; polls are numbered from 0."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.log = poller.workspace.log
        self.imports = read_log(self.log, poller.kinds, poller.workspace.era)
        self.in_order = sorted(self.imports.values(), key=lambda actual: actual.number)
        self.polls = poller.observations
        #: By id: the polls that showed more of the import than any before, each with the length of
        #: the log that it showed.
        self.shown: dict[str, list[tuple[int, int]]] = defaultdict(list)
        #: By poll: the number of the newest import known.
        self.newest: list[int] = []
        #: By poll: for how long the workspace had been watched.
        self.watched: list[timedelta] = []
        self._read_polls()
        self.known_since = next(poll for poll in self.polls if poll.good).began

    def _read_polls(self) -> None:
        newest, watched = -1, timedelta(0)
        before: Observation | None = None
        for number, poll in enumerate(self.polls):
            for remote_id, happened in poll.shown.items():
                newest = max(newest, self.imports[remote_id].number)
                views = self.shown[remote_id]
                if not views or views[-1][1] < happened:
                    views.append((number, happened))
            if before and before.good and poll.good:
                watched += min(poll.ended - before.ended, MAX_WATCHED)
            self.newest.append(newest)
            self.watched.append(watched)
            before = poll

    def is_past(self, actual: Import) -> bool:
        """Return whether it started before the first poll."""
        return actual.started_at < self.known_since

    def is_hidden(self, actual: Import, poll: int) -> bool:
        """Return whether a poll knew that a newer import had taken its place."""
        is_newest = self.newest[poll] <= actual.number
        return not is_newest and self.polls[poll].current_id != actual.remote_id

    def first_shown(self, actual: Import, place: int | None) -> int | None:
        """Return the first poll that showed what happened to an import at a place of the log."""
        if place is None:
            return None
        return next(
            (poll for poll, happened in self.shown[actual.remote_id] if happened > place), None
        )

    def known(self, actual: Import, poll: int) -> int:
        """Return the length of the log that a poll, or one before it, showed of an import, or 0."""
        views = self.shown[actual.remote_id]
        place = bisect_left(views, (poll + 1, 0))
        return views[place - 1][1] if place else 0

    def was_seen_invalid(self, actual: Import, run: Run) -> bool:
        """Return whether a poll showed it invalid before Rocket.Chat called it ended."""
        if run.invalid is None or run.word is None:
            return run.invalid is not None
        return any(
            run.invalid < happened <= run.word for _, happened in self.shown[actual.remote_id]
        )

    def successor(self, actual: Import) -> Import | None:
        """Return the next import that polls have shown."""
        later = self.in_order[actual.number + 1 :]
        return next((one for one in later if one.remote_id in self.shown), None)

    def is_clock_unknown(self, since: datetime, poll: int) -> bool:
        """Return whether Rocket.Chat's clock was set after a time, or just before a poll.

        It is known some polls later, and by then what it said before is not.
        """
        before = [step for step in self.poller.clock_steps if step <= self.polls[poll].ended]
        if before[-1] >= since:
            return True
        later = [one for one in self.polls[: poll + 1] if one.good and one.began >= before[-1]]
        return len(later) < CLOCK_POLLS

    def is_going(self, actual: Import, happened: int, *, is_hidden: bool = False) -> bool:
        """Return whether a response says of an import that it is not over."""
        entry = actual.at(happened)
        if entry.status in FINISHED:
            return False
        if entry.valid or actual.is_pending:
            return not (is_hidden and entry.status in RESTING)
        if not actual.runs_on or not is_importing(entry):
            return False
        # Up to 6.2, what has moved since it was first shown invalid runs on.
        views = [actual.at(view) for _, view in self.shown[actual.remote_id] if view <= happened]
        invalid = next(view for view in views if not view.valid)
        return progress(invalid) != progress(entry)

    def seems_killed(self, actual: Import, poll: int) -> bool:
        """Return whether it was silent for so long that it seems to be killed.

        Nothing else tells one from one that runs on while it is invalid, or behind a newer one.
        """
        happened = self.known(actual, poll)
        entry = actual.at(happened)
        may_run_on = actual.is_pending if not entry.valid else self.is_hidden(actual, poll)
        if not (actual.runs_on and may_run_on) or entry.status in FINISHED:
            return False
        views = self.shown[actual.remote_id]
        first = next(
            number for number, view in views if progress(actual.at(view)) == progress(entry)
        )
        # The first time that it is shown, `_updatedAt` is all that there is.
        is_new = poll == views[0][0]
        since = self.polls[first].ended
        if is_new:
            since = max(self.last_bulk_write(happened), self._last_write(actual, happened))
        return self.polls[poll].ended - since >= MAX_SILENCE

    def last_bulk_write(self, happened: int) -> datetime:
        """Return when all imports were last invalidated, by the time the log had that length."""
        events = {"restarted", "instance-started", "cleared"}
        if self.poller.workspace.era.aborts_invalid_imports:
            events.add("started")
        entries = self.log[happened - 1 :: -1]
        return next((entry.at for entry in entries if entry.event in events), self.log[0].at)

    def _last_write(self, actual: Import, happened: int) -> datetime:
        entries = actual.entries[: bisect_left(actual.places, happened)]
        return [entry.at for entry in entries if entry.event != "killed"][-1]

    def polls_during(self, actual: Import, standstill: Standstill) -> tuple[int, int] | None:
        """Return the first and the last poll at which a current import was known to stand still."""
        began = self.first_shown(actual, standstill.begin)
        if began is None or self.known(actual, began) > standstill.end:
            return None
        last = None
        for number in range(began, len(self.polls)):
            poll = self.polls[number]
            if not poll.good:
                continue
            is_current = poll.current_id == actual.remote_id
            happened = self.known(actual, number)
            if last is None and not is_current and self.newest[number] <= actual.number:
                # The list has it already. It is current by now.
                continue
            if not is_current or happened > standstill.end:
                break
            if not self.is_going(actual, happened) or self.seems_killed(actual, number):
                break
            last = number
        return None if last is None else (began, last)

    def poll_at(self, moment: datetime) -> int:
        """Return the last successful poll that was under way at a moment."""
        for number in range(len(self.polls) - 1, -1, -1):
            poll = self.polls[number]
            if poll.good and poll.began <= moment <= poll.ended:
                return number
        raise LookupError(moment)
