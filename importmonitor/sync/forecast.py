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

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations, pairwise
from typing import NamedTuple

from importmonitor.sync.rate import Point, Sample, later_half, non_decreasing, slope
from importmonitor.sync.speeds import (
    CHANNELS,
    CONTACTS,
    FILES,
    FINISHING,
    MESSAGES,
    STARTED,
    STEPS,
    USERS,
    Counts,
    PastImport,
    Span,
    StepSpeed,
    Transition,
    handled,
    interpolate,
    is_importing,
    observed_speeds,
    step_spans,
)

SELECTION = "importer_user_selection"

# The newest imports of an importer that are considered.
_MAX_IMPORTS = 10
# A year: longer than any import, so a longer forecast is none.
_MAX_SECONDS = 365 * 86_400.0
# With fewer, nothing can be said about how a step goes.
_MIN_POINTS = 5
# Between these quantiles of a normal distribution lies 80 %.
_DEVIATIONS = 1.28
# The error of a step's duration, which begins and ends between polls.
_POLL_SECONDS = 20.0
# No forecast is surer than this.
_FLOOR = 0.03


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
    is_running = is_importing(present.status)
    if not is_running and present.status != SELECTION:
        return None
    past = [one for one in history if one.importer_key == present.importer_key]
    spans = step_spans(present.transitions) if is_running else []
    if spans and (spans[-1].end is not None or spans[-1].start.status != present.status):
        spans = []
    parts = list(_parts(present, past, spans, now))
    return _combine([*parts, *_overheads(present, past, spans, parts, now)])


# --- The parts that are left


class _Part(NamedTuple):
    """Something that is left to do: its seconds, and the variances of their logarithm.

    The error of `common` is the same in all parts, that of `own` in this one alone.
    """

    seconds: float
    common: float
    own: float
    basis: str = ""


def _parts(
    present: PresentImport, past: Sequence[PastImport], spans: Sequence[Span], now: datetime
) -> Iterator[_Part]:
    sizes = _sizes(present, past, spans)
    paces = _paces(sizes, present.workspace, past)
    position = _position(present.status)
    observations = [
        _Observation(math.log(speed.seconds / (speed.records * paces[speed.step].seconds)), noise)
        for speed in observed_speeds(spans, present.counts)
        if speed.step in paces and speed.records > 0 and speed.seconds > 0
        for noise in [paces[speed.step].own + _poll_noise(speed.seconds)]
    ]
    prior = max(paces.values(), key=lambda pace: pace.weight) if paces else None
    if prior is None:
        return
    evidence = None
    if present.status in sizes:
        step = _PresentStep(present, sizes, paces[present.status], spans, now)
        evidence = step.evidence()
        before = _posterior(prior.common, observations)
        if evidence or observations or step.pace.basis != "rate":
            yield step.part(before, evidence)
        if evidence:
            noise = evidence.variance + step.pace.own
            observations.append(_Observation(evidence.value, noise))
    common = _posterior(prior.common, observations)
    for name, size in sizes.items():
        pace = paces[name]
        if _position(name) > position and (observations or pace.basis != "rate"):
            seconds = size * pace.seconds * _exp(common.value)
            yield _Part(seconds, common.variance, pace.own, pace.basis)


def _combine(parts: Sequence[_Part]) -> Forecast | None:
    """Return the sum of the parts; None if nothing is left, or if it is beyond all reason."""
    seconds = sum(part.seconds for part in parts)
    if not any(part.basis for part in parts) or not 0 < seconds < _MAX_SECONDS:
        return None
    common = sum(part.seconds * math.sqrt(part.common) for part in parts)
    own = math.hypot(*(part.seconds * math.sqrt(part.own) for part in parts))
    factor = _exp(_DEVIATIONS * math.hypot(common, own, _POLL_SECONDS, _FLOOR * seconds) / seconds)
    basis = max(parts, key=lambda part: (bool(part.basis), part.seconds)).basis
    return Forecast(seconds, seconds / factor, min(seconds * factor, _MAX_SECONDS), basis)


def _position(status: str) -> int:
    """Return a step's place among those that handle records; an unknown step is the last."""
    if status in STEPS:
        return STEPS.index(status)
    return -1 if status in (SELECTION, STARTED) else len(STEPS)


