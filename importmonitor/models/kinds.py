"""Whether an import is as usual: what earlier ones of its kind took, and how much they imported."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor.models.operations import ImportOperation
from importmonitor.models.outcomes import Outcome
from importmonitor.rocketchat.states import RESTING_STEPS

#: With fewer earlier ones, nothing is usual.
MIN_EARLIER = 5
MAX_EARLIER = 10
#: They are searched in so many of its kind, however many of these failed.
_MAX_SEARCHED = 50
#: Unusually long is more than this many times the median, and this much more than it.
LONG_FACTOR = 2
LONG_EXTRA = timedelta(minutes=10)
#: Unusually few records are less than this share of the median.
FEW_SHARE = 0.25

_GOOD_ENDS = (Outcome.DONE, Outcome.DONE_WITH_ERRORS)
#: What the durations and the records are computed from.
_FIELDS = (
    *("started_at", "finished_at", "outcome", "workspace", "importer_key"),
    *("count_total", "count_completed", "count_error", "count_users", "users_twice"),
)


class Unusual(models.TextChoices):
    """In what an import is unlike the earlier ones of its kind."""

    LONG = "long", _("Takes unusually long")
    FEW = "few", _("Unusually few records")


def earlier_of_kind(operation: ImportOperation) -> list[ImportOperation]:
    """Return the last done imports of the same workspace and importer that started before this one.

    Newest first, in one query, without their documents.
    """
    if not operation.importer_key:
        return []
    kind = ImportOperation.objects.filter(
        workspace=operation.workspace,
        importer_key=operation.importer_key,
        started_at__lt=operation.started_at,
    )
    newest = kind.newest_first().only(*_FIELDS)[:_MAX_SEARCHED]
    return [row for row in newest if row.finished_at and row.outcome in _GOOD_ENDS][:MAX_EARLIER]


def find_unusual(
    operation: ImportOperation, earlier: Sequence[ImportOperation], now: datetime
) -> Unusual | None:
    """Return in what an import is unlike the earlier ones of its kind, None if it is as usual.

    It can be unusually long before its end, but not while it waits for input; its records are
    compared at a good end alone.
    """
    if len(earlier) < MIN_EARLIER:
        return None
    is_waiting = operation.is_active and operation.status in RESTING_STEPS
    if _is_long(operation, earlier, now) and not is_waiting:
        return Unusual.LONG
    records = [count for count in map(handled_records, earlier) if count is not None]
    handled = handled_records(operation)
    is_good = operation.present_outcome in _GOOD_ENDS
    if is_good and handled is not None and len(records) >= MIN_EARLIER:
        return Unusual.FEW if handled < median(records) * FEW_SHARE else None
    return None


def _is_long(operation: ImportOperation, earlier: Sequence[ImportOperation], now: datetime) -> bool:
    if operation.unusual_at is not None:
        # The polls know how long it has waited for input, and that it is not alerted yet.
        return (operation.finished_at or now) > operation.unusual_at
    longest = longest_usual(earlier)
    return longest is not None and operation.duration(now) > longest


def longest_usual(earlier: Sequence[ImportOperation]) -> timedelta | None:
    """Return after how long an import is unusually long; None if too few earlier ones are known."""
    if len(earlier) < MIN_EARLIER:
        return None
    usual = timedelta(seconds=median(duration_of(row).total_seconds() for row in earlier))
    return max(usual * LONG_FACTOR, usual + LONG_EXTRA)


def duration_of(ended: ImportOperation) -> timedelta:
    """Return how long an import that has ended took."""
    assert ended.finished_at is not None
    return ended.duration(ended.finished_at)


def handled_records(operation: ImportOperation) -> int | None:
    """Return how many records were imported or failed; None if Rocket.Chat did not count them."""
    progress = operation.progress
    return progress.handled if progress.records is None else progress.records
