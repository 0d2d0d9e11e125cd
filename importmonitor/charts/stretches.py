"""What the polls of a workspace say of each moment: it could be looked at, or why it could not."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.utils.translation import gettext_lazy as _

from importmonitor.charts.scales import seconds
from importmonitor.choices import sync_status_label
from importmonitor.models import SyncPeriod

#: Two looks further apart than this leave a gap, unless told otherwise: an idle workspace is
#: looked at every five minutes, and one look may be late.
GAP_AFTER = timedelta(minutes=10)

#: Kinds of a stretch besides those of an error.
GOOD = "good"
GAP = "gap"
#: What a chart tells together.
OTHER = "other"

#: The kinds in words, besides those of an error.
WORDS = {
    GOOD: _("could be looked at"),
    GAP: _("not looked at"),
    OTHER: _("in other trouble"),
}
_LONGEST = 40


class Span(NamedTuple):
    """A time from `start` to `end`, in seconds since 1970."""

    start: float
    end: float


class Stretch(NamedTuple):
    """A time of one kind: GOOD, GAP or an error's kind; `polls` are those made in it."""

    start: float
    end: float
    kind: str
    polls: int


def word(kind: str) -> str:
    """Return a kind in words."""
    return str(WORDS.get(kind) or sync_status_label(kind)[:_LONGEST])


def stretches(
    periods: Iterable[SyncPeriod], since: float, until: float, gap_after: timedelta
) -> list[Stretch]:
    """Return what is known of the time from `since` to `until`, without holes, the oldest first.

    A period lasts until the first look of the next one, as long as that came within `gap_after`
    of its own last look; else there is a gap. The first stretch can begin before `since`: its
    polls are those of its whole period. `until` has to be after `since`.
    """
    longest = gap_after.total_seconds()
    known = [each for each in _read(periods) if each.start < until and each.end >= since - longest]
    found: list[Stretch] = []
    cursor = since
    for period, follower in zip(known, [*known[1:], None], strict=False):
        start = max(period.start, cursor) if found else min(period.start, until)
        if start - cursor > longest:
            found.append(Stretch(cursor, start, GAP, 0))
        elif start > cursor:
            start = cursor
        following = min(follower.start, until) if follower else until
        last = max(start, min(period.end, until))
        end = max(start, following) if following - last <= longest else last
        if end >= since:
            found.append(Stretch(start, end, period.kind, period.polls))
        cursor = max(since, end)
    if cursor < until:
        found.append(Stretch(cursor, until, GAP, 0))
    return _joined(found)


def _read(periods: Iterable[SyncPeriod]) -> list[Stretch]:
    read = (
        Stretch(
            seconds(each.first_at),
            max(seconds(each.first_at), seconds(each.last_at)),
            GOOD if each.is_good else each.outcome,
            each.polls,
        )
        for each in periods
    )
    return sorted(read, key=lambda each: each.start)


def _joined(found: list[Stretch]) -> list[Stretch]:
    """Make one of neighbours of a kind."""
    joined: list[Stretch] = []
    for each in found:
        if joined and joined[-1].kind == each.kind:
            polls = joined[-1].polls + each.polls
            joined[-1] = Stretch(joined[-1].start, each.end, each.kind, polls)
        else:
            joined.append(each)
    return joined


def merged(spans: Sequence[Span], apart: float = 0.0) -> list[Span]:
    """Return the same times without overlaps, and without breaks of up to `apart`."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.start - result[-1].end <= apart:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result
