"""How well a workspace could be looked at over time, as a strip."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils import formats
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import ngettext

from importmonitor.charts.hatches import Hatch, hatch
from importmonitor.charts.scales import Scale, grouped, period_of, seconds, short_minute
from importmonitor.charts.stretches import (
    GAP,
    GAP_AFTER,
    GOOD,
    OTHER,
    Stretch,
    stretches,
    word,
)
from importmonitor.humanize import format_duration
from importmonitor.models import SyncPeriod

WIDTH, HEIGHT = 640, 28
_SWATCH_HEIGHT = 12
MOST_BARS = 400
# A short stretch stands between any two cells: so many of these are as many bars as there may be.
_CELLS = MOST_BARS // 2 - 1
#: What is shorter could not be seen.
_LEAST_WIDTH = 1.5
#: More kinds than these are told together.
_MOST_KINDS = 10

#: PollFailure stands out, what was not looked at stays low: top and height.
_GOOD_PLACE, _GAP_PLACE, _TROUBLE_PLACE = (8, 20), (20, 8), (0, 28)
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
_UNKNOWN = ("dots", "bad")


class Bar(NamedTuple):
    """A rectangle of the strip; `fill` is the id of its hatch."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str


class Kind(NamedTuple):
    """All stretches of a kind: how long in seconds, and how many."""

    kind: str
    duration: float
    times: int


@dataclass(frozen=True)
class Availability:
    """What the strip shows, and the fills that it needs.

    `percent` is of the time that was looked at, None if none was.
    """

    bars: tuple[Bar, ...]
    hatches: tuple[Hatch, ...]
    kinds: tuple[Kind, ...]
    percent: float | None


