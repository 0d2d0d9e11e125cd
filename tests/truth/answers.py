"""What the answers told of what really happened: all that can be asked for."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.truth.conf import STALLED_AFTER
from tests.truth.life import Life
from tests.truth.truth import Import, Run, Standstill, truth

if TYPE_CHECKING:
    from tests.truth.looks import Observation

#: Of the time between two looks, no more counts as watched.
MOST_WATCHED = STALLED_AFTER / 2


@dataclass(frozen=True)
class Believed:
    """An end as the answers told it, and the place of the look that showed it."""

    how: str
    look: int
    run: Run


class Answers:
    """What the looks at a workspace have shown, and when."""

    def __init__(self, life: Life) -> None:
        self.life = life
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
        before: Observation | None = None
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

    def is_past(self, truly: Import) -> bool:
        """Tell whether it began before the first look."""
        return truly.started_at < self.known_since

    def believed(self, truly: Import) -> list[Believed]:
        """Return the ends of an import in the order in which the answers told them."""
        ends: list[Believed] = []
        views = self.shown[truly.remote_id]
        for run in truly.runs:
            if run.end is None:
                continue
            end = run.end
            shown = next((look for look, happened in views if happened > end), None)
            newer = self.first(self.newest, truly.number)
            hidden = None if newer is None else max(newer, views[0][0])
            first_run = run is truly.runs[0]
            if first_run and hidden is not None and (shown is None or hidden < shown):
                # The newer one was shown, this one was not: see the docstring of the package.
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
    def first(values: list[int], more_than: int) -> int | None:
        """Return the place of the first value that is more; they never fall."""
        place = bisect_left(values, more_than + 1)
        return place if place < len(values) else None

    def known(self, truly: Import, look: int) -> int:
        """Return how much had been shown of an import by a look, or 0."""
        views = self.shown[truly.remote_id]
        place = bisect_left(views, (look + 1, 0))
        return views[place - 1][1] if place else 0

    def looks_in(self, truly: Import, still: Standstill) -> tuple[int, int] | None:
        """Return the first and the last look by which one was known to stand still there."""
        views = self.shown[truly.remote_id]
        began = next((look for look, happened in views if happened > still.begin), None)
        if began is None or self.known(truly, began) > still.end:
            return None
        later = next((look for look, happened in views if happened > still.end), len(self.looks))
        # The one that shows the next import tells of the end, even if it does not show this one.
        newer = self.first(self.newest, truly.number)
        last = min(later, len(self.looks) if newer is None else newer) - 1
        while last > began and not self.looks[last].good:
            last -= 1
        return (began, last) if last >= began else None

    def fetch_snapshot(self, moment: datetime) -> int:
        """Return the place of the last good look that went on at a moment."""
        for place in range(len(self.looks) - 1, -1, -1):
            look = self.looks[place]
            if look.good and look.began <= moment <= look.ended:
                return place
        raise LookupError(moment)
