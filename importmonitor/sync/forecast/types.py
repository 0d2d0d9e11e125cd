"""What a forecast is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from importmonitor.sync.rate import Sample
from importmonitor.sync.speeds import FINISHING, STARTED, STEPS, Counts, Transition

SELECTION = "importer_user_selection"
#: A year: longer than any import, so a longer forecast is none.
MAX_SECONDS = 365 * 86_400.0


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


class Part(NamedTuple):
    """Something that is left to do: its seconds, and the variances of their logarithm.

    The error of `common` is the same in all parts, that of `own` in this one alone.
    """

    seconds: float
    common: float
    own: float
    basis: str = ""


def position(status: str) -> int:
    """Return a step's place among those that handle records; an unknown step is the last."""
    if status in STEPS:
        return STEPS.index(status)
    return -1 if status in (SELECTION, STARTED) else len(STEPS)


def is_known(status: str) -> bool:
    """Return whether a step's place in an import is known."""
    return status in (*STEPS, SELECTION, STARTED, FINISHING)
