"""The geometry of the progress chart: from a history to the places where lines and words go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from importmonitor.charts.history import History
from importmonitor.charts.labels import Boundary, Mark, boundaries, marks
from importmonitor.charts.lines import Values, path, peak_of, thinned
from importmonitor.charts.scales import (
    Frame,
    Scale,
    Tick,
    compact,
    count_ticks,
    period_of,
    time_ticks,
)
from importmonitor.charts.stretches import Span, merged

FRAMES = (
    Frame("wide", width=640, height=250, left=52, right=20, top=34, bottom=22),
    Frame("narrow", width=320, height=230, left=48, right=20, top=34, bottom=22),
)

_ERRORS_HEIGHT = 34
_BETWEEN = 18
#: What is shorter could not be seen.
_LEAST_BAND = 3.0
_LEAST_APART = 3.0


class Band(NamedTuple):
    """A time in which the import stood still, or was not watched."""

    x: float
    width: float
    title: str


class Panel(NamedTuple):
    """A part of the drawing with a scale of its own: two paths, and what the scale's ticks are."""

    top: float
    floor: float
    line: str
    area: str
    ticks: tuple[Tick, ...]

    @property
    def caption(self) -> float:
        """Where a word above the panel stands."""
        return self.top - 5


@dataclass(frozen=True)
class Plot:
    """All that is drawn, in the units of the frame's viewBox.

    `total` is the path of the total, empty where it was never known; `errors` is None where there
    were none.
    """

    frame: Frame
    progress: Panel
    total: str
    errors: Panel | None
    stalls: tuple[Band, ...]
    unwatched: tuple[Band, ...]
    boundaries: tuple[Boundary, ...]
    marks: tuple[Mark, ...]
    times: tuple[Tick, ...]

    @property
    def height(self) -> int:
        """How high a band is: it goes through all panels."""
        return self.frame.floor - self.frame.top


def plot(history: History, frame: Frame) -> Plot:
    """Return where everything goes."""
    across = Scale(history.start, history.end, frame.left, frame.end)
    completed = thinned([(each.at, each.completed) for each in history.points])
    errors = thinned([(each.at, each.error) for each in history.points])
    totals = thinned([(each.at, each.total) for each in history.points])
    has_errors = peak_of(errors) > 0
    floor = frame.floor - (_ERRORS_HEIGHT + _BETWEEN if has_errors else 0)
    down, ticks = _progress_scale(
        peak_of(completed), peak_of(totals), history.last("total"), frame.top, floor
    )
    return Plot(
        frame=frame,
        progress=_panel(completed, across, down, ticks),
        total=path(totals, across, down),
        errors=_errors(errors, across, frame.floor) if has_errors else None,
        stalls=_bands(history.stalls, across),
        unwatched=_bands(history.unwatched, across),
        boundaries=boundaries(history.steps, across, frame),
        marks=marks(completed, across, down, history.last("total"), frame),
        times=tuple(time_ticks(history.start, history.end, frame)),
    )


def _progress_scale(
    peak: int, peak_total: int, total: int | None, top: float, floor: float
) -> tuple[Scale, list[Tick]]:
    """Return the scale of the counts and its ticks: in percent where that means something.

    Rocket.Chat can count 179 of 135, which is drawn as that. What passes the double is no part
    of a whole any more.
    """
    highest = max(peak, peak_total, 1)
    if total is not None and total > 0 and highest <= 2 * total:
        most = 100 if highest <= total else 150 if 2 * highest <= 3 * total else 200
        down = Scale(0, total * most / 100, floor, top)
        return down, [
            Tick(down(total * each / 100), f"{each} %") for each in range(0, most + 1, 50)
        ]
    values = count_ticks(highest)
    down = Scale(0, values[-1], floor, top)
    return down, [Tick(down(value), compact(value)) for value in values]


def _panel(values: Values, across: Scale, down: Scale, ticks: Iterable[Tick]) -> Panel:
    return Panel(
        top=down.end,
        floor=down.start,
        line=path(values, across, down),
        area=path(values, across, down, floor=down.start),
        ticks=tuple(ticks),
    )


def _errors(values: Values, across: Scale, floor: float) -> Panel:
    peak = peak_of(values)
    down = Scale(0, peak, floor, floor - _ERRORS_HEIGHT)
    return _panel(values, across, down, [Tick(down(each), compact(each)) for each in (0, peak)])


def _bands(spans: Sequence[Span], across: Scale) -> tuple[Band, ...]:
    """Return bands that can be seen, and told apart: what is all but one is drawn as one."""
    unit = (across.high - across.low) / (across.end - across.start)
    bands = []
    for span in merged(spans, apart=_LEAST_APART * unit):
        x = min(across(span.start), across.end - _LEAST_BAND)
        width = max(_LEAST_BAND, round(across(span.end) - x, 1))
        bands.append(Band(x, width, period_of(span.start, span.end)))
    return tuple(bands)
