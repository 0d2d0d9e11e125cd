"""What operations of the REST face can be asked for: what an index answers."""

from datetime import UTC, datetime
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import QuerySet

from importmonitor.models import ImportOperation, Outcome
from importmonitor.rocketchat.states import ImportState

#: Beside the ways to end: not ended yet.
OPEN = "open"


class TimeField(forms.CharField):
    """A time with its zone: without one, it would be another in another server's settings."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise forms.ValidationError("Give a time and its zone, such as 2026-03-25T12:00:00Z.")


class TimeFilter(filters.IsoDateTimeFilter):
    """Compares with a time."""

    field_class: type[forms.Field] = TimeField  # type: ignore[assignment] # it takes any field


class YesNoFilter(filters.TypedChoiceFilter):
    """True or false; django-filter's own takes anything else for nothing."""

    def __init__(self, **kwargs: Any) -> None:
        # With a capital, as Python's clients write them.
        choices = [(word, word) for word in ("true", "false", "True", "False")]
        super().__init__(choices=choices, coerce=lambda word: word.lower() == "true", **kwargs)


class OperationFilter(filters.FilterSet):
    """Filters of the list of operations; all that are given have to hold."""

    workspace = filters.CharFilter(strip=False, help_text="The workspace's alias.")
    remote_id = filters.CharFilter(strip=False, help_text="The operation's id in Rocket.Chat.")
    state = filters.ChoiceFilter(
        choices=[(each.value, each.value) for each in ImportState if each != ImportState.NONE],
        help_text="Rocket.Chat's coarse state.",
    )
    status = filters.CharFilter(
        strip=False, help_text="Rocket.Chat's raw step, such as `importer_done`."
    )
    outcome = filters.ChoiceFilter(
        choices=[(OPEN, OPEN), *((each.value, each.value) for each in Outcome)],
        method="by_outcome",
        help_text="How it ended; `open` for what has not.",
    )
    importer_key = filters.CharFilter(
        strip=False, help_text="The importer, such as `csv` or `slack`."
    )
    remote_user_id = filters.CharFilter(
        strip=False, help_text="The id in Rocket.Chat of the user who started it."
    )
    has_errors = YesNoFilter(method="by_errors", help_text="Whether it counts any errors.")
    stalled = YesNoFilter(
        field_name="stalled_since",
        lookup_expr="isnull",
        exclude=True,
        help_text="Whether it should be moving and is not.",
    )
    started_after = TimeFilter(
        field_name="started_at", lookup_expr="gte", help_text="Started then or later."
    )
    started_before = TimeFilter(
        field_name="started_at", lookup_expr="lt", help_text="Started before then."
    )
    finished_after = TimeFilter(
        field_name="finished_at", lookup_expr="gte", help_text="Ended then or later."
    )
    finished_before = TimeFilter(
        field_name="finished_at", lookup_expr="lt", help_text="Ended before then."
    )

    class Meta:
        model = ImportOperation
        fields: list[str] = []

    def by_outcome(
        self, rows: QuerySet[ImportOperation], _name: str, value: str
    ) -> QuerySet[ImportOperation]:
        return rows.filter(finished_at=None) if value == OPEN else rows.filter(outcome=value)

    def by_errors(
        self, rows: QuerySet[ImportOperation], _name: str, value: bool
    ) -> QuerySet[ImportOperation]:
        return rows.filter(has_errors=int(value))
