"""The line of figures above the history: the last 30 days, compared with the 30 before."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.translation import gettext as _

from importmonitor import humanize, shared_cache
from importmonitor.admin import display, times
from importmonitor.models import ImportOperation, Outcome, Viewer
from importmonitor.rocketchat.counters import Counters

DAYS = 30
#: The figures are those of at most this many operations, the newest of both periods.
MAX_ROWS = 5_000
#: The figures of so many operations are cached, for this many seconds.
MANY_ROWS = 500
CACHE_SECONDS = 60

_FIELDS = (
    *("started_at", "finished_at", "outcome"),
    *("count_completed", "count_error", "count_users", "users_twice"),
)


class Totals(NamedTuple):
    """The figures of one period; None: no operation has ended, or none without errors."""

    imports: int
    clean: float | None
    seconds: float | None
    records: int


class Figure(NamedTuple):
    """A figure, what it was before, and the filters of the operations that it counts."""

    label: str
    value: Any
    before: str
    href: str


def panel(
    viewer: Viewer, workspace: str, last_clean: datetime | None, now: datetime
) -> list[Figure]:
    """Return the figures of one workspace or of all; each links into the list below.

    `last_clean` is when the last import ended without errors.
    """
    start = _midnight(now, DAYS - 1)
    present, past = _totals(viewer, workspace, start, _midnight(now, 2 * DAYS - 1))
    filters = {"workspace": workspace} if workspace else {}
    recent = {**filters, "started_at__gte": start.isoformat(sep=" ")}
    clean = {"outcome": Outcome.DONE.value}
    return [
        _figure(_("Imports"), present, past, "imports", recent),
        _figure(_("Ended clean"), present, past, "clean", recent | clean),
        _figure(_("Median duration"), present, past, "seconds", recent | clean),
        _figure(_("Records"), present, past, "records", recent),
        Figure(
            _("Last clean import"),
            times.compact_time(last_clean) if last_clean else display.EMPTY,
            "",
            _link(filters | clean),
        ),
    ]


def _figure(
    label: str, present: Totals, past: Totals | None, name: str, filters: dict[str, str]
) -> Figure:
    before = ""
    if past is not None:
        before = _("before: %(value)s") % {"value": _format(name, getattr(past, name))}
    elif name == "imports" and present.imports >= MAX_ROWS:
        before = _("the newest ones")
    return Figure(label, _format(name, getattr(present, name)), before, _link(filters))


def _format(name: str, value: float | None) -> str:
    if value is None:
        return display.EMPTY
    if name == "clean":
        # Rounded down: 100 % means all.
        return f"{int(100 * value)} %"
    if name == "seconds":
        return humanize.format_duration(timedelta(seconds=value))
    return humanize.format_number(value)


def _totals(
    viewer: Viewer, workspace: str, start: datetime, earliest: datetime
) -> tuple[Totals, Totals | None]:
    """Return the totals since `start`, and those from `earliest` until then.

    None if there are so many operations that not all of them are counted.
    """
    key = shared_cache.make_key("figures", start, earliest, workspace, viewer.key)
    cached: list[Any] | None = shared_cache.get(key)
    if cached is None:
        rows = ImportOperation.objects.visible_to(viewer).filter(started_at__gte=earliest)
        rows = rows.newest_first()
        if workspace:
            rows = rows.filter(workspace=workspace)
        values = list(rows.values_list(*_FIELDS)[:MAX_ROWS])
        cached = [_count([row for row in values if row[0] >= start])]
        if len(values) < MAX_ROWS:
            cached.append(_count([row for row in values if row[0] < start]))
        if len(values) >= MANY_ROWS:
            shared_cache.set(key, cached, CACHE_SECONDS)
    present, *past = [Totals(*totals) for totals in cached]
    return present, past[0] if past else None


def _count(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    outcomes = Counter(row[2] for row in rows if row[2])
    clean = outcomes[Outcome.DONE] / outcomes.total() if outcomes else None
    seconds = [
        max((finished - started).total_seconds(), 0.0)
        for started, finished, outcome, *_counts in rows
        if outcome == Outcome.DONE and finished is not None
    ]
    records = 0
    for _started, _finished, _outcome, completed, error, users, users_twice in rows:
        counters = Counters(
            total=None, completed=completed, error=error, users=users, users_twice=users_twice
        )
        records += max((counters.records if users_twice else completed) or 0, 0)
    return [len(rows), clean, median(seconds) if seconds else None, records]


def _midnight(now: datetime, days_before: int) -> datetime:
    day = timezone.localdate(now) - timedelta(days=days_before)
    return timezone.make_aware(datetime.combine(day, time.min))


def _link(filters: dict[str, str]) -> str:
    # Relative to the page, so that it stays in its AdminSite.
    return f"?{urlencode(filters)}"
