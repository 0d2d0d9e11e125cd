"""How the imports of each week ended."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Value
from django.utils import timezone
from django.utils.safestring import SafeString

from importmonitor import shared_cache
from importmonitor.admin import display
from importmonitor.charts import Week, weeks_chart
from importmonitor.models import ImportOperation, Outcome, Viewer
from importmonitor.models.operations import ImportOperationQuerySet

WEEKS = 12
#: The counts of past weeks are cached for this many seconds: they hardly change, and counting
#: takes longer the more imports there are.
CACHE_SECONDS = 60

#: Numbers of operations, by the Monday of the week in which they started and the outcome.
Counts = Counter[tuple[date, str]]


def panel(viewer: Viewer, workspace: str = "") -> SafeString:
    """Return the chart of one workspace or of all; each part links into the list below."""
    weeks = recent_weeks(viewer, workspace, timezone.localdate())
    links = {week.start: _link(week, workspace) for week in weeks}
    return weeks_chart(
        weeks,
        lambda week, outcome: f"{links[week.start]}&outcome={outcome.value}",
        display.OUTCOMES,
    )


def recent_weeks(viewer: Viewer, workspace: str, today: date) -> list[Week]:
    """Return the outcomes of the last weeks' operations, by the week in which they started.

    One query counts them; at most once a minute those before the present one too. It reads only
    the index by outcome and time.
    """
    monday = today - timedelta(days=today.weekday())
    starts = [monday - timedelta(weeks=number) for number in range(WEEKS)]
    rows = ImportOperation.objects.visible_to(viewer)
    if workspace:
        rows = rows.filter(workspace=workspace)
    zone = timezone.get_current_timezone_name()
    key = shared_cache.make_key("weeks", monday, zone, workspace, viewer.key)
    cached: list[Any] | None = shared_cache.get(key)
    if cached is None:
        counts = _count_outcomes(rows, starts)
        cached = [
            [starts.index(start), name, count]
            for (start, name), count in counts.items()
            if start != monday
        ]
        shared_cache.set(key, cached, CACHE_SECONDS)
    else:
        past = Counter({(starts[number], name): count for number, name, count in cached})
        counts = _count_outcomes(rows, [monday]) + past
    return [
        Week(start, {outcome: counts[start, outcome.value] for outcome in Outcome})
        for start in reversed(starts)
    ]


def _count_outcomes(rows: ImportOperationQuerySet, starts: list[date]) -> Counts:
    by_week = [
        rows.filter(
            outcome__in=Outcome.values,
            started_at__gte=_midnight(start),
            started_at__lt=_midnight(start + timedelta(weeks=1)),
        )
        .order_by()
        .values("outcome")
        .annotate(week=Value(number), count=Count("*"))
        .values_list("week", "outcome", "count")
        for number, start in enumerate(starts)
    ]
    counts = by_week[0].union(*by_week[1:], all=True).order_by() if by_week[1:] else by_week[0]
    return Counter({(starts[week], outcome): count for week, outcome, count in counts})


def _link(week: Week, workspace: str) -> str:
    parameters = {
        "started_at__gte": _midnight(week.start).isoformat(sep=" "),
        "started_at__lt": _midnight(week.start + timedelta(weeks=1)).isoformat(sep=" "),
    }
    if workspace:
        parameters["workspace"] = workspace
    # Relative to the page, so that it stays in its AdminSite.
    return f"?{urlencode(parameters)}"


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
