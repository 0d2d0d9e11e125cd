"""The outcomes above the list, each with its number of operations, and the filters in use."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.admin import ListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Subquery
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from importmonitor.admin import display, filters
from importmonitor.charts.scales import short_date
from importmonitor.humanize import format_number
from importmonitor.models import ImportOperation, Outcome, Viewer
from importmonitor.models.store import RowCount
from importmonitor.rocketchat.states import ImportState

#: Operations are counted up to this: a chip says more than that, not how many more.
MAX_COUNT = 1_000
#: The counts are those of one workspace or of all, whatever else the list is filtered by.
COUNTED = {"workspace", "outcome"}

# Of the columns of one query that reads other things too.
_COUNT, _LAST_CLEAN = "operations_", "last_clean_end"

BADGES: dict[str, display.Badge] = {
    "open": display.STATES[ImportState.IMPORTING],
    **{outcome.value: badge for outcome, badge in display.OUTCOMES.items()},
}


class Chip(NamedTuple):
    """A link that filters the list."""

    label: Any
    href: str
    badge: display.Badge | None
    total: str
    selected: bool


class ActiveFilter(NamedTuple):
    """A filter in use, and the link that removes it."""

    title: Any
    value: str
    href: str


class Counts(NamedTuple):
    """Numbers of operations by outcome, up to MAX_COUNT + 1, "" for all of them."""

    by_outcome: dict[str, int]
    last_clean: datetime | None


def expressions(viewer: Viewer, workspace: str) -> dict[str, Any]:
    """Return the subqueries that `read_counts` needs, of one workspace or of all ("").

    They read only indexes.
    """
    rows = ImportOperation.objects.visible_to(viewer)
    if workspace:
        rows = rows.filter(workspace=workspace)
    # Ordered as the index is: without an order, SQLite may scan the whole table by another one.
    # The open ones are few, and have an index of their own.
    parts = {"": rows.newest_first(), "open": rows.filter(finished_at=None).order_by()} | {
        outcome: rows.filter(outcome=outcome).newest_first() for outcome in Outcome.values
    }
    counts: dict[str, Any] = {
        _COUNT + name: RowCount(part.values("pk")[: MAX_COUNT + 1]) for name, part in parts.items()
    }
    return counts | {_LAST_CLEAN: Subquery(parts[Outcome.DONE.value].values("finished_at")[:1])}


def read_counts(values: Mapping[str, Any]) -> Counts:
    """Return the numbers of operations from the values of the subqueries."""
    by_outcome = {
        name.removeprefix(_COUNT): count or 0
        for name, count in values.items()
        if name.startswith(_COUNT)
    }
    return Counts(by_outcome, values[_LAST_CLEAN])


def context(changelist: ChangeList, counts: Counts) -> dict[str, Any]:
    """Return the context of the filters' template."""
    return {
        "chips": list(outcome_chips(changelist, counts)),
        "active_filters": list(active_filters(changelist)),
        "other_filters": other_filters(changelist),
    }


def outcome_chips(changelist: ChangeList, counts: Counts) -> Iterator[Chip]:
    """Yield a chip for each outcome that an operation has, or that is selected."""
    is_counted = not changelist.query and all(
        COUNTED.issuperset(spec.used_parameters) for spec in changelist.filter_specs
    )
    for spec in changelist.filter_specs:
        if not isinstance(spec, filters.OutcomeFilter):
            continue
        values = ["", *(str(value) for value, _title in spec.lookup_choices)]
        for value, choice in zip(values, spec.choices(changelist), strict=True):
            count = counts.by_outcome[value]
            if count or choice["selected"] or not value:
                yield Chip(
                    choice["display"],
                    choice["query_string"],
                    BADGES.get(value),
                    _format_count(count) if is_counted else "",
                    choice["selected"],
                )


def _format_count(count: int) -> str:
    return f"{format_number(MAX_COUNT)}+" if count > MAX_COUNT else format_number(count)


def other_filters(changelist: ChangeList) -> list[ListFilter]:
    return [spec for spec in changelist.filter_specs if not isinstance(spec, filters.OutcomeFilter)]


def active_filters(changelist: ChangeList) -> Iterator[ActiveFilter]:
    """Yield the filters in use, but for the outcome."""
    for spec in other_filters(changelist):
        if any(name in changelist.params for name in spec.expected_parameters()):
            selected = [
                str(choice["display"]) for choice in spec.choices(changelist) if choice["selected"]
            ]
            value = selected[0] if selected else _span(spec.used_parameters)
            names = [name for name in spec.expected_parameters() if name]
            href = changelist.get_query_string(remove=names)
            yield ActiveFilter(spec.title, value, href)


def _span(parameters: dict[str, Any]) -> str:
    """Return the days that a filter has as its limits, as a bar of the weeks sets them."""
    days = []
    for name, delta in (
        ("started_at__gte", timedelta(0)),
        # The first moment that is not included.
        ("started_at__lt", timedelta(microseconds=1)),
    ):
        values = parameters.get(name, "")
        value = values[-1] if isinstance(values, list) else values
        moment = value if isinstance(value, datetime) else parse_datetime(str(value))
        if moment is not None and timezone.is_aware(moment):
            days.append(short_date(timezone.localtime(moment - delta)))
        else:
            days.append("")
    return " – ".join(days).strip()