def availability_strip(
    periods: Iterable[SyncPeriod],
    since: datetime,
    now: datetime,
    *,
    gap_after: timedelta = GAP_AFTER,
    name: str = "",
) -> SafeString:
    """Draw how a workspace could be looked at from `since` to `now`, with a figure and in words.

    `periods` are the workspace's, of that time, in any order. With more than `gap_after` between
    two of them, nobody looked. `name` is the workspace's alias: it is in the words, and keeps
    the ids of several strips in a page apart.

    Asks the database nothing, and raises nothing whatever the rows hold.
    """
    start = seconds(since)
    end = max(seconds(now), start + 1)
    prefix = f"im-availability-{slugify(name)}"
    found = availability(stretches(periods, start, end, gap_after), start, end, prefix)
    legend = [(_hatch(prefix, each.kind), _swatch(each.kind), told(each)) for each in found.kinds]
    percent = percent_in_words(found.percent)
    context = {
        "prefix": prefix,
        "name": name,
        # Dicts: a template asks for a key first, and finds an attribute by an error.
        "bars": [bar._asdict() for bar in found.bars],
        "hatches": found.hatches,
        "legend": legend,
        "percent": percent,
        "words": "; ".join([percent, *(words for _hatch, _swatch, words in legend)]),
        "ends": (short_minute(start), short_minute(end)),
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render_to_string("importmonitor/charts/availability.html", context)


def availability(
    found: Sequence[Stretch], start: float, end: float, prefix: str = ""
) -> Availability:
    """Return the geometry of the stretches between two times, and their sums."""
    clipped = [each for each in found if each.end >= start and each.start <= end]
    across = Scale(start, end, 0, WIDTH)
    groups = _grouped(clipped, (end - start) / _CELLS)
    # What matters more is drawn over what matters less, for it may be drawn wider than it was.
    groups.sort(key=lambda group: _rank(_main(group)))
    kinds = _kinds(clipped, start, end)
    drawn = [*(each.kind for each in clipped), *(each.kind for each in kinds)]
    return Availability(
        bars=tuple(_bar(group, across, prefix) for group in groups),
        # Once each, and always in the same order: a page is compared with what it was.
        hatches=tuple(dict.fromkeys(_hatch(prefix, each) for each in drawn)),
        kinds=tuple(kinds),
        percent=_percent(kinds),
    )


def _percent(kinds: Sequence[Kind]) -> float | None:
    looked = [each for each in kinds if each.kind != GAP]
    if all(each.kind == GOOD for each in looked):
        return 100.0 if looked else None
    good = sum(each.duration for each in looked if each.kind == GOOD)
    # However short: what failed once is not all.
    return min(99.9, 100 * good / max(1.0, sum(each.duration for each in looked)))


def _grouped(found: Sequence[Stretch], cell: float) -> list[list[Stretch]]:
    """Return the stretches, of too many those together that are shorter than a cell."""
    if len(found) <= MOST_BARS:
        return [[each] for each in found]
    groups: list[list[Stretch]] = []
    is_open = False
    for each in found:
        is_short = each.end - each.start < cell
        if is_open and is_short:
            groups[-1].append(each)
        else:
            groups.append([each])
        is_open = is_short and groups[-1][-1].end - groups[-1][0].start < cell
    return groups


def _main(group: Sequence[Stretch]) -> str:
    """Return the kind that a group is drawn as: its worst, and of these the longest."""
    return max(group, key=lambda each: (_rank(each.kind), each.end - each.start)).kind


def _rank(kind: str) -> int:
    return {GAP: 0, GOOD: 1}.get(kind, 2)


def _bar(group: Sequence[Stretch], across: Scale, prefix: str) -> Bar:
    main = _main(group)
    start, end = group[0].start, group[-1].end
    x = min(across(start), WIDTH - _LEAST_WIDTH)
    top, height = _place(main)
    polls = sum(each.polls for each in group)
    parts = [word(main)] if len(group) == 1 else [told(each) for each in _kinds(group, start, end)]
    if polls:
        counted = ngettext("%(count)s poll", "%(count)s polls", polls)
        parts.append(counted % {"count": grouped(polls)})
    return Bar(
        x=x,
        y=top,
        width=max(_LEAST_WIDTH, round(across(end) - x, 1)),
        height=height,
        fill=_hatch(prefix, main).id,
        title=f"{period_of(start, end)}: {', '.join(parts)}",
    )


def _kinds(found: Sequence[Stretch], start: float, end: float) -> list[Kind]:
    """Return the sums of each kind: the good first, then the longest; of many, some as OTHER."""
    sums: dict[str, Kind] = {}
    for each in found:
        duration = max(0.0, min(each.end, end) - max(each.start, start))
        before = sums.get(each.kind, Kind(each.kind, 0.0, 0))
        sums[each.kind] = Kind(each.kind, before.duration + duration, before.times + 1)
    ordered = sorted(sums.values(), key=lambda each: (each.kind != GOOD, -each.duration))
    kept, rest = ordered[:_MOST_KINDS], ordered[_MOST_KINDS:]
    if rest:
        duration, times = sum(each.duration for each in rest), sum(each.times for each in rest)
        kept.append(Kind(OTHER, duration, times))
    return kept


def told(kind: Kind) -> str:
    """Tell how often and how long something was so."""
    # Of what is good, how often says only how often something else came in between.
    times = 1 if kind.kind == GOOD else kind.times
    told_as = ngettext(
        "%(what)s for %(time)s", "%(what)s %(count)d times, for %(time)s in all", times
    )
    time = format_duration(timedelta(seconds=kind.duration))
    return told_as % {"what": word(kind.kind), "count": times, "time": time}


def percent_in_words(percent: float | None) -> str:
    """Write an availability with one decimal; only what is all or nothing as 100 or 0."""
    if percent is None:
        return "–"
    if percent in (0, 100):
        return f"{percent:.0f} %"
    tenths = min(999, max(1, floor(percent * 10)))
    return f"{formats.number_format(tenths / 10, 1)} %"


def _hatch(prefix: str, kind: str) -> Hatch:
    name, tone = _HATCHES.get(kind, _UNKNOWN)
    return hatch(prefix, name, tone)


def _place(kind: str) -> tuple[int, int]:
    return {GOOD: _GOOD_PLACE, GAP: _GAP_PLACE}.get(kind, _TROUBLE_PLACE)


def _swatch(kind: str) -> tuple[float, float]:
    """Return the place of a kind in the legend, where all is smaller."""
    top, height = _place(kind)
    return round(top * _SWATCH_HEIGHT / HEIGHT, 1), round(height * _SWATCH_HEIGHT / HEIGHT, 1)
