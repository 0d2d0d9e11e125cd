"""The progress of an import over time: its counters, its steps, and when it was stalled."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from importmonitor.charts.hatches import make_hatch
from importmonitor.charts.history import History, build_history, format_status
from importmonitor.charts.scales import (
    Scale,
    Tick,
    compact,
    format_period,
    local,
    short_time,
    time_ticks,
)
from importmonitor.charts.steps import MIN_WIDTH, step_bands
from importmonitor.charts.stretches import GAP_AFTER, Span, merge
from importmonitor.humanize import format_duration, format_number
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod
from importmonitor.rocketchat.counters import Counters

# The drawing in pixels: the labels of the steps are above TOP, those of the time below FLOOR. With
# errors, the progress ends at MIDDLE, and the errors begin at ERRORS_TOP.
HEIGHT, TOP, MIDDLE, ERRORS_TOP, FLOOR = 250, 34, 176, 194, 228
#: The lines have coordinates of their own, which are stretched to the drawing's width.
COLUMNS = 600
_MAX_ROWS = 30

#: The values of a counter by column; None where Rocket.Chat gave none.
Values = Sequence[tuple[int, int | None]]
_Item = TypeVar("_Item")


def progress_chart(
    operation: ImportOperation,
    samples: Iterable[ProgressSample],
    transitions: Iterable[StatusTransition],
    periods: Iterable[SyncPeriod],
    now: datetime,
    *,
    gap_after: timedelta = GAP_AFTER,
) -> SafeString:
    """Draw an operation's progress, with the same in words and as a table.

    The samples and transitions are the operation's; the periods are those of its workspace that
    overlap the time from its start to its end. All may come in any order. With more than
    `gap_after` between two periods, the workspace was not polled.

    Makes no query, and raises nothing whatever the rows hold.
    """
    history = build_history(operation, samples, transitions, periods, now, gap_after)
    prefix = f"im-progress-{operation.pk}"
    context: dict[str, Any] = {
        "prefix": prefix,
        "height": HEIGHT,
        "top": TOP,
        "floor": FLOOR,
        "band_height": FLOOR - TOP,
        "columns": COLUMNS,
        "stalled": make_hatch(prefix, "slash", "bad"),
        "unpolled": make_hatch(prefix, "dots", "quiet"),
        "has_counters": history.has_counters,
    }
    if history.has_counters:
        total = history.last("total")
        context |= {
            **_drawing(history, operation.progress),
            "words": in_words(history),
            "period": format_period(history.start, history.end),
            "uncounted_until": _uncounted_until(history),
            "last_total": "" if total is None else format_number(total),
            "stalled_words": stalled_in_words(history.stalls),
            "unpolled_words": unpolled_in_words(history.unpolled),
            "rows": _rows(history),
        }
    return render_to_string("importmonitor/charts/progress.html", context)


def _drawing(history: History, counters: Counters) -> dict[str, Any]:
    """Return what is drawn where: across in percent or, for paths, in COLUMNS; down in pixels.

    `counters` are the operation's: users can be counted twice, and are drawn once.
    """
    across = Scale(history.start, history.end, 0, 100)
    errors, totals = (_values(history, name) for name in ("error", "total"))
    if counters.users_twice:
        completed = _records(history, counters)
    else:
        completed = _values(history, "completed")
    full = history.last("total")
    # Rocket.Chat can count 179 of 135, which is drawn as that.
    highest = max(_peak(completed), _peak(totals), full or 0, 1)
    down = Scale(0, highest, MIDDLE if _peak(errors) else FLOOR, TOP)
    ticks = [Tick(down(value), compact(value)) for value in (0, highest)]
    # What is more than twice the total is no part of a whole.
    if full is not None and full > 0 and highest <= 2 * full:
        ticks = [Tick(down(full * share / 100), f"{share} %") for share in (0, 50, 100)]
    panels = [_panel("busy", completed, down, ticks) | {"total": _path(totals, down)}]
    if peak := _peak(errors):
        down_errors = Scale(0, peak, FLOOR, ERRORS_TOP)
        ticks = [Tick(down_errors(value), compact(value)) for value in (0, peak)]
        panels.append(_panel("bad", errors, down_errors, ticks) | {"caption": ERRORS_TOP - 5})
    return {
        "times": time_ticks(history.start, history.end),
        "unpolled_bands": _bands(history.unpolled, across),
        "stalled_bands": _bands(history.stalls, across),
        "panels": panels,
        "steps": step_bands(history.steps, across),
        "mark": _mark(completed, down, full),
    }


def _values(history: History, counter: str) -> Values:
    """Return the last value of each column that has one."""
    across = Scale(history.start, history.end, 0, COLUMNS)
    values = {round(across(point.at)): getattr(point, counter) for point in history.points}
    return list(values.items())


def _records(history: History, counters: Counters) -> Values:
    """Return the last number of different records of each column that has one."""
    across = Scale(history.start, history.end, 0, COLUMNS)
    values = {
        round(across(point.at)): replace(
            counters, completed=point.completed, error=point.error
        ).records
        for point in history.points
    }
    return list(values.items())


def _peak(values: Values) -> int:
    return max((value for _x, value in values if value is not None and value > 0), default=0)


def _panel(tone: str, values: Values, down: Scale, ticks: list[Tick]) -> dict[str, Any]:
    """Return a part of the drawing with a scale of its own."""
    area = _path(values, down, floor=down.start)
    return {"tone": tone, "line": _path(values, down), "area": area, "ticks": ticks}


def _path(values: Values, down: Scale, floor: float | None = None) -> str:
    """Return a path in steps, or with a `floor` the areas below it.

    In steps, since a counter is only stored when it moved: a slope from one value to the next
    would show a stall as slow progress. Where there was no value, there is no line.
    """
    ends = [*(x for x, _value in values[1:]), COLUMNS]
    steps = [(x, end, value) for (x, value), end in zip(values, ends, strict=False)]
    path = ""
    for has_value, group in groupby(steps, key=lambda step: step[2] is not None):
        if has_value:
            run = list(group)
            start = run[0][0]
            line = "V".join(f"{down(value or 0)}H{end}" for _x, end, value in run)
            path += f"M{start} {line}" if floor is None else f"M{start} {floor}V{line}V{floor}Z"
    return path


def _bands(spans: Sequence[Span], across: Scale) -> list[dict[str, Any]]:
    """Return bands that are wide enough to be visible, and merged where they almost touch."""
    bands = []
    for span in merge(spans, apart=MIN_WIDTH * (across.high - across.low) / 100):
        x = min(across(span.start), 100 - MIN_WIDTH)
        width = max(MIN_WIDTH, round(across(span.end) - x, 2))
        bands.append({"x": x, "width": width, "title": format_period(span.start, span.end)})
    return bands


def _uncounted_until(history: History) -> str:
    """Return until when there were no counters, "" if there were from the start on."""
    counted = (point.at for point in history.points if point.completed is not None)
    first = next(counted, history.start)
    is_visible = (first - history.start) * 100 > MIN_WIDTH * 4 * (history.end - history.start)
    return f"{local(first):%H:%M:%S}" if is_visible else ""


def _mark(completed: Values, down: Scale, full: int | None) -> dict[str, Any] | None:
    """Return the last value, which is written where there is more room."""
    column, value = next(
        ((x, value) for x, value in completed[::-1] if value is not None), (0, None)
    )
    if value is None:
        return None
    # It holds to the end, unless the counter is missing by then.
    x = 100.0 if completed[-1][1] is not None else round(100 * column / COLUMNS, 2)
    label = format_number(value)
    if full and 0 <= value <= full:
        label = f"{label} ({value * 100 // full} %)"
    return {"x": x, "y": down(value), "anchor": "end" if x > 50 else "start", "label": label}


def in_words(history: History) -> str:
    """Return in a sentence what the chart shows."""
    completed, total = history.last("completed"), history.last("total")
    counted = {
        "completed": _format_count(completed),
        "total": _format_count(total),
        "time": format_duration(timedelta(seconds=history.end - history.start)),
    }
    if completed is None:
        parts = [_("%(total)s in total, after %(time)s") % counted]
    elif total is None:
        parts = [_("%(completed)s after %(time)s") % counted]
    else:
        parts = [_("%(completed)s of %(total)s after %(time)s") % counted]
    errors = history.last("error") or 0
    if errors > 0:
        text = ngettext("%(count)s error", "%(count)s errors", errors)
        parts.append(text % {"count": format_number(errors)})
    parts += [stalled_in_words(history.stalls), unpolled_in_words(history.unpolled)]
    return " · ".join(filter(None, parts))


def stalled_in_words(spans: Sequence[Span]) -> str:
    """Return how often and how long an import was stalled; empty if it never was."""
    text = ngettext(
        "stalled for %(time)s", "stalled %(count)d times, %(time)s in total", len(spans)
    )
    return text % {"count": len(spans), "time": _sum(spans)} if spans else ""


def unpolled_in_words(spans: Sequence[Span]) -> str:
    """Return how often and how long the workspace was not polled; empty if it always was."""
    text = ngettext(
        "not polled for %(time)s", "not polled %(count)d times, %(time)s in total", len(spans)
    )
    return text % {"count": len(spans), "time": _sum(spans)} if spans else ""


def _sum(spans: Sequence[Span]) -> str:
    return format_duration(timedelta(seconds=sum(span.end - span.start for span in spans)))


def _format_count(value: int | None) -> str:
    return "–" if value is None else format_number(value)


def _rows(history: History) -> list[dict[str, Any]]:
    """Return transitions and samples as a table, evenly chosen where there are many."""
    steps = _spread(history.steps, _MAX_ROWS // 2)
    points = _spread(history.points, _MAX_ROWS - len(steps))
    # A transition and a sample of the same poll are one row.
    chosen = {step.at: step.counters for step in steps} | {point.at: point for point in points}
    times = [step.at for step in history.steps]
    rows = []
    for at, counters in sorted(chosen.items()):
        reached = history.steps[: bisect_right(times, at)]
        remarks = (step.remark for step in reached if step.at == at)
        rows.append(
            {
                "at": short_time(at),
                "moment": local(at),
                "counters": [_format_count(count) for count in counters[1:]],
                "step": format_status(reached[-1].status) if reached else "–",
                "remark": ", ".join(filter(None, remarks)),
            }
        )
    return rows


def _spread(items: Sequence[_Item], limit: int) -> Sequence[_Item]:
    """Return at most `limit` of these, evenly spread, with the first and the last."""
    if len(items) <= limit:
        return items
    step = (len(items) - 1) / (limit - 1)
    return [items[round(index * step)] for index in range(limit)]
