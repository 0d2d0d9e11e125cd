"""Imports that take longer, or bring less, than earlier ones of their kind."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from importmonitor.choices import Event
from importmonitor.models import ImportOperation, Unusual, earlier_of_kind, find_unusual
from importmonitor.models.kinds import duration_of, handled_records, longest_usual
from importmonitor.sync.change import Change, ChangeEvent


def expect_durations(changes: Iterable[Change]) -> None:
    """Set when imports that have just started will have taken unusually long, where that is known.

    A later poll compares this time alone.
    """
    for change in changes:
        if any(event == Event.STARTED for event, _transition in change.events):
            longest = longest_usual(earlier_of_kind(change.operation))
            if longest is not None:
                change.set("unusual_at", change.operation.started_at + longest)


def compare_records(changes: Iterable[Change], at: datetime) -> None:
    """Add the event to imports that have ended well with unusually few records.

    Not to those that started and ended between two polls, of which there can be many: a query each.
    """
    for change in changes:
        if change.created:
            continue
        for event, transition in list(change.events):
            if event == Event.FINISHED and change.operation.present_outcome:
                earlier = earlier_of_kind(change.operation)
                if find_unusual(change.operation, earlier, at) == Unusual.FEW:
                    change.events.append(ChangeEvent(Event.UNUSUAL, transition))


def describe_usual(operation: ImportOperation) -> dict[str, Any]:
    """Return what earlier imports of a kind took and brought, for an alert's JSON form."""
    earlier = earlier_of_kind(operation)
    seconds = [round(duration_of(row).total_seconds()) for row in earlier]
    records = [count for count in map(handled_records, earlier) if count is not None]
    return {
        "reason": Unusual.LONG if operation.is_active else Unusual.FEW,
        "imports": len(earlier),
        "seconds": [min(seconds, default=0), max(seconds, default=0)],
        "records": [min(records, default=0), max(records, default=0)],
    }