def _overheads(
    present: PresentImport,
    past: Sequence[PastImport],
    spans: Sequence[Span],
    parts: Sequence[_Part],
    now: datetime,
) -> Iterator[_Part]:
    """Yield what is left of the steps that handle no records, by their share of the time."""
    if not parts and present.status != FINISHING:
        return
    end = spans[-1].start.at if spans and present.status == FINISHING else now
    seconds = sum(part.seconds for part in parts)
    if spans:
        seconds += max((end - spans[0].start.at).total_seconds(), 0.0)
    for step in (STARTED, FINISHING):
        if _position(present.status) >= 0 and step == STARTED:
            continue
        elapsed = 0.0
        if spans and present.status == step:
            elapsed = max((now - spans[-1].start.at).total_seconds(), 0.0)
        same = [one for one in past if one.workspace == present.workspace]
        for basis, imports in (("workspace", same), ("importer", past)):
            if shares := [share for one in imports[:_MAX_IMPORTS] for share in _shares(one, step)]:
                left = seconds * statistics.median(shares) - elapsed
                yield _Part(max(left, 0.0), 0.0, _OVERHEAD_SPREAD**2, basis)
                break
        else:
            if step == FINISHING:
                # It is short, but how short was never observed.
                yield _Part(max(seconds * _USUAL_FINISHING - elapsed, 0.0), 0.0, 4.0)


def _shares(past: PastImport, step: str) -> Iterator[float]:
    """Yield a step's time by the time of the steps that handle records, if both are known."""
    usable = [speed for speed in past.steps if 0 <= speed.seconds < _MAX_SECONDS]
    seconds = sum(speed.seconds for speed in usable if speed.step in STEPS)
    if seconds > 0:
        yield from (speed.seconds / seconds for speed in usable if speed.step == step)


# --- The number of records


def _sizes(
    present: PresentImport, past: Sequence[PastImport], spans: Sequence[Span]
) -> dict[str, int]:
    """Return the number of records of the steps, those handled included, in the steps' order."""
    counts, status = present.counts, present.status
    total = _final_total(present, past, spans)
    if status not in STEPS[:-1] and status in (FILES, *_unknown(status)):
        # Rocket.Chat counts files as messages. Of an unknown step only the total is known.
        return {status: total}
    kinds = {
        USERS: counts.users,
        CONTACTS: counts.contacts,
        CHANNELS: counts.channels,
        MESSAGES: counts.messages,
    }
    sizes = {step: size for step, size in kinds.items() if size is not None and size > 0}
    rest = total - sum(sizes.values())
    if rest > 0:
        # Not by kind: of the step that most records are of, unless it is over.
        step = _largest_step(past) if not sizes else max(sizes, key=_position)
        step = max(step, status, key=_position) if status in STEPS else step
        sizes[step] = sizes.get(step, 0) + rest
    return dict(sorted(sizes.items(), key=lambda item: _position(item[0])))


def _unknown(status: str) -> tuple[str, ...]:
    return () if status in (*STEPS, SELECTION, STARTED, FINISHING) else (status,)


def _largest_step(past: Sequence[PastImport]) -> str:
    steps = [speed for one in past[:1] for speed in one.steps if speed.step in STEPS]
    return max(steps, key=lambda speed: speed.records).step if steps else MESSAGES


def _final_total(present: PresentImport, past: Sequence[PastImport], spans: Sequence[Span]) -> int:
    """Return the total that the import will have, at least the present one.

    It can grow while an import runs. How much it will is what it grew by in the imports before, or
    else (to be careful) by what it would if it grew as lately until the present rest is handled.
    """
    counts = present.counts
    total = max(counts.total or 0, 0)
    kinds = (counts.users, counts.contacts, counts.channels, counts.messages)
    if total < sum(max(kind or 0, 0) for kind in kinds) or not total:
        # The kinds are announced in full.
        return total
    rest = max(total - counts.handled, 0)
    lately = int(rest * _recent_growth(present.samples))
    announced = spans[0].start.total if spans and spans[0].is_whole else total
    usual_growth = _usual_growth(present.workspace, past)
    usual = max(int(max(announced or 0, 0) * usual_growth) - total, 0)
    if announced == total:
        # The more is handled without, the less likely is it to grow: hardly after a half.
        usual = int(usual * (rest / total) ** 4)
    return total + (usual if usual_growth > 1 else lately)


