"""The rate of an import, from the counters that polls have recorded."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, combinations
from typing import NamedTuple

# With less than this, the result says more about the times of the polls than about the import.
_MIN_POINTS = 3
_MIN_SECONDS = 60.0

# Every pair of points is compared, so there must not be many.
_MAX_POINTS = 40


class Sample(NamedTuple):
    """The counters of an operation at a poll."""

    at: datetime
    completed: int
    error: int
    total: int | None


class Point(NamedTuple):
    """The number of records handled, or a measure of the work done, and the seconds until then."""

    seconds: float
    records: float


def records_per_second(samples: Sequence[Sample]) -> float | None:
    """Return how many records are handled per second at present, or None if that is unknown.

    `samples` are those of the present step, oldest first: steps differ in speed. A record that
    failed counts as handled. The result is positive and finite.
    """
    points = _points(samples)
    if len(points) < _MIN_POINTS or points[-1].seconds - points[0].seconds < _MIN_SECONDS:
        return None
    return slope(later_half(points)) or None


def _points(samples: Sequence[Sample]) -> list[Point]:
    return non_decreasing(
        [
            Point((sample.at - samples[0].at).total_seconds(), sample.completed + sample.error)
            for sample in samples
        ]
    )


def non_decreasing(points: Sequence[Point]) -> list[Point]:
    """Return the points that no later one is below.

    After a counter went back, its earlier values say nothing about the records that are left.
    """
    kept: list[Point] = []
    for point in reversed(points):
        if not kept or point.records <= kept[-1].records:
            kept.append(point)
    return kept[::-1]


def later_half(points: list[Point]) -> list[Point]:
    """Return the later half by time, from the last point at or before the middle.

    A part of the whole and not a number of minutes: bursts can be seconds or hours apart, and some
    of them must be in it. Not the whole: when an import slows down, its beginning misleads.
    """
    middle = (points[0].seconds + points[-1].seconds) / 2
    return points[max(i for i, point in enumerate(points) if point.seconds <= middle) :]


def _thin(points: list[Point]) -> list[Point]:
    """Return at most `_MAX_POINTS` of the points, among them the first and the last."""
    if len(points) <= _MAX_POINTS:
        return points
    return [points[i * (len(points) - 1) // (_MAX_POINTS - 1)] for i in range(_MAX_POINTS)]


def slope(points: list[Point]) -> float:
    """Return the median of the slopes between all points, each weighted by the time it spans.

    That is the Theil-Sen estimator, which a single wrong point does not move, but for the weights:
    a burst has many points, which would outvote the pauses between bursts.
    """
    slopes = sorted(
        ((b.records - a.records) / (b.seconds - a.seconds), b.seconds - a.seconds)
        for a, b in combinations(_thin(points), 2)
        if b.seconds > a.seconds
    )
    spans = list(accumulate(span for _, span in slopes))
    return slopes[bisect_left(spans, spans[-1] / 2)][0]
