"""The filters of the lists of operations, workspaces and incidents."""

from datetime import UTC, datetime
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from importmonitor.choices import IncidentKind
from importmonitor.models import Freshness, ImportOperation, Incident, Outcome, Workspace
from importmonitor.models.incidents import OPEN as OPEN_INCIDENTS
from importmonitor.models.incidents import acknowledged_at
from importmonitor.models.workspace_queries import (
    FAILING,
    IMPORTING,
    NEVER_POLLED,
    WorkspaceQuerySet,
)
from importmonitor.rocketchat.states import ImportState

#: The value of `outcome` for operations that have not ended.
OPEN = "open"
#: The value of `status` for workspaces that were never polled.
NEVER = "never"

#: What a time without a zone, or that is none, is answered.
TIME_ERROR = "Give a time and its zone, such as 2026-03-25T12:00:00Z."


def parse_time(text: str) -> datetime | None:
    """Return a time in UTC, None if it has no zone, or is none."""
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class TimeField(forms.CharField):
    """A time with its zone: without one, its meaning would depend on the server's settings."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        moment = parse_time(text)
        if moment is None:
            raise forms.ValidationError(TIME_ERROR)
        return moment


class TimeFilter(filters.IsoDateTimeFilter):
    """Compares with a time."""

    field_class: type[forms.Field] = TimeField  # type: ignore[assignment] # it takes any field


class TrueFalseFilter(filters.TypedChoiceFilter):
    """True or false; django-filter's BooleanFilter ignores anything else."""

    def __init__(self, **kwargs: Any) -> None:
        # Capitalized too, as Python clients write them.
        choices = [(word, word) for word in ("true", "false", "True", "False")]
        super().__init__(choices=choices, coerce=lambda word: word.lower() == "true", **kwargs)


class OperationFilter(filters.FilterSet):
    """The filters of the list of operations; several are combined with AND.

    The help texts are in the public description of the API.
    """

    workspace = filters.CharFilter(strip=False, help_text="The workspace's alias.")
    remote_id = filters.CharFilter(strip=False, help_text="The operation's id in Rocket.Chat.")
    state = filters.ChoiceFilter(
        choices=[(state.value, state.value) for state in ImportState if state != ImportState.NONE],
        help_text="Rocket.Chat's coarse state.",
    )
    status = filters.CharFilter(
        strip=False, help_text="Rocket.Chat's status, such as `importer_done`."
    )
    outcome = filters.ChoiceFilter(
        choices=[(OPEN, OPEN), *((outcome.value, outcome.value) for outcome in Outcome)],
        method="filter_outcome",
        help_text="How it ended; `open` if it has not ended.",
    )
    importer_key = filters.CharFilter(
        strip=False, help_text="The importer, such as `csv` or `slack`."
    )
    remote_user_id = filters.CharFilter(
        strip=False, help_text="The id in Rocket.Chat of the user who started it."
    )
    has_errors = TrueFalseFilter(
        method="filter_has_errors", help_text="Whether its error counter is above 0."
    )
    stalled = TrueFalseFilter(
        field_name="stalled_since",
        lookup_expr="isnull",
        exclude=True,
        help_text="Whether it should make progress and does not.",
    )
    started_after = TimeFilter(
        field_name="started_at", lookup_expr="gte", help_text="Started at this time or later."
    )
    started_before = TimeFilter(
        field_name="started_at", lookup_expr="lt", help_text="Started before this time."
    )
    finished_after = TimeFilter(
        field_name="finished_at", lookup_expr="gte", help_text="Ended at this time or later."
    )
    finished_before = TimeFilter(
        field_name="finished_at", lookup_expr="lt", help_text="Ended before this time."
    )

    class Meta:
        model = ImportOperation
        fields: list[str] = []

    def filter_outcome(
        self, rows: QuerySet[ImportOperation], _name: str, value: str
    ) -> QuerySet[ImportOperation]:
        return rows.filter(finished_at=None) if value == OPEN else rows.filter(outcome=value)

    def filter_has_errors(
        self, rows: QuerySet[ImportOperation], _name: str, value: bool
    ) -> QuerySet[ImportOperation]:
        return rows.filter(has_errors=int(value))


class WorkspaceFilter(filters.FilterSet):
    """The filters of the list of workspaces; several are combined with AND.

    The help texts are in the public description of the API.
    """

    status = filters.ChoiceFilter(
        choices=[*((state.value, state.value) for state in Freshness), (NEVER, NEVER)],
        method="filter_status",
        help_text="The `state` of `sync`; `never` for those of the stale ones that were never "
        "polled.",
    )
    active = TrueFalseFilter(
        method="filter_active", help_text="Whether the current operation has not ended."
    )
    failing = TrueFalseFilter(method="filter_failing", help_text="Whether the last poll failed.")
    search = filters.CharFilter(
        strip=False, method="filter_search", help_text="The beginning of the workspace's alias."
    )

    class Meta:
        model = Workspace
        fields: list[str] = []

    def filter_status(self, rows: WorkspaceQuerySet, _name: str, value: str) -> WorkspaceQuerySet:
        if value == NEVER:
            return rows.meeting_any(NEVER_POLLED)
        return rows.with_freshness(Freshness(value), timezone.now())

    def filter_active(self, rows: WorkspaceQuerySet, _name: str, value: bool) -> WorkspaceQuerySet:
        return rows.meeting_any(IMPORTING) if value else rows.exclude(IMPORTING)

    def filter_failing(self, rows: WorkspaceQuerySet, _name: str, value: bool) -> WorkspaceQuerySet:
        return rows.meeting_any(FAILING) if value else rows.exclude(FAILING)

    def filter_search(self, rows: WorkspaceQuerySet, _name: str, value: str) -> WorkspaceQuerySet:
        # Some databases would ignore the case anyway.
        return rows.starting_with(value.lower())


class IncidentFilter(filters.FilterSet):
    """The filters of the list of incidents; several are combined with AND.

    The help texts are in the public description of the API.
    """

    workspace = filters.CharFilter(strip=False, help_text="The workspace's alias.")
    kind = filters.ChoiceFilter(
        choices=[(kind.value, kind.value) for kind in IncidentKind],
        help_text="What is wrong; `maintenance` is planned, and mutes alerts.",
    )
    open = TrueFalseFilter(
        method="filter_open", help_text="Whether it is not over; maintenance is never open."
    )
    acknowledged = TrueFalseFilter(
        method="filter_acknowledged", help_text="Whether it is acknowledged at present."
    )

    class Meta:
        model = Incident
        fields: list[str] = []

    def filter_open(self, rows: QuerySet[Incident], _name: str, value: bool) -> QuerySet[Incident]:
        return rows.filter(OPEN_INCIDENTS if value else ~OPEN_INCIDENTS)

    def filter_acknowledged(
        self, rows: QuerySet[Incident], _name: str, value: bool
    ) -> QuerySet[Incident]:
        is_acknowledged = acknowledged_at(timezone.now())
        return rows.filter(is_acknowledged if value else ~is_acknowledged)
