"""The number of imports per week, by outcome."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils import formats
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from importmonitor.charts.hatches import OUTCOME_HATCHES, make_hatch
from importmonitor.charts.scales import Tick, compact, short_date
from importmonitor.humanize import format_number
from importmonitor.models import Outcome

#: The drawing in pixels: the dates are below FLOOR.
HEIGHT, TOP, FLOOR = 82, 8, 64
#: In pixels: what is lower is neither visible nor clickable.
MIN_HEIGHT = 3.0
#: In percent.
_MAX_BAR_WIDTH = 5.0
#: As many dates fit under the chart on a phone.
_MAX_DATES = 6

#: The words, shapes and tones of the outcomes, as the admin's badges have them.
Badges = Mapping[Outcome, tuple[Any, str, str]]


class Week(NamedTuple):
    """The imports of seven days from `start` on, counted by outcome."""

    start: date
    counts: dict[Outcome, int]

    def count(self, outcome: Outcome) -> int:
        return max(0, self.counts.get(outcome, 0))


def weeks_chart(
    weeks: Sequence[Week], href: Callable[[Week, Outcome], str], badges: Badges
) -> SafeString:
    """Draw the imports of each week by outcome, with links, and the same as a table.

    `weeks` are in order and without gaps, oldest first; `href` returns where a part of a bar
    leads; `badges` give each outcome a word, a shape and a tone.
    """
    totals = {outcome: sum(week.count(outcome) for week in weeks) for outcome in Outcome}
    totals = {outcome: total for outcome, total in totals.items() if total}
    hatches = {
        outcome: make_hatch("im-weeks", OUTCOME_HATCHES[outcome], badges[outcome][2])
        for outcome in totals
    }
    peak = max([1, *(sum(map(week.count, Outcome)) for week in weeks)])
    # Every part keeps room for its MIN_HEIGHT.
    unit = (FLOOR - TOP - MIN_HEIGHT * len(totals)) / peak
    slot = 100 / max(1, len(weeks))
    width = round(min(_MAX_BAR_WIDTH, slot * 0.75), 2)
    rows, parts = [], []
    for index, week in enumerate(weeks):
        name = format_week(week)
        links: list[dict[str, Any] | None] = []
        y = float(FLOOR)
        for outcome in totals:
            count = week.count(outcome)
            if not count:
                links.append(None)
                continue
            label = f"{name}: {_format_count(count, badges[outcome])}"
            link = {"count": format_number(count), "href": href(week, outcome), "label": label}
            links.append(link)
            height = round(max(MIN_HEIGHT, count * unit), 1)
            y = round(y - height, 1)
            x = round(slot * index + (slot - width) / 2, 2)
            parts.append(link | {"x": x, "y": y, "height": height, "fill": hatches[outcome].id})
        rows.append((name, week.start, links))
    context = {
        "words": in_words(totals, badges),
        "hatches": hatches.values(),
        "height": HEIGHT,
        "floor": FLOOR,
        "counts": [Tick(FLOOR, "0"), Tick(round(FLOOR - peak * unit, 1), compact(peak))],
        "dates": date_ticks(weeks),
        "width": width,
        "parts": parts,
        "legend": [
            (hatches[outcome], badges[outcome][1], badges[outcome][0]) for outcome in totals
        ],
        "columns": [badges[outcome][0] for outcome in totals],
        "rows": rows,
    }
    return render_to_string("importmonitor/charts/weeks.html", context)


def date_ticks(weeks: Sequence[Week]) -> list[Tick]:
    """Return the first days of some weeks, evenly spread and with the newest."""
    step = -(-len(weeks) // _MAX_DATES) or 1
    return [
        Tick(round((index + 0.5) * 100 / len(weeks), 2), short_date(weeks[index].start))
        for index in range((len(weeks) - 1) % step, len(weeks), step)
    ]


def format_week(week: Week) -> str:
    """Return the days of a week as 12–18 Oct or 29 Oct – 4 Nov."""
    last = date.fromordinal(min(week.start.toordinal() + 6, date.max.toordinal()))
    if week.start.month == last.month:
        first = formats.date_format(week.start, pgettext("date format: first day of a week", "j"))
        return f"{first}–{short_date(last)}"
    return f"{short_date(week.start)} – {short_date(last)}"


def in_words(totals: Mapping[Outcome, int], badges: Badges) -> str:
    """Return in a sentence what the chart shows."""
    count = sum(totals.values())
    if not count:
        return _("Nothing was imported.")
    text = ngettext("%(count)s import: %(outcomes)s", "%(count)s imports: %(outcomes)s", count)
    outcomes = ", ".join(_format_count(total, badges[outcome]) for outcome, total in totals.items())
    return text % {"count": format_number(count), "outcomes": outcomes}


def _format_count(count: int, badge: tuple[Any, str, str]) -> str:
    # Translated as a whole: in some languages a word after a number is in the plural.
    return _("%(count)s %(outcome)s") % {"count": format_number(count), "outcome": badge[0]}
