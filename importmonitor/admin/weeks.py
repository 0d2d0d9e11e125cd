"""Numbers over time: how the imports of each week ended."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import Count, Value
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from importmonitor.admin import display
from importmonitor.charts import Week, weeks_chart
from importmonitor.models import ImportOperation, Outcome
from importmonitor.models.operations import ImportOperationQuerySet

WEEKS = 12
#: For so many seconds, what is counted of the weeks that are over is not counted again: it hardly
#: changes, and takes longer the more imports there are.
REMEMBERED_FOR = 60

#: How many operations ended so, by the Monday of the week in which they began and the outcome.
Counts = Counter[tuple[date, str]]


def panel(workspace: str = "") -> SafeString:
    """Draw the weeks of one workspace or of all, each part a link into the list below."""
    found = weeks(workspace, timezone.localdate())
    links = {week.start: _link(week, workspace) for week in found}
    return weeks_chart(
        found,
        lambda week, outcome: f"{links[week.start]}&outcome={outcome.value}",
        display.OUTCOMES,
    )


def weeks(workspace: str, today: date) -> list[Week]:
    """Count how the operations of the last weeks ended, by the week in which they began.

    In one query for the present week and, at most once a minute, one for those before. Both read
    the index by outcome and time, and nothing else.
    """
    monday = today - timedelta(days=today.weekday())
    starts = [monday - timedelta(weeks=number) for number in range(WEEKS)]
    rows = ImportOperation.objects.all()
    if workspace:
        rows = rows.filter(workspace=workspace)
    zone = timezone.get_current_timezone_name()
    over: Counts | None = cache.get_or_set(
        f"importmonitor:weeks:{monday}:{zone}:{workspace}",
        lambda: _counted(rows, starts[1:]),
        REMEMBERED_FOR,
    )
    found = _counted(rows, [monday]) + (over or Counter())
    return [
        Week(start, {each: found[start, each.value] for each in Outcome})
        for start in reversed(starts)
    ]


def _counted(rows: ImportOperationQuerySet, starts: list[date]) -> Counts:
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
    found = by_week[0].union(*by_week[1:], all=True).order_by() if by_week[1:] else by_week[0]
    return Counter({(starts[week], outcome): count for week, outcome, count in found})


def _link(week: Week, workspace: str) -> str:
    asked = {
        "started_at__gte": _midnight(week.start).isoformat(sep=" "),
        "started_at__lt": _midnight(week.start + timedelta(weeks=1)).isoformat(sep=" "),
    }
    if workspace:
        asked["workspace"] = workspace
    return f"{reverse('admin:importmonitor_importoperation_changelist')}?{urlencode(asked)}"


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
