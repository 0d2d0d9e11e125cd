"""How fast a finished import handled each of its steps: what a forecast learns from."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import NamedTuple

from importmonitor.sync.rate import Sample

USERS, CONTACTS, CHANNELS, MESSAGES, FILES = STEPS = tuple(
    f"importer_importing_{kind}" for kind in ("users", "contacts", "channels", "messages", "files")
)
"""The steps that handle records, in Rocket.Chat's order (contacts since a 7.x)."""

STARTED, FINISHING = "importer_importing_started", "importer_finishing"

#: How many imports are learned from at most, the newest.
MAX_IMPORTS = 10

# The shares of a step's records at which a curve has its times: 0.1, 0.2, … 0.9.
_TENTHS = [tenth / 10 for tenth in range(1, 10)]
# With fewer, a curve would say more about the counter's strides than about the speed.
_MIN_CURVE_POINTS = 12


class Transition(NamedTuple):
    """A change of an import's status, and the counters then."""

    at: datetime
    status: str
    completed: int | None = None
    error: int | None = None
    total: int | None = None

    @property
    def handled(self) -> int:
        """The number of records handled, failed ones included."""
        return handled(self.completed, self.error)


class Counts(NamedTuple):
    """Rocket.Chat's counters of an import, None where it sent none."""

    total: int | None = None
    completed: int | None = None
    error: int | None = None
    users: int | None = None
    channels: int | None = None
    messages: int | None = None
    contacts: int | None = None

    @property
    def handled(self) -> int:
        """The number of records handled, failed ones included."""
        return handled(self.completed, self.error)


class StepSpeed(NamedTuple):
    """The seconds that a step of a finished import took for its records.

    `records` is 0 for a step that handles none, `importer_importing_started` for instance. `curve`
    is the share of the seconds that had passed at each tenth of the records, 0.1 to 0.9; empty if
    there were too few samples.
    """

    step: str
    records: int
    seconds: float
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PastImport:
    """What a finished import teaches; `growth` is its last total by the one first announced."""

    workspace: str
    importer_key: str
    steps: tuple[StepSpeed, ...]
    growth: float = 1.0


class Span(NamedTuple):
    """A step, from its first transition to the next step's; `end` is None for the present step.

    `is_whole` is whether its beginning was observed: not if it was the first thing ever seen.
    """

    start: Transition
    end: Transition | None
    is_whole: bool


def handled(completed: int | None, error: int | None) -> int:
    """Return how many records were handled: never negative, whatever the counters say."""
    return max(completed or 0, 0) + max(error or 0, 0)


def learn(
    workspace: str,
    importer_key: str,
    transitions: Sequence[Transition],
    counts: Counts,
    samples: Sequence[Sample] = (),
) -> PastImport:
    """Return what a finished import teaches, from its transitions and samples, oldest first.

    Where it ran more than once (Rocket.Chat's prepare page reopens it), the last run counts.
    """
    spans = step_spans(transitions)
    speeds = tuple(_speeds(spans, counts, samples))
    return PastImport(workspace, importer_key, speeds, _growth(spans, counts))


def step_spans(transitions: Sequence[Transition]) -> list[Span]:
    """Return the steps of the last run, from `importing_started` to what followed `finishing`."""
    starts: list[Transition] = []
    end: Transition | None = None
    for transition in transitions:
        if not is_importing(transition.status):
            end = end or (transition if starts else None)
            continue
        if end is not None:
            starts, end = [], None
        # A stall and its end are transitions too, from a step to itself.
        if not starts or starts[-1].status != transition.status:
            starts.append(transition)
    return [
        Span(start, following, is_whole=start is not transitions[0])
        for start, following in zip_longest(starts, starts[1:], fillvalue=end)
        if start is not None
    ]


def observed_speeds(spans: Sequence[Span], counts: Counts) -> list[StepSpeed]:
    """Return the speeds of those steps that were observed from beginning to end."""
    return list(_speeds(spans, counts, ()))


def is_importing(status: str) -> bool:
    """Return whether Rocket.Chat imports records in this step, or is about to, or just has."""
    return status == FINISHING or status.startswith("importer_importing_")


def _speeds(
    spans: Sequence[Span], counts: Counts, samples: Sequence[Sample]
) -> Iterator[StepSpeed]:
    for start, end, is_whole in spans:
        if end is None or not is_whole:
            continue
        seconds = (end.at - start.at).total_seconds()
        records = max(end.handled - start.handled, 0)
        if start.status == USERS and (counts.users or 0) > 0:
            # Since a 7.x, users are counted again at the end of their step (sheet, section 2).
            records = min(records, counts.users or 0)
        if seconds >= 0:
            curve = _curve(start, end, records, samples)
            yield StepSpeed(start.status, records, seconds, curve)


def _curve(
    start: Transition, end: Transition, records: int, samples: Sequence[Sample]
) -> tuple[float, ...]:
    """Return the share of the time that had passed at each tenth of the records."""
    seconds = (end.at - start.at).total_seconds()
    points = [(0.0, 0.0)]
    for sample in samples:
        if records > 0 and start.at < sample.at < end.at:
            share = (handled(sample.completed, sample.error) - start.handled) / records
            # Counters can go back, and on past the step's records.
            if points[-1][0] < share < 1:
                points.append((share, (sample.at - start.at).total_seconds() / seconds))
    if len(points) < _MIN_CURVE_POINTS:
        return ()
    points.append((1.0, 1.0))
    return tuple(interpolate(points, tenth) for tenth in _TENTHS)


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return y at x, on straight lines between points of increasing x, and level outside them."""
    index = bisect_left(points, x, key=lambda point: point[0])
    if index == 0 or index == len(points):
        return points[max(index - 1, 0)][1]
    (x0, y0), (x1, y1) = points[index - 1], points[index]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _growth(spans: Sequence[Span], counts: Counts) -> float:
    """Return by what the total announced at the beginning was multiplied in the end."""
    announced = spans[0].start.total if spans and spans[0].is_whole else None
    if not announced or announced < 0 or not counts.total or counts.total <= announced:
        return 1.0
    return counts.total / announced
