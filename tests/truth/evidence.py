"""What the responses showed of what actually happened: the most that can be known."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.truth.conf import STALLED_AFTER
from tests.truth.imports import Import, Run, Standstill, read_log
from tests.truth.poller import Poller

if TYPE_CHECKING:
    from tests.truth.observations import Observation

#: Of the time between two polls, at most this counts as watched.
MAX_WATCHED = STALLED_AFTER / 2


@dataclass(frozen=True)
class ShownEnd:
    """An end as the responses showed it, and the number of the poll that showed it."""

    how: str
    poll: int
    run: Run


class Evidence:
    """What the polls of a workspace have shown, and when; polls are numbered from 0."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.imports = read_log(poller.workspace.log)
        self.polls = poller.observations
        #: By id: the polls that showed more of the import than any before, each with the length of
        #: the log that it showed.
        self.shown: dict[str, list[tuple[int, int]]] = defaultdict(list)
        #: By poll: the number of the newest import known.
        self.newest: list[int] = []
        #: By poll: the length of the log that had been shown of any import.
        self.reached: list[int] = []
        #: By poll: for how long the workspace had been watched.
        self.watched: list[timedelta] = []
        self._read_polls()
        self.known_since = next(poll for poll in self.polls if poll.good).began

    def _read_polls(self) -> None:
        newest, reached, watched = -1, 0, timedelta(0)
        before: Observation | None = None
        for number, poll in enumerate(self.polls):
            for remote_id, happened in poll.shown.items():
                newest = max(newest, self.imports[remote_id].number)
                reached = max(reached, happened)
                views = self.shown[remote_id]
                if not views or views[-1][1] < happened:
                    views.append((number, happened))
            if before and before.good and poll.good:
                watched += min(poll.ended - before.ended, MAX_WATCHED)
            self.newest.append(newest)
            self.reached.append(reached)
            self.watched.append(watched)
            before = poll

    def is_past(self, actual: Import) -> bool:
        """Return whether it started before the first poll."""
        return actual.started_at < self.known_since

    def shown_ends(self, actual: Import) -> list[ShownEnd]:
        """Return the ends of an import in the order in which the responses showed them."""
        ends: list[ShownEnd] = []
        views = self.shown[actual.remote_id]
        for run in actual.runs:
            if run.end is None:
                continue
            end = run.end
            shown = next((poll for poll, happened in views if happened > end), None)
            newer = self.first_above(self.newest, actual.number)
            hidden = None if newer is None else max(newer, views[0][0])
            is_first_run = run is actual.runs[0]
            if is_first_run and hidden is not None and (shown is None or hidden < shown):
                # The newer import was shown, and this one was not: see the package's docstring.
                ends.append(ShownEnd("superseded", hidden, run))
            if shown is not None:
                was_followed = run.how == "interrupted" and self.newest[shown] > actual.number
                ends.append(ShownEnd("superseded" if was_followed else run.how, shown, run))
        return [
            end
            for before, end in pairwise([None, *ends])
            if end and not (before and (before.how, before.run) == (end.how, end.run))
        ]

    @staticmethod
    def first_above(values: list[int], bound: int) -> int | None:
        """Return the place of the first greater value; the values never decrease."""
        place = bisect_left(values, bound + 1)
        return place if place < len(values) else None

    def known(self, actual: Import, poll: int) -> int:
        """Return the length of the log that a poll, or one before it, showed of an import, or 0."""
        views = self.shown[actual.remote_id]
        place = bisect_left(views, (poll + 1, 0))
        return views[place - 1][1] if place else 0

    def polls_during(self, actual: Import, standstill: Standstill) -> tuple[int, int] | None:
        """Return the first and the last poll at which an import was known to stand still."""
        views = self.shown[actual.remote_id]
        began = next((poll for poll, happened in views if happened > standstill.begin), None)
        if began is None or self.known(actual, began) > standstill.end:
            return None
        later = next(
            (poll for poll, happened in views if happened > standstill.end), len(self.polls)
        )
        # The poll that shows the next import shows the end too, even if it does not show this one.
        newer = self.first_above(self.newest, actual.number)
        last = min(later, len(self.polls) if newer is None else newer) - 1
        while last > began and not self.polls[last].good:
            last -= 1
        return (began, last) if last >= began else None

    def poll_at(self, moment: datetime) -> int:
        """Return the last successful poll that was under way at a moment."""
        for number in range(len(self.polls) - 1, -1, -1):
            poll = self.polls[number]
            if poll.good and poll.began <= moment <= poll.ended:
                return number
        raise LookupError(moment)