def _recent_growth(samples: Sequence[Sample]) -> float:
    """Return by how much the total grew lately for a record handled, 0 to 1."""
    known = [sample for sample in samples if sample.total is not None]
    if len(known) < _MIN_POINTS:
        return 0.0
    # It can have stopped growing just now.
    return min(_growth(known[len(known) // 2 :]), _growth(known[-(len(known) // 5 + 2) :]))


def _growth(samples: Sequence[Sample]) -> float:
    first, last = samples[0], samples[-1]
    records = last.completed + last.error - first.completed - first.error
    growth = (last.total or 0) - (first.total or 0)
    return min(max(growth / records, 0.0), 1.0) if records > 0 else 0.0


def _usual_growth(workspace: str, past: Sequence[PastImport]) -> float:
    same = [one for one in past if one.workspace == workspace]
    growths = [one.growth for one in (same or past)[:_MAX_IMPORTS] if 1 <= one.growth < 100]
    return statistics.median(growths) if growths else 1.0


# --- The speeds learned


class _Pace(NamedTuple):
    """The seconds that a record of a step takes, and the variances of their logarithm.

    `weight` is the seconds that the whole step takes at this pace.
    """

    seconds: float
    common: float
    own: float
    basis: str
    curve: tuple[tuple[float, float], ...] = ()
    weight: float = 0.0

    def work(self, share: float) -> float:
        """Return how much of the step's work is done with a share of its records, 0 to 1."""
        return interpolate(self.curve, share) if self.curve else min(max(share, 0.0), 1.0)


# By basis: the usual spread of the logarithm between imports, and the part that steps share.
_SPREADS = {"workspace": (0.15, 0.5), "importer": (0.6, 0.7)}
# The spread between steps of one import, where nothing is known about them.
_STEP_SPREAD = 0.7
# Where the curves of imports differ by more, a step does not go the same way every time.
_MAX_CURVE_SCATTER = 0.05
# Rocket.Chat hashes a password for a user: in `recordings/` one took as long as 2 to 15 messages.
_USUAL_PACES = {USERS: 4.0}
_ANY_VARIANCE = 100.0
_OVERHEAD_SPREAD = 0.5
_USUAL_FINISHING = 0.01


def _paces(sizes: dict[str, int], workspace: str, past: Sequence[PastImport]) -> dict[str, _Pace]:
    """Return the pace of the steps; one that was never observed is as fast as the others."""
    same = [one for one in past if one.workspace == workspace]
    paces = {}
    for step in sizes:
        for basis, imports in (("workspace", same), ("importer", past)):
            speeds = [speed for speed in _speeds_of(step, imports) if _is_usable(speed)]
            if speeds:
                paces[step] = _learned(speeds, basis)
                break
    unit = 1.0
    if paces:
        seconds = sum(sizes[step] * pace.seconds for step, pace in paces.items())
        unit = seconds / sum(sizes[step] * _USUAL_PACES.get(step, 1.0) for step in paces)
    for step in sizes:
        usual = unit * _USUAL_PACES.get(step, 1.0)
        paces.setdefault(step, _Pace(usual, _ANY_VARIANCE, _STEP_SPREAD**2, "rate"))
    return {step: paces[step]._replace(weight=sizes[step] * paces[step].seconds) for step in sizes}


def _speeds_of(step: str, past: Sequence[PastImport]) -> list[StepSpeed]:
    """Return the speeds of a step, of the newest imports that have it."""
    return [speed for one in past for speed in one.steps if speed.step == step][:_MAX_IMPORTS]


def _is_usable(speed: StepSpeed) -> bool:
    return speed.records > 0 and 0 < speed.seconds < _MAX_SECONDS


def _learned(speeds: Sequence[StepSpeed], basis: str) -> _Pace:
    spread, shared = _SPREADS[basis]
    logs = [math.log(speed.seconds / speed.records) for speed in speeds]
    center, count = statistics.median(logs), len(logs)
    # The usual spread counts as much as two imports: of a few imports alone none can be told.
    squares = 2 * spread**2 + sum((log - center) ** 2 for log in logs)
    variance = squares / (count + 1) * (1 + 1 / count)
    curves = [speed.curve for speed in speeds if _is_curve(speed.curve)]
    curve: tuple[tuple[float, float], ...] = ()
    if curves and _scatter_of(curves) < _MAX_CURVE_SCATTER:
        times = [statistics.median(tenths) for tenths in zip(*curves, strict=True)]
        shares = (tenth / 10 for tenth in range(11))
        curve = tuple(zip(shares, (0.0, *times, 1.0), strict=True))
    return _Pace(math.exp(center), variance * shared, variance * (1 - shared), basis, curve)


def _scatter_of(curves: Sequence[Sequence[float]]) -> float:
    """Return how far curves are from their median, on average."""
    medians = [statistics.median(tenths) for tenths in zip(*curves, strict=True)]
    return statistics.fmean(
        abs(share - median)
        for curve in curves
        for share, median in zip(curve, medians, strict=True)
    )


def _is_curve(curve: Sequence[float]) -> bool:
    return len(curve) == 9 and all(a <= b for a, b in pairwise((0.0, *curve, 1.0)))


# --- The slowness observed


class _Observation(NamedTuple):
    """The logarithm of a slowness: seconds by those expected; and the variance of its error.

    `scatter` is the variance of the future, which no observation makes smaller.
    """

    value: float
    variance: float
    scatter: float = 0.0


def _posterior(variance: float, observations: Sequence[_Observation]) -> _Observation:
    """Return the slowness by observations, and by the imports before, whose slowness is 0."""
    value = 0.0
    for _ in range(2):
        weight = 1 / variance + sum(1 / one.variance for one in observations)
        value = sum(one.value / one.variance for one in observations) / weight
        # An import that is this much unlike those before makes them a bad guide.
        variance = max(variance, value**2)
    return _Observation(value, 1 / weight)


def _poll_noise(seconds: float) -> float:
    return 0.0009 + (_POLL_SECONDS / max(seconds, 1.0)) ** 2


def _exp(value: float) -> float:
    return math.exp(min(max(value, -50.0), 50.0))


class _PresentStep:
    """The step that an import is in."""

    def __init__(
        self,
        present: PresentImport,
        sizes: dict[str, int],
        pace: _Pace,
        spans: Sequence[Span],
        now: datetime,
    ) -> None:
        self.pace = pace
        self.size = sizes[present.status]
        self.span = spans[-1] if spans else None
        self.samples = [
            sample
            for sample in present.samples
            if self.span is None or sample.at >= self.span.start.at
        ]
        first = self.samples[0] if self.samples else None
        base = present.counts.handled if first is None else handled(first.completed, first.error)
        if self.span is not None:
            base = self.span.start.handled
        self.before = _records_before(present.status, sizes, base)
        self.records = self._of_step(present.counts.handled)
        self.stride = 500 if present.status == MESSAGES else 50
        self.points = self._points()
        if not self._follows_curve():
            self.pace = pace._replace(curve=())
        newest = self.samples[-1].at if self.samples else self.span and self.span.start.at
        self.waited = max((now - newest).total_seconds(), 0.0) if newest else 0.0

    def _of_step(self, records: int) -> int:
        return min(max(records - self.before, 0), self.size)

    def _work(self, records: int) -> float:
        return self.size * self.pace.seconds * self.pace.work(records / self.size)

    @property
    def rest(self) -> float:
        """The work that is left, as of the newest sample."""
        return self._work(self.size) - self._work(self.records)

    def _points(self) -> list[Point]:
        """Return the records of the step that were handled, by time."""
        points = []
        if self.span is not None and self.span.is_whole:
            points.append((self.span.start.at, self.span.start.handled))
        points += [(one.at, handled(one.completed, one.error)) for one in self.samples]
        return non_decreasing(
            [
                Point((at - points[0][0]).total_seconds(), self._of_step(records))
                for at, records in points
                # Users are counted again at the end of their step.
                if records - self.before <= self.size
            ]
        )

    def _follows_curve(self) -> bool:
        """Return whether the step goes as it did in the imports before, rather than steadily."""
        if len(self.points) < _MIN_POINTS:
            return True
        straight = [point.records for point in self.points]
        seconds = [point.seconds for point in self.points]
        curved = [self._work(round(records)) for records in straight]
        return _distance(seconds, curved) <= _distance(seconds, straight)

    def evidence(self) -> _Observation | None:
        """Return the slowness to be expected of the rest, from this step alone."""
        points = [Point(at, self._work(round(records))) for at, records in self.points]
        return _observe(points, self.rest)

    def part(self, common: _Observation, evidence: _Observation | None) -> _Part:
        """Return the rest of the step, by what is known of the import and of the step."""
        value, variance, scatter = common.value, common.variance + self.pace.own, 0.0
        if evidence is not None:
            gap = (evidence.value - value) ** 2
            if gap > 4 * (variance + evidence.variance):
                variance = gap
            weight = variance / (variance + evidence.variance)
            value += weight * (evidence.value - value)
            variance *= 1 - weight
            scatter = evidence.scatter
        slowness = _exp(value)
        # However late the next write is, what comes after it is still to be done.
        after_write = self._work(self.size) - self._work(min(self.records + self.stride, self.size))
        seconds = max(self.rest * slowness - self.waited, after_write * slowness)
        return _Part(seconds, 0.0, variance + scatter, self.pace.basis)


def _records_before(status: str, sizes: dict[str, int], base: int) -> int:
    """Return how many records were handled before a step; `base` is those at its first poll.

    The poll was late: the step had handled some. So it is the steps before it, where that can be;
    their users once, or twice as since a 7.x (sheet, section 2).
    """
    before = sum(size for step, size in sizes.items() if _position(step) < _position(status))
    users = sizes.get(USERS, 0) if status != USERS else 0
    possible = [count for count in (before, before + users) if count <= base + 49]
    return max(possible, default=base)


def _distance(seconds: Sequence[float], work: Sequence[float]) -> float:
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


def _observe(points: list[Point], rest: float) -> _Observation | None:
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
    variance = _poll_noise(seconds) + scatter / len(blocks) + 0.5 / moves**2
    future = scatter * width / max(rest, width) + (0.4 * change) ** 2
    return _Observation(change - math.log(rate), variance, future)


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
    certainty = min(max((abs(tau) - 0.4) / 0.4, 0.0), 1.0)
    passed = 0.0
    for value, distance in slopes:
        passed += distance
        if passed >= weight / 2:
            return _Trend(middle, pace, value * certainty)
    raise AssertionError
