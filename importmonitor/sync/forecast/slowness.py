"""How slow an import is, by the work that it has done in some time."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from importmonitor.sync.rate import Point, later_half, slope

#: The error of a duration that begins and ends between polls.
POLL_SECONDS = 20.0


class Observation(NamedTuple):
    """The logarithm of a slowness: seconds by those expected; and the variance of its error.

    `scatter` is the variance of the future, which no observation makes smaller.
    """

    value: float
    variance: float
    scatter: float = 0.0


def posterior(variance: float, observations: Sequence[Observation]) -> Observation:
    """Return the slowness by observations, and by the imports before, whose slowness is 0."""
    value = 0.0
    for _ in range(2):
        weight = 1 / variance + sum(1 / known.variance for known in observations)
        value = sum(known.value / known.variance for known in observations) / weight
        # An import that is this much unlike those before makes them a bad guide.
        variance = max(variance, value**2)
    return Observation(value, 1 / weight)


def poll_noise(seconds: float) -> float:
    return 0.0009 + (POLL_SECONDS / max(seconds, 1.0)) ** 2


def exp(value: float) -> float:
    return math.exp(min(max(value, -50.0), 50.0))


def distance(seconds: Sequence[float], work: Sequence[float]) -> float:
    """Return how far from a straight line the work is that was done in some time."""
    if work[-1] <= work[0] or seconds[-1] <= seconds[0]:
        return 0.0
    return sum(
        (
            (second - seconds[0]) / (seconds[-1] - seconds[0])
            - (one - work[0]) / (work[-1] - work[0])
        )
        ** 2
        for second, one in zip(seconds, work, strict=True)
    )


def observe(points: list[Point], rest: float) -> Observation | None:
    """Return the slowness to be expected of some more work, from points of the work done."""
    if not points or points[-1].records <= points[0].records:
        return None
    seconds = points[-1].seconds - points[0].seconds
    if seconds <= 0:
        return None
    done = points[-1].records - points[0].records
    later = later_half(points)
    rate = slope(later) or done / seconds
    blocks = _blocks(points)
    trend = _trend(blocks)
    middle = (later[0].records + later[-1].records) / 2
    change = trend.factor(middle, points[-1].records + rest / 2)
    moves = sum(a.records < b.records for a, b in pairwise(points))
    scatter = trend.scatter(blocks)
    width = done / len(blocks)
    variance = poll_noise(seconds) + scatter / len(blocks) + 0.5 / moves**2
    future = scatter * width / max(rest, width) + (0.4 * change) ** 2
    return Observation(change - math.log(rate), variance, future)


class _Block(NamedTuple):
    """A part of the work done: its middle, and its seconds by work."""

    middle: float
    width: float
    pace: float


def _blocks(points: Sequence[Point], count: int = 8) -> list[_Block]:
    """Divide the work done into at most `count` parts, as equal as the points allow."""
    blocks: list[_Block] = []
    begin, end = points[0], points[-1].records
    for point in points[1:]:
        width = point.records - begin.records
        if width > 0 and width >= (end - begin.records) / (count - len(blocks)):
            middle = (begin.records + point.records) / 2
            blocks.append(_Block(middle, width, (point.seconds - begin.seconds) / width))
            begin = point
    return blocks


class _Trend(NamedTuple):
    """A straight line of pace by work."""

    middle: float
    pace: float
    slope: float

    def at(self, work: float) -> float:
        """Return the pace at some work; never less than a fifth of the mean."""
        return max(self.pace + self.slope * (work - self.middle), self.pace / 5)

    def factor(self, begin: float, end: float) -> float:
        """Return the logarithm of how much slower it is at `end` than at `begin`."""
        if self.pace <= 0:
            return 0.0
        return min(max(math.log(self.at(end) / self.at(begin)), -1.0), 1.0)

    def scatter(self, blocks: Sequence[_Block]) -> float:
        """Return the variance of the blocks' pace around the line, by the pace."""
        if self.pace <= 0:
            return 0.0
        total = sum(block.width for block in blocks)
        squares = sum(block.width * (block.pace - self.at(block.middle)) ** 2 for block in blocks)
        return min(squares / total / self.pace**2, 4.0)


def _trend(blocks: Sequence[_Block]) -> _Trend:
    """Return the trend of the pace, none where blocks are few or do not agree.

    The slope is the median between all blocks, weighted by their distance; it counts as far as the
    blocks' order is that of their paces (Kendall's tau): bursts are no trend.
    """
    total = sum(block.width for block in blocks)
    middle = sum(block.middle * block.width for block in blocks) / total
    pace = sum(block.pace * block.width for block in blocks) / total
    slopes = sorted(
        ((b.pace - a.pace) / (b.middle - a.middle), b.middle - a.middle)
        for a, b in combinations(blocks, 2)
    )
    if len(blocks) < 4:
        return _Trend(middle, pace, 0.0)
    weight = sum(distance for _, distance in slopes)
    tau = sum(math.copysign(distance, value) for value, distance in slopes if value) / weight
    certainty = min(max((abs(tau) - 0.5) / 0.4, 0.0), 1.0)
    passed = 0.0
    for value, distance in slopes:
        passed += distance
        if passed >= weight / 2:
            return _Trend(middle, pace, value * certainty)
    raise AssertionError
