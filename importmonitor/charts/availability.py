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
from importmonitor.charts.scales import Scale, format_period, seconds, short_time
from importmonitor.charts.stretches import GAP, GAP_AFTER, GOOD, Stretch, stretches
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
) -> SafeString:
    """Draw the availability of a workspace from `since` to `now`, with the same in words.

    `periods` are the workspace's, of that time, in any order. With more than `gap_after` between
    two of them, it was not polled. `name` is the workspace's alias: it is in the title, and keeps
    the ids of several strips in a page apart.

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
    context = {
        "prefix": prefix,
        "name": name,
        "bars": make_bars(timeline, start, end, prefix),
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
    time = format_duration(timedelta(seconds=total.duration))
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


def _label(kind: str) -> str:
    if kind == GOOD:
        return _("Reachable")
    if kind == GAP:
        return _("Not polled")
    return sync_status_label(kind)[:_MAX_LABEL_LENGTH]


def _top(kind: str) -> int:
    return _TOPS.get(kind, 0)


def _hatch(prefix: str, kind: str) -> Hatch:
    return make_hatch(prefix, *_HATCHES.get(kind, _UNKNOWN_HATCH))
