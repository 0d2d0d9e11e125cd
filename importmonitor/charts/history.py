"""The rows of an import in one order and on one clock: the data of the progress chart."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from importmonitor.charts.scales import seconds
from importmonitor.charts.stretches import GOOD, Span, merge, stretches
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod

_Reason = StatusTransition.Reason
#: Transitions that are no change of the status.
_MOVEMENT = (_Reason.STALLED, _Reason.RESUMED)


class Point(NamedTuple):
    """The counters at a time: None where Rocket.Chat gave none."""

    at: float
    completed: int | None
    error: int | None
    total: int | None


class Step(NamedTuple):
    """A transition: the status that it led to, its remark, and the label of its line, if any."""

    at: float
    status: str
    reason: str
    label: str
    remark: str
    counters: Point


@dataclass(frozen=True)
class History:
    """The history of an import, in order; all times in seconds since 1970.

    `end` is after `start`, and all other times are between them. `stalls` are when the import
    was stalled, and `unpolled` when its workspace could not be polled.
    """

    start: float
    end: float
    points: tuple[Point, ...]
    steps: tuple[Step, ...]
    stalls: tuple[Span, ...]
    unpolled: tuple[Span, ...]

    @property
    def has_counters(self) -> bool:
        return self.last("completed") is not None or self.last("total") is not None

    def last(self, counter: str) -> int | None:
        """Return the last value of `completed`, `error` or `total`, or None if there was none."""
        values = (getattr(point, counter) for point in reversed(self.points))
        return next((value for value in values if value is not None), None)


def build_history(
    operation: ImportOperation,
    samples: Iterable[ProgressSample],
    transitions: Iterable[StatusTransition],
    periods: Iterable[SyncPeriod],
    now: datetime,
    gap_after: timedelta,
) -> History:
    """Return the history of an operation from rows in any order.

    The samples and transitions are the operation's, the periods its workspace's; with more than
    `gap_after` between two of these, the workspace was not polled.
    """
    transitions = list(transitions)
    clock = _clock(operation, transitions)
    steps = sorted((_step(row, clock) for row in transitions), key=lambda step: step.at)
    points = sorted(
        (
            Point(clock(sample.observed_at), sample.completed, sample.error, sample.total)
            for sample in samples
        ),
        key=lambda point: point.at,
    )
    moments = [*(point.at for point in points), *(step.at for step in steps)]
    start = min([seconds(operation.started_at), *moments])
    is_over = operation.finished_at is not None and not operation.is_active
    end = clock(operation.finished_at if is_over and operation.finished_at else now)
    # Rocket.Chat's clock may be ahead of ours; and an empty span could not be drawn.
    end = max([end, start + 1, *moments])
    return History(
        start,
        end,
        tuple(points),
        tuple(steps),
        _stalls(steps, end),
        _unpolled(operation, start, end, list(periods), gap_after),
    )


def _clock(
    operation: ImportOperation, transitions: Sequence[StatusTransition]
) -> Callable[[datetime], float]:
    """Return a function from when something was observed to when it happened.

    The end of an import is often observed later than it happened, and the counters of that poll
    are those of the end. Whatever follows (an import can be reopened) happened when observed.
    """
    if operation.finished_at is None:
        return seconds
    finished = seconds(operation.finished_at)
    observed = (seconds(transition.observed_at) for transition in transitions)
    observed_end = min((at for at in observed if at >= finished), default=finished)

    def clock(moment: datetime) -> float:
        at = seconds(moment)
        return finished if finished < at <= observed_end else at

    return clock


def _step(transition: StatusTransition, clock: Callable[[datetime], float]) -> Step:
    at, reason = clock(transition.observed_at), transition.reason
    remark = "" if reason == _Reason.REMOTE else str(transition.get_reason_display())
    label = ""
    if transition.from_status != transition.to_status:
        label = format_status(transition.to_status)
    elif transition.from_state != transition.to_state or reason not in _MOVEMENT:
        label = remark
    counters = Point(at, transition.count_completed, transition.count_error, transition.count_total)
    return Step(at, transition.to_status, reason, label, remark, counters)


def format_status(status: str) -> str:
    """Return importer_importing_users as importing users."""
    return status.removeprefix("importer_").replace("_", " ").strip() or "–"


def _stalls(steps: Sequence[Step], end: float) -> tuple[Span, ...]:
    """Return when the import was stalled: any other event ends that."""
    since: float | None = None
    spans = []
    for step in steps:
        if step.reason == _Reason.STALLED:
            since = step.at if since is None else since
        elif since is not None:
            spans.append(Span(since, step.at))
            since = None
    if since is not None:
        spans.append(Span(since, end))
    return tuple(spans)


def _unpolled(
    operation: ImportOperation,
    start: float,
    end: float,
    periods: Sequence[SyncPeriod],
    gap_after: timedelta,
) -> tuple[Span, ...]:
    first_seen = min(end, seconds(operation.first_seen_at))
    spans = []
    if first_seen - start > gap_after.total_seconds():
        spans.append(Span(start, first_seen))
    # The periods say nothing of the time before the first of them.
    since = max(start, min((seconds(period.first_at) for period in periods), default=end))
    if since < end:
        spans += [
            Span(max(stretch.start, start), stretch.end)
            for stretch in stretches(periods, since, end, gap_after)
            if stretch.kind != GOOD
        ]
    return tuple(merge(spans))
