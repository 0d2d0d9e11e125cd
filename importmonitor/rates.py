"""How fast an import goes, by the counters that polls have seen: arithmetic, and nothing else."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, combinations
from typing import NamedTuple

# With less than this, the result would tell more of when the polls looked than of the import.
_FEWEST = 3
_SHORTEST = 60.0

# Every pair of points is looked at, so there must not be many.
_MOST = 40


class Sample(NamedTuple):
    """The counters of an operation as a poll saw them."""

    at: datetime
    completed: int
    error: int
    total: int | None


class _Point(NamedTuple):
    """How many records had been handled so many seconds after the first sample."""

    seconds: float
    records: int


def rate(samples: Sequence[Sample]) -> float | None:
    """Return how many records a second are handled of late, or None while that cannot be said.

    `samples` are those of the present step, oldest first: steps differ in speed. A record that
    failed is handled too. The result is positive and finite.
    """
    points = _never_falling(samples)
    if len(points) < _FEWEST or points[-1].seconds - points[0].seconds < _SHORTEST:
        return None
    return _slope(_thinned(_later_half(points))) or None


def _never_falling(samples: Sequence[Sample]) -> list[_Point]:
    """Return the points that no later one falls below.

    Where a counter went back, what it had counted before says nothing of the way that is left.
    """
    points: list[_Point] = []
    for sample in reversed(samples):
        records = sample.completed + sample.error
        if not points or records <= points[-1].records:
            points.append(_Point((sample.at - samples[0].at).total_seconds(), records))
    return points[::-1]


def _later_half(points: list[_Point]) -> list[_Point]:
    """Return the later half by time, from the last point at or before the middle on.

    A part of the whole and no number of minutes: bursts can be seconds or hours apart, and there
    must be some of them in it; whereas of an import that slows down the beginning misleads.
    """
    middle = (points[0].seconds + points[-1].seconds) / 2
    return points[max(i for i, point in enumerate(points) if point.seconds <= middle) :]


def _thinned(points: list[_Point]) -> list[_Point]:
    """Return at most `_MOST` of the points, the first and the last among them."""
    if len(points) <= _MOST:
        return points
    return [points[i * (len(points) - 1) // (_MOST - 1)] for i in range(_MOST)]


def _slope(points: list[_Point]) -> float:
    """Return the median of the slopes between all points, each weighted by the time it spans.

    That is Theil and Sen's slope, which a single wrong point does not move, but for the weights:
    in a burst there are many points, and they would outvote the pauses between bursts.
    """
    slopes = sorted(
        ((b.records - a.records) / (b.seconds - a.seconds), b.seconds - a.seconds)
        for a, b in combinations(points, 2)
        if b.seconds > a.seconds
    )
    spans = list(accumulate(span for _, span in slopes))
    return slopes[bisect_left(spans, spans[-1] / 2)][0]
