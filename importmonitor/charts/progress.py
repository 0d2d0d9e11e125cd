"""How an import went over time: its counters, its steps, and when it stood still."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from importmonitor.charts.hatches import hatch
from importmonitor.charts.history import History, in_words, read
from importmonitor.charts.plot import FRAMES, plot
from importmonitor.charts.scales import grouped, local, period_of, short_time
from importmonitor.charts.stretches import GAP_AFTER, Span
from importmonitor.humanize import format_duration
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, SyncPeriod

MOST_ROWS = 30

_Any = TypeVar("_Any")


class Row(NamedTuple):
    """A line of the table: the counters as they were seen, and the step at that time."""

    at: str
    moment: datetime
    completed: str
    error: str
    total: str
    step: str
    remark: str


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
    touch the time from its start to its end. All may come in any order. Two periods with more
    than `gap_after` between them leave a time in which nobody looked.

    Asks the database nothing, and raises nothing whatever the rows hold.
    """
    history = read(operation, samples, transitions, periods, now, gap_after)
    prefix = f"im-progress-{operation.pk}"
    total = history.last("total")
    context: dict[str, Any] = {
        "history": history,
        "prefix": prefix,
        "plots": [plot(history, frame) for frame in FRAMES] if history.has_counters else [],
        "stalled": hatch(prefix, "slash", "bad"),
        "unwatched": hatch(prefix, "dots", "quiet"),
        "words": words(history),
        "period": period_of(history.start, history.end),
        "total": "" if total is None else grouped(total),
        "stalls": stalls_in_words(history.stalls),
        "unwatched_in_words": unwatched_in_words(history.unwatched),
        "rows": table(history),
    }
    return render_to_string("importmonitor/charts/progress.html", context)


def words(history: History) -> str:
    """Tell in a sentence what the chart shows."""
    completed, total = history.last("completed"), history.last("total")
    counted = {
        "completed": _counted(completed),
        "total": _counted(total),
        "time": format_duration(timedelta(seconds=history.end - history.start)),
    }
    if completed is None:
        told = [_("%(total)s in all, after %(time)s") % counted]
    elif total is None:
        told = [_("%(completed)s after %(time)s") % counted]
    else:
        told = [_("%(completed)s of %(total)s after %(time)s") % counted]
    errors = history.last("error") or 0
    if errors > 0:
        counted_errors = ngettext("%(count)s error", "%(count)s errors", errors)
        told.append(counted_errors % {"count": _counted(errors)})
    told += filter(None, (stalls_in_words(history.stalls), unwatched_in_words(history.unwatched)))
    return "; ".join(told)


def stalls_in_words(spans: Sequence[Span]) -> str:
    """Tell how often and how long an import stood still; nothing if it never did."""
    if not spans:
        return ""
    return ngettext(
        "stalled once for %(time)s", "stalled %(count)d times, for %(time)s in all", len(spans)
    ) % {"count": len(spans), "time": _in_all(spans)}


def unwatched_in_words(spans: Sequence[Span]) -> str:
    """Tell how often and how long nobody could look; nothing if somebody always could."""
    if not spans:
        return ""
    return ngettext(
        "not watched for %(time)s",
        "not watched %(count)d times, for %(time)s in all",
        len(spans),
    ) % {"count": len(spans), "time": _in_all(spans)}


def _in_all(spans: Sequence[Span]) -> str:
    return format_duration(timedelta(seconds=sum(each.end - each.start for each in spans)))


def _counted(value: int | None) -> str:
    return "–" if value is None else grouped(value)


def table(history: History) -> list[Row]:
    """Return the same in rows: transitions and samples, evenly chosen where there are many."""
    steps = _some(history.steps, MOST_ROWS // 2)
    points = _some(history.points, MOST_ROWS - len(steps))
    # A transition and a sample of the same look are one row.
    chosen = {each.at: each.counters for each in steps} | {each.at: each for each in points}
    times = [each.at for each in history.steps]
    rows = []
    for at, counters in sorted(chosen.items()):
        reached = history.steps[: bisect_right(times, at)]
        rows.append(
            Row(
                at=short_time(at),
                moment=local(at),
                completed=_counted(counters.completed),
                error=_counted(counters.error),
                total=_counted(counters.total),
                step=in_words(reached[-1].status) if reached else "–",
                remark=", ".join(each.remark for each in reached if each.at == at and each.remark),
            )
        )
    return rows


def _some(rows: Sequence[_Any], most: int) -> Sequence[_Any]:
    """Return at most so many of these, evenly, with the first and the last."""
    if len(rows) <= most:
        return rows
    step = (len(rows) - 1) / (most - 1)
    return [rows[round(index * step)] for index in range(most)]
