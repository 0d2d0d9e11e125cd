"""Sync periods as a timeline without holes: when a workspace was polled, and with what result."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from importmonitor.charts.scales import seconds
from importmonitor.models import SyncPeriod

#: Two polls further apart leave a gap: an idle workspace is polled every five minutes, and one
#: poll may be late.
GAP_AFTER = timedelta(minutes=10)

#: Kinds of a stretch besides those of an error.
GOOD = "good"
GAP = "gap"


class Span(NamedTuple):
    """A time from `start` to `end`, in seconds since 1970."""

    start: float
    end: float


class Stretch(NamedTuple):
    """A time of one kind: GOOD, GAP or an error's kind; `polls` counts those made in it."""

    start: float
    end: float
    kind: str
    polls: int


def stretches(
    periods: Iterable[SyncPeriod], since: float, until: float, gap_after: timedelta
) -> list[Stretch]:
    """Return what is known of the time from `since` to `until`, without holes, oldest first.

    A period lasts until the first poll of the next one, if that came within `gap_after` of its
    own last poll; otherwise there is a gap. The first stretch can begin before `since`: its polls
    are those of its whole period. `until` has to be after `since`.
    """
    longest = gap_after.total_seconds()
    known = [
        period
        for period in sorted(map(_as_stretch, periods))
        if period.start < until and period.end >= since - longest
    ]
    result: list[Stretch] = []
    cursor = since
    for period, follower in zip(known, [*known[1:], None], strict=False):
        start = max(period.start, cursor) if result else min(period.start, until)
        if start - cursor > longest:
            result.append(Stretch(cursor, start, GAP, 0))
        elif start > cursor:
            start = cursor
        following = min(follower.start, until) if follower else until
        last = max(start, min(period.end, until))
        end = max(start, following) if following - last <= longest else last
        if end >= since:
            result.append(Stretch(start, end, period.kind, period.polls))
        cursor = max(since, end)
    if cursor < until:
        result.append(Stretch(cursor, until, GAP, 0))
    return _join(result)


def _as_stretch(period: SyncPeriod) -> Stretch:
    first, last = seconds(period.first_at), seconds(period.last_at)
    kind = GOOD if period.is_good else period.outcome
    return Stretch(first, max(first, last), kind, period.polls)


def _join(stretches: list[Stretch]) -> list[Stretch]:
    """Join neighbours of the same kind."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and joined[-1].kind == stretch.kind:
            start, polls = joined[-1].start, joined[-1].polls + stretch.polls
            joined[-1] = Stretch(start, stretch.end, stretch.kind, polls)
        else:
            joined.append(stretch)
    return joined


def merge(spans: Sequence[Span], apart: float = 0.0) -> list[Span]:
    """Return the same times without overlaps, and without breaks of up to `apart`."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.start - result[-1].end <= apart:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result
