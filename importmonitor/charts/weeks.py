"""How many imports there were each week, and how they ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils import formats
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from importmonitor.charts.hatches import hatch
from importmonitor.charts.scales import (
    LETTER_WIDTH,
    Frame,
    Tick,
    compact,
    grouped,
    room_of,
    short_date,
)
from importmonitor.models import Outcome

FRAMES = (
    Frame("wide", width=640, height=120, left=48, right=16, top=8, bottom=20),
    Frame("narrow", width=320, height=120, left=46, right=18, top=8, bottom=20),
)

#: What fills each outcome's part of a bar; the tone is its badge's.
_TILES = {
    Outcome.DONE: "plain",
    Outcome.DONE_WITH_ERRORS: "slash",
    Outcome.INCOMPLETE: "flat",
    Outcome.FAILED: "cross",
    Outcome.INTERRUPTED: "zigzag",
    Outcome.SUPERSEDED: "upright",
    Outcome.CANCELED: "dots",
}
_WIDEST_BAR = 30.0
#: What is lower could neither be seen nor hit.
_LEAST_HEIGHT = 3.0

#: The words, shapes and tones of the outcomes, as the admin's badges have them.
Badges = Mapping[Outcome, tuple[Any, str, str]]


class Week(NamedTuple):
    """The imports of seven days from `start` on, counted by how they ended."""

    start: date
    counts: dict[Outcome, int]

    def of(self, outcome: Outcome) -> int:
        """Return how many ended so."""
        return max(0, self.counts.get(outcome, 0))

    @property
    def total(self) -> int:
        return sum(self.of(outcome) for outcome in Outcome)


class Link(NamedTuple):
    """Where a part of a bar leads, with its count, and in words."""

    number: str
    href: str
    words: str


class Part(NamedTuple):
    """A part of a week's bar; `week` is its place in the list of weeks."""

    week: int
    outcome: Outcome
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bars:
    """All that is drawn, in the units of the frame's viewBox: parts, and the axes' ticks."""

    frame: Frame
    parts: tuple[Part, ...]
    counts: tuple[Tick, ...]
    dates: tuple[Tick, ...]


def weeks_chart(
    weeks: Sequence[Week], href: Callable[[Week, Outcome], str], badges: Badges
) -> SafeString:
    """Draw the imports of each week by outcome, with links, and the same as a table.

    `weeks` are the oldest first and without holes; `href` returns where a part of a bar leads;
    `badges` give each outcome a word, a shape and a tone.
    """
    seen = [each for each in Outcome if any(week.of(each) for week in weeks)]
    hatches = {each: hatch("im-weeks", _TILES[each], badges[each][2]) for each in seen}
    names = [week_in_words(week) for week in weeks]
    links = {
        (index, outcome): Link(
            grouped(week.of(outcome)),
            href(week, outcome),
            f"{names[index]}: {_counted(week.of(outcome), outcome, badges)}",
        )
        for index, week in enumerate(weeks)
        for outcome in seen
        if week.of(outcome)
    }
    drawn = [bars(weeks, frame) for frame in FRAMES] if seen else []
    totals = {each: sum(week.of(each) for week in weeks) for each in seen}
    context = {
        "words": in_words(weeks, totals, badges),
        "hatches": hatches.values(),
        "charts": [
            (
                each,
                # Dicts: a template asks for a key first, and finds an attribute by an error.
                [
                    part._asdict()
                    | links[part.week, part.outcome]._asdict()
                    | {"fill": hatches[part.outcome].id}
                    for part in each.parts
                ],
            )
            for each in drawn
        ],
        "legend": [
            (hatches[each], badges[each][1], _counted(totals[each], each, badges)) for each in seen
        ],
        "columns": [badges[each][0] for each in seen],
        "rows": [
            (names[index], week.start, [links.get((index, each)) for each in seen])
            for index, week in enumerate(weeks)
        ],
    }
    return render_to_string("importmonitor/charts/weeks.html", context)


def bars(weeks: Sequence[Week], frame: Frame) -> Bars:
    """Return where everything goes; a part that is there can always be seen and hit."""
    slot = (frame.end - frame.left) / max(1, len(weeks))
    width = round(min(_WIDEST_BAR, slot * 0.75), 1)
    peak = max([1, *(week.total for week in weeks)])
    most = max([1, *(sum(1 for each in Outcome if week.of(each)) for week in weeks)])
    unit = (frame.floor - frame.top - most * _LEAST_HEIGHT) / peak
    parts = []
    for index, week in enumerate(weeks):
        x = round(frame.left + slot * index + (slot - width) / 2, 1)
        y = float(frame.floor)
        for outcome in Outcome:
            if count := week.of(outcome):
                height = round(max(_LEAST_HEIGHT, count * unit), 1)
                y = round(y - height, 1)
                parts.append(Part(index, outcome, x, y, width, height))
    top = round(frame.floor - peak * unit, 1)
    return Bars(
        frame,
        tuple(parts),
        (Tick(frame.floor, "0"), Tick(top, compact(peak))),
        tuple(_dates(weeks, slot, frame)),
    )


def _dates(weeks: Sequence[Week], slot: float, frame: Frame) -> list[Tick]:
    """Return the first days of as many weeks as there is room for, counted from the newest."""
    ticks: list[Tick] = []
    free = float(frame.width)
    for index in reversed(range(len(weeks))):
        label = short_date(weeks[index].start)
        middle = round(frame.left + slot * (index + 0.5), 1)
        half = room_of(label) / 2
        if half <= middle <= free - half:
            ticks.insert(0, Tick(middle, label))
            free = middle - half - 2 * LETTER_WIDTH
    return ticks


def week_in_words(week: Week) -> str:
    """Write from when to when a week lasts: 12–18 Oct, 29 Oct – 4 Nov."""
    last = date.fromordinal(min(week.start.toordinal() + 6, date.max.toordinal()))
    if week.start.month == last.month:
        first = formats.date_format(week.start, pgettext("date format: first day of a week", "j"))
        return f"{first}–{short_date(last)}"
    return f"{short_date(week.start)} – {short_date(last)}"


def in_words(weeks: Sequence[Week], totals: Mapping[Outcome, int], badges: Badges) -> str:
    """Tell in a sentence what the chart shows."""
    count = sum(totals.values())
    within = ngettext("one week", "%(count)d weeks", len(weeks)) % {"count": len(weeks)}
    if not count:
        return (
            _("Nothing was imported in %(weeks)s.") % {"weeks": within}
            if weeks
            else _("Nothing was imported.")
        )
    told = ngettext("%(count)s import in %(weeks)s", "%(count)s imports in %(weeks)s", count)
    parts = ", ".join(_counted(each, outcome, badges) for outcome, each in totals.items())
    return f"{told % {'count': grouped(count), 'weeks': within}}: {parts}"


def _counted(count: int, outcome: Outcome, badges: Badges) -> str:
    # Said as a whole: in some languages a word after a number is in the plural.
    words = {"count": grouped(count), "outcome": badges[outcome][0]}
    return _("%(count)s %(outcome)s") % words
