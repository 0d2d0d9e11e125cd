"""The last imports, one bar each: how long they took, and how they ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from importmonitor.charts.hatches import OUTCOME_HATCHES, make_hatch
from importmonitor.charts.scales import Tick, seconds, short_time
from importmonitor.charts.weeks import FLOOR, HEIGHT, MIN_HEIGHT, TOP
from importmonitor.humanize import format_duration
from importmonitor.models import Outcome

#: In percent.
_MAX_BAR_WIDTH = 3.5


class Run(NamedTuple):
    """An import: its name, how long it took or has been running, its badge, and its page.

    `outcome` is None while it runs; `badge` is its label, symbol and tone.
    """

    name: str
    started_at: datetime
    duration: timedelta
    outcome: Outcome | None
    badge: tuple[Any, str, str]
    href: str


def runs_chart(runs: Sequence[Run]) -> SafeString:
    """Draw the durations of imports, oldest first, with links, and the same as a table.

    The height is the square root of the duration, so that short imports stay visible beside
    those that take days.
    """
    longest = max((_length(run) for run in runs), default=0.0)
    slot = 100 / max(1, len(runs))
    width = round(min(_MAX_BAR_WIDTH, slot * 0.8), 2)
    hatches, parts = {}, []
    for index, run in enumerate(runs):
        hatch = make_hatch("im-runs", OUTCOME_HATCHES[run.outcome], run.badge[2])
        hatches[hatch.id] = hatch
        share = sqrt(_length(run) / longest) if longest else 0.0
        height = round(max(MIN_HEIGHT, share * (FLOOR - TOP)), 1)
        parts.append(
            {
                "name": run.name,
                "started": short_time(seconds(run.started_at), "%H:%M"),
                "duration": format_duration(run.duration),
                "label": run.badge[0],
                "shape": run.badge[1],
                "tone": run.badge[2],
                "href": run.href,
                "x": round(slot * index + (slot - width) / 2, 2),
                "y": round(FLOOR - height, 1),
                "height": height,
                "fill": hatch.id,
            }
        )
    context = {
        "words": _in_words(runs),
        "hatches": hatches.values(),
        "height": HEIGHT,
        "floor": FLOOR,
        "ticks": _ticks(longest),
        "dates": [
            Tick(position, part["started"])
            for position, part in zip((0, 100), (*parts[:1], *parts[1:][-1:]), strict=False)
        ],
        "width": width,
        "parts": parts,
        "rows": parts[::-1],
    }
    return render_to_string("importmonitor/charts/runs.html", context)


def _length(run: Run) -> float:
    return max(0.0, run.duration.total_seconds())


def _ticks(longest: float) -> list[Tick]:
    """Return the labels of the axis: of the longest import, and of a quarter at half its height."""
    shares = {1.0: longest, 0.5: longest / 4} if longest >= 1 else {}
    return [
        Tick(round(FLOOR - share * (FLOOR - TOP), 1), format_duration(timedelta(seconds=length)))
        for share, length in shares.items()
    ]


def _in_words(runs: Sequence[Run]) -> str:
    if not runs:
        return _("Nothing was imported.")
    longest = max(runs, key=_length)
    return _("The last %(count)d imports; the longest took %(time)s.") % {
        "count": len(runs),
        "time": format_duration(longest.duration),
    }
