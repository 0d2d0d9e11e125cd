"""The availability of a workspace over time, as a strip."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import floor
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from importmonitor.charts.hatches import Hatch, make_hatch
from importmonitor.charts.scales import (
    Scale,
    day_ticks,
    format_period,
    seconds,
    short_time,
    time_ticks,
)
from importmonitor.charts.stretches import GAP, GAP_AFTER, GOOD, Span, Stretch, merge, stretches
from importmonitor.choices import sync_status_label
from importmonitor.humanize import format_duration, format_number
from importmonitor.models import SyncPeriod

HEIGHT = 28
#: In percent: what is narrower is invisible, so one bar at most is drawn in this width.
MIN_WIDTH = 0.25

_MAX_LABEL_LENGTH = 40
_HATCHES = {
    GOOD: ("plain", "good"),
    GAP: ("dots", "quiet"),
    "Unreachable": ("slash", "bad"),
    "RateLimited": ("upright", "warn"),
    "Unauthenticated": ("cross", "bad"),
    "PermissionMissing": ("grid", "bad"),
    "TwoFactorRequired": ("zigzag", "bad"),
    "NotRocketChat": ("backslash", "bad"),
    "BadAnswer": ("flat", "bad"),
}
_UNKNOWN_HATCH = ("dots", "bad")
#: Where a bar begins, in pixels: errors stand out, and what was not polled is low.
_TOPS = {GOOD: 8, GAP: 20}
_MAINTENANCE = "maintenance"
_MAINTENANCE_HATCH = ("upright", "wait")
#: Below the strip: the height of the marks of maintenance, and of the labels of the time axis.
_MARK_HEIGHT = 8
_AXIS_HEIGHT = 18
#: The span of a strip with a tick for each day, in seconds.
_DAY_TICKS = range(2 * 86_400, 10 * 86_400)


class Total(NamedTuple):
    """All stretches of a kind: how many, and their duration in seconds."""

    kind: str
    duration: float
    times: int


def availability_strip(
    periods: Iterable[SyncPeriod],
    since: datetime,
    now: datetime,
    *,
    gap_after: timedelta = GAP_AFTER,
    name: str = "",
    maintenance: Iterable[tuple[datetime, datetime]] = (),
) -> SafeString:
    """Draw the availability of a workspace from `since` to `now`, with the same in words.

    `periods` are the workspace's, of that time, in any order. With more than `gap_after` between
    two of them, it was not polled. `name` is the workspace's alias: it is in the title, and keeps
    the ids of several strips in a page apart. `maintenance` are its times of planned maintenance,
    which are marked, and change nothing else.

    Makes no query, and raises nothing whatever the rows hold.
    """
    start = seconds(since)
    end = max(seconds(now), start + 1)
    prefix = f"im-availability-{slugify(name)}"
    timeline = stretches(periods, start, end, gap_after)
    totals = sum_kinds(timeline, start, end)
    legend = [
        (_hatch(prefix, total.kind), _top(total.kind), in_words(total, totals)) for total in totals
    ]
    marks = make_marks(maintenance, start, end)
    if marks:
        hatch = make_hatch(prefix, *_MAINTENANCE_HATCH)
        time = sum(mark.end - mark.start for mark in marks)
        legend.append((hatch, 0, _("Maintenance for %(time)s") % {"time": _duration(time)}))
    axis = HEIGHT + (_MARK_HEIGHT + 2 if marks else 0)
    bars = make_bars(timeline, start, end, prefix)
    context = {
        "prefix": prefix,
        "name": name,
        "bars": bars + _mark_bars(marks, start, end, prefix),
        # At the ends, labels would not fit; the times are below.
        "ticks": [
            tick if 4 <= tick.position <= 96 else tick._replace(label="")
            for tick in (day_ticks if int(end - start) in _DAY_TICKS else time_ticks)(start, end)
        ],
        "axis": axis,
        "full_height": axis + _AXIS_HEIGHT,
        "hatches": dict.fromkeys(hatch for hatch, _top, _words in legend),
        "legend": legend,
        "words": " · ".join(words for _hatch, _top, words in legend),
        "start": short_time(start, "%H:%M"),
        "end": short_time(end, "%H:%M"),
        "height": HEIGHT,
    }
    return render_to_string("importmonitor/charts/availability.html", context)


def make_bars(
    timeline: Sequence[Stretch], start: float, end: float, prefix: str = ""
) -> list[dict[str, Any]]:
    across = Scale(start, end, 0, round(100 / MIN_WIDTH))
    bars: dict[tuple[int, int], dict[str, Any]] = {}
    # What matters more is drawn over what matters less, or in its place where both are short.
    for stretch in sorted(timeline, key=lambda stretch: -_top(stretch.kind)):
        first, last = round(across(stretch.start)), round(across(stretch.end))
        first = min(first, round(across.end) - 1)
        last = max(first + 1, last)
        title = f"{format_period(stretch.start, stretch.end)}: {_label(stretch.kind)}"
        if stretch.polls:
            polls = ngettext("%(count)s poll", "%(count)s polls", stretch.polls)
            title += f", {polls % {'count': format_number(stretch.polls)}}"
        bars.pop((first, last), None)
        bars[first, last] = {
            "x": first * MIN_WIDTH,
            "y": _top(stretch.kind),
            "height": HEIGHT - _top(stretch.kind),
            "width": (last - first) * MIN_WIDTH,
            "fill": _hatch(prefix, stretch.kind).id,
            "title": title,
        }
    return list(bars.values())


def make_marks(
    maintenance: Iterable[tuple[datetime, datetime]], start: float, end: float
) -> list[Span]:
    """Return the parts of times of maintenance that are in the strip, oldest first."""
    spans = [
        Span(max(start, seconds(first)), min(end, seconds(last))) for first, last in maintenance
    ]
    return merge([span for span in spans if span.start < span.end])


def _mark_bars(
    marks: Iterable[Span], start: float, end: float, prefix: str
) -> list[dict[str, Any]]:
    stretched = [Stretch(mark.start, mark.end, _MAINTENANCE, 0) for mark in marks]
    fill = make_hatch(prefix, *_MAINTENANCE_HATCH).id
    place = {"y": HEIGHT + 2, "height": _MARK_HEIGHT, "fill": fill}
    return [bar | place for bar in make_bars(stretched, start, end, prefix)]


def availability(
    periods: Iterable[SyncPeriod],
    since: datetime,
    now: datetime,
    *,
    gap_after: timedelta = GAP_AFTER,
) -> tuple[str, str]:
    """Return the share of the polled time in which it was good, and what a strip says in words.

    The share is "" if it was never polled.
    """
    start, end = seconds(since), seconds(now)
    if end <= start:
        return "", ""
    totals = sum_kinds(stretches(periods, start, end, gap_after), start, end)
    words = " · ".join(in_words(total, totals) for total in totals)
    return (format_percent(totals) if {total.kind for total in totals} != {GAP} else "", words)


def sum_kinds(timeline: Iterable[Stretch], start: float, end: float) -> list[Total]:
    """Return the totals of each kind: the good first, if it was polled at all, then the longest."""
    totals: dict[str, Total] = {}
    for stretch in timeline:
        duration = max(0.0, min(stretch.end, end) - max(stretch.start, start))
        _kind, before, times = totals.get(stretch.kind, Total(stretch.kind, 0.0, 0))
        totals[stretch.kind] = Total(stretch.kind, before + duration, times + 1)
    if set(totals) - {GAP}:
        totals.setdefault(GOOD, Total(GOOD, 0.0, 0))
    return sorted(totals.values(), key=lambda total: (total.kind != GOOD, -total.duration))


def good_percent(totals: Iterable[Total]) -> float:
    """Return the share of the polled time that was good, in percent, rounded down to a tenth.

    Only what is all or nothing is 100 or 0.
    """
    polled = [total for total in totals if total.kind != GAP]
    good = sum(total.duration for total in polled if total.kind == GOOD)
    if all(total.kind == GOOD for total in polled):
        return 100.0
    if not any(total.kind == GOOD and total.times for total in polled):
        return 0.0
    # However short: what failed once is not 100 %.
    tenths = floor(1000 * good / max(1.0, sum(total.duration for total in polled)))
    return min(999, max(1, tenths)) / 10


def format_percent(totals: Iterable[Total]) -> str:
    """Return `good_percent` as people write it."""
    percent = good_percent(totals)
    return f"{format_number(percent, digits=0 if percent in (0.0, 100.0) else 1)} %"


def in_words(total: Total, totals: Iterable[Total]) -> str:
    time = _duration(total.duration)
    if total.kind == GOOD:
        return _("Reachable %(time)s (%(percent)s)") % {
            "time": time,
            "percent": format_percent(totals),
        }
    if total.kind == GAP:
        return _("Not polled for %(time)s") % {"time": time}
    counted = {"label": _label(total.kind), "count": total.times, "time": time}
    if total.kind == "Unreachable":
        text = ngettext(
            "%(count)d outage, %(time)s", "%(count)d outages, %(time)s in total", total.times
        )
    else:
        text = ngettext(
            "%(label)s once, %(time)s",
            "%(label)s %(count)d times, %(time)s in total",
            total.times,
        )
    return text % counted


def _duration(duration: float) -> str:
    return format_duration(timedelta(seconds=duration))


def _label(kind: str) -> str:
    if kind == GOOD:
        return _("Reachable")
    if kind == GAP:
        return _("Not polled")
    if kind == _MAINTENANCE:
        return _("Maintenance")
    return sync_status_label(kind)[:_MAX_LABEL_LENGTH]


def _top(kind: str) -> int:
    return _TOPS.get(kind, 0)


def _hatch(prefix: str, kind: str) -> Hatch:
    return make_hatch(prefix, *_HATCHES.get(kind, _UNKNOWN_HATCH))
