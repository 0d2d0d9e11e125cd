"""The step that an import is in."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from importmonitor.sync.forecast.paces import Pace
from importmonitor.sync.forecast.sizes import records_before
from importmonitor.sync.forecast.slowness import Observation, distance, exp, observe
from importmonitor.sync.forecast.types import Part, PresentImport
from importmonitor.sync.rate import Point, non_decreasing
from importmonitor.sync.speeds import MESSAGES, Span, handled

# With fewer points, nothing can be said about how a step goes.
_MIN_POINTS = 5


class PresentStep:
    """What was observed of the present step."""

    def __init__(
        self,
        present: PresentImport,
        sizes: Mapping[str, int],
        pace: Pace,
        spans: Sequence[Span],
        now: datetime,
    ) -> None:
        start = spans[-1].start if spans else None
        # When the counters changed, and the records handled by then.
        moves = [(start.at, start.handled)] if start is not None and spans[-1].is_whole else []
        moves += [
            (sample.at, handled(sample.completed, sample.error))
            for sample in present.samples
            if start is None or sample.at >= start.at
        ]
        base = start.handled if start is not None else present.counts.handled
        if start is None and moves:
            base = moves[0][1]
        self.size = sizes[present.status]
        self.stride = 500 if present.status == MESSAGES else 50
        self.before = records_before(present.status, sizes, base)
        self.records = self._of_step(present.counts.handled)
        self.waited = max((now - moves[-1][0]).total_seconds(), 0.0) if moves else 0.0
        self.points = non_decreasing(
            [
                Point((at - moves[0][0]).total_seconds(), self._of_step(records))
                for at, records in moves
                # Users are counted again at the end of their step.
                if records - self.before <= self.size
            ]
        )
        self.pace = pace
        if not self._follows_curve():
            self.pace = pace._replace(curve=())

    def observation(self) -> Observation | None:
        """Return how slow the rest is to be expected, from this step alone."""
        points = [Point(seconds, self._work(records)) for seconds, records in self.points]
        return observe(points, self._rest(self.records))

    def part(self, common: Observation, observation: Observation | None) -> Part:
        """Return the rest of the step, by what is known of the import and of the step."""
        value, variance, scatter = common.value, common.variance + self.pace.own, 0.0
        if observation is not None:
            gap = (observation.value - value) ** 2
            if gap > 4 * (variance + observation.variance):
                # An import that is this much unlike those before makes them a bad guide.
                variance = gap
            weight = variance / (variance + observation.variance)
            value += weight * (observation.value - value)
            variance *= 1 - weight
            scatter = observation.scatter
        slowness = exp(value)
        # However late the next write is, what comes after it is still to be done.
        least = self._rest(min(self.records + self.stride, self.size)) * slowness
        seconds = max(self._rest(self.records) * slowness - self.waited, least)
        return Part(seconds, 0.0, variance + scatter, self.pace.basis)

    def _of_step(self, records: int) -> int:
        return min(max(records - self.before, 0), self.size)

    def _work(self, records: float) -> float:
        """Return the work of some records of the step: the seconds that they usually take."""
        return self.size * self.pace.seconds * self.pace.work(records / self.size)

    def _rest(self, records: int) -> float:
        """Return the work that is left when some records are handled."""
        return self._work(self.size) - self._work(records)

    def _follows_curve(self) -> bool:
        """Return whether the step goes as it did in the imports before, rather than steadily."""
        if len(self.points) < _MIN_POINTS:
            return True
        seconds = [point.seconds for point in self.points]
        curved = [self._work(point.records) for point in self.points]
        return distance(seconds, curved) <= distance(
            seconds, [point.records for point in self.points]
        )
