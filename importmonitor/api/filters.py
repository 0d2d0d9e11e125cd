"""What operations of the REST face can be asked for: what an index answers."""

import django_filters as filters
from django.db.models import QuerySet

from importmonitor.models import ImportOperation, Outcome
from importmonitor.rocketchat.states import ImportState

#: Beside the ways to end: not ended yet.
OPEN = "open"


class OperationFilter(filters.FilterSet):
    """Filters of the list of operations; all that are given have to hold."""

    workspace = filters.CharFilter(help_text="The workspace's alias.")
    remote_id = filters.CharFilter(help_text="The operation's id in Rocket.Chat.")
    state = filters.ChoiceFilter(
        choices=[(each.value, each.value) for each in ImportState if each != ImportState.NONE],
        help_text="Rocket.Chat's coarse state.",
    )
    status = filters.CharFilter(help_text="Rocket.Chat's raw step, such as `importer_done`.")
    outcome = filters.ChoiceFilter(
        choices=[(OPEN, OPEN), *((each.value, each.value) for each in Outcome)],
        method="by_outcome",
        help_text="How it ended; `open` for what has not.",
    )
    importer_key = filters.CharFilter(help_text="The importer, such as `csv` or `slack`.")
    remote_user_id = filters.CharFilter(
        help_text="The id in Rocket.Chat of the user who started it."
    )
    has_errors = filters.BooleanFilter(
        method="by_errors", help_text="Whether it counts any errors."
    )
    stalled = filters.BooleanFilter(
        field_name="stalled_since",
        lookup_expr="isnull",
        exclude=True,
        help_text="Whether it should be moving and is not.",
    )
    started_after = filters.IsoDateTimeFilter(
        field_name="started_at", lookup_expr="gte", help_text="Started then or later."
    )
    started_before = filters.IsoDateTimeFilter(
        field_name="started_at", lookup_expr="lt", help_text="Started before then."
    )
    finished_after = filters.IsoDateTimeFilter(
        field_name="finished_at", lookup_expr="gte", help_text="Ended then or later."
    )
    finished_before = filters.IsoDateTimeFilter(
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
