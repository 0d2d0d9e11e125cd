"""An import's rows, brought into one order and onto one clock: what the progress chart draws."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from importmonitor.charts.scales import seconds
from importmonitor.charts.stretches import GOOD, Span, merged, stretches
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod

_LONGEST_LABEL = 28
#: Transitions that tell of movement, and not of another step.
_MOVEMENT = (StatusTransition.Reason.STALLED, StatusTransition.Reason.RESUMED)


class Point(NamedTuple):
    """The counters at a time, as they were seen: None where Rocket.Chat gave none."""

    at: float
    completed: int | None
    error: int | None
    total: int | None


class Step(NamedTuple):
    """A transition: the step that it led to, and what is worth a word besides.

    `label` is short enough to stand in a chart, and empty where the step did not change.
    """

    at: float
    status: str
    reason: str
    label: str
    remark: str
    counters: Point


@dataclass(frozen=True)
class History:
    """What was seen of an import, in order; all times in seconds since 1970.

    `end` is after `start`, and no other time is outside of them. `stalls` and `unwatched` are
    when it stood still, and when nobody could see whether it did.
    """

    start: float
    end: float
    points: tuple[Point, ...]
    steps: tuple[Step, ...]
    stalls: tuple[Span, ...]
    unwatched: tuple[Span, ...]

    @property
    def has_counters(self) -> bool:
        """Whether any counter was ever seen."""
        return any(each.completed is not None or each.total is not None for each in self.points)

    def last(self, counter: str) -> int | None:
        """Return the last value of `completed`, `error` or `total`, None if there was none."""
        values = (getattr(each, counter) for each in reversed(self.points))
        return next((each for each in values if each is not None), None)


def read(
    operation: ImportOperation,
    samples: Iterable[ProgressSample],
    transitions: Iterable[StatusTransition],
    periods: Iterable[SyncPeriod],
    now: datetime,
    gap_after: timedelta,
) -> History:
    """Return the history of an operation from rows in any order.

    The samples and transitions are the operation's, the periods its workspace's; with more than
    `gap_after` between two of these, nobody watched.
    """
    place = _placing(operation, transitions := list(transitions))
    steps = sorted((_step(each, place) for each in transitions), key=lambda step: step.at)
    points = sorted(
        (
            Point(place(each.observed_at), each.completed, each.error, each.total)
            for each in samples
        ),
        key=lambda point: point.at,
    )
    moments = [*(each.at for each in points), *(each.at for each in steps)]
    start = min([seconds(operation.started_at), *moments])
    is_over = operation.finished_at is not None and not operation.is_active
    end = place(operation.finished_at if is_over and operation.finished_at else now)
    # The server's clock may be ahead of ours; and no time at all could not be drawn.
    end = max([end, start + 1, *moments])
    return History(
        start,
        end,
        tuple(points),
        tuple(steps),
        _stalls(steps, end),
        _unwatched(operation, start, end, list(periods), gap_after),
    )


def _placing(
    operation: ImportOperation, transitions: Sequence[StatusTransition]
) -> Callable[[datetime], float]:
    """Return what says when something happened, from when it was seen.

    An import's end is often seen later than it was, and the counters of that look are those of
    the end. What was seen after that (it can be opened again) was when it was.
    """
    if operation.finished_at is None:
        return seconds
    finished = seconds(operation.finished_at)
    later = (seconds(each.observed_at) for each in transitions)
    seen = min((each for each in later if each >= finished), default=finished)
    return lambda moment: finished if finished < seconds(moment) <= seen else seconds(moment)


def _step(transition: StatusTransition, place: Callable[[datetime], float]) -> Step:
    at = place(transition.observed_at)
    label = remark = ""
    if transition.reason != StatusTransition.Reason.REMOTE:
        remark = str(transition.get_reason_display())
    if transition.from_status != transition.to_status:
        label = _short(in_words(transition.to_status))
    elif transition.from_state != transition.to_state or transition.reason not in _MOVEMENT:
        label = _short(remark)
    counters = Point(at, transition.count_completed, transition.count_error, transition.count_total)
    return Step(at, transition.to_status, transition.reason, label, remark, counters)


def in_words(status: str) -> str:
    """Write a step as people say it: importer_importing_users as importing users."""
    return status.removeprefix("importer_").replace("_", " ").strip() or "–"


def _short(words: str) -> str:
    """Write what fits into a chart."""
    return words if len(words) <= _LONGEST_LABEL else f"{words[: _LONGEST_LABEL - 1]}…"


def _stalls(steps: Sequence[Step], end: float) -> tuple[Span, ...]:
    """Return from when to when the import was known to stand still: any other event ends that."""
    since: float | None = None
    spans = []
    for step in steps:
        if step.reason == StatusTransition.Reason.STALLED:
            since = step.at if since is None else since
        elif since is not None:
            spans.append(Span(since, step.at))
            since = None
    if since is not None:
        spans.append(Span(since, end))
    return tuple(spans)


def _unwatched(
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
    # Of what was before the first of these periods, they say nothing.
    since = max([start, *([min(seconds(each.first_at) for each in periods)] if periods else [])])
    if periods and since < end:
        spans += [
            Span(max(each.start, start), each.end)
            for each in stretches(periods, since, end, gap_after)
            if each.kind != GOOD
        ]
    return tuple(merged(spans))
