"""List filters over known values.

Django's own filters read their values with DISTINCT over the whole table, on every page.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from django.contrib.admin import DateFieldListFilter, ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.admin.display import STATES
from importmonitor.admin.mixins import KEY
from importmonitor.choices import (
    EVENT_LABELS,
    IMPORTER_LABELS,
    INCIDENT_LABELS,
    IncidentKind,
    sync_status_label,
)
from importmonitor.conf import find_configured
from importmonitor.models import Delivery, ImportOperation, Outcome, get_viewer
from importmonitor.models.incidents import OPEN, acknowledged_at
from importmonitor.rocketchat import exceptions
from importmonitor.rocketchat.operation import IMPORTERS

#: The kinds of errors that a poll can end with.
ERROR_KINDS = tuple(kind.__name__ for kind in exceptions.KINDS)

#: The importers and users to choose from are those of the newest operations.
RECENT_OPERATIONS = 500
MAX_CHOICES = 20

# Near the limits of datetime, a time has no equivalent in UTC.
_YEAR = re.compile(r"(19|2[0-9])[0-9]{2}-")

#: The value, title and condition of a choice.
Option = tuple[str, Any, Q]


class KnownValuesFilter(SimpleListFilter):
    """A filter with a condition for each of its values. An unknown value matches nothing."""

    def get_options(self, request: HttpRequest) -> list[Option]:
        """Return the choices; subclasses override it."""
        return []

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        return [(value, title) for value, title, _condition in self.get_options(request)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        if not self.value():
            return queryset
        for value, _title, condition in self.get_options(request):
            if value == self.value():
                return queryset.filter(condition)
        return queryset.none()


class OutcomeFilter(KnownValuesFilter):
    title = _("outcome")
    parameter_name = "outcome"

    def get_options(self, request: HttpRequest) -> list[Option]:
        ended = [(outcome.value, outcome.label, Q(outcome=outcome.value)) for outcome in Outcome]
        return [("open", _("Running"), Q(finished_at=None)), *ended]


class StateFilter(KnownValuesFilter):
    title = _("state in Rocket.Chat")
    parameter_name = "state"

    def get_options(self, request: HttpRequest) -> list[Option]:
        return [(state.value, badge.label, Q(state=state)) for state, badge in STATES.items()]


class WorkspaceFilter(KnownValuesFilter):
    """The workspaces of recent operations, and a field for the others: there can be many.

    A part of a name matches nothing, and gets the workspaces that it may mean as choices.
    """

    title = _("workspace")
    parameter_name = "workspace"
    template = "importmonitor/workspace_filter.html"

    def get_options(self, request: HttpRequest) -> list[Option]:
        value = self.value()
        recent = most_common([row.workspace for row in recent_operations(request)], None)
        if value and value not in recent and "\0" not in value and not find_configured([value]):
            named = get_viewer(request).workspaces().search(value).order_by("alias")
            recent += named.values_list("alias", flat=True)[:MAX_CHOICES]
        # The URL can also name a workspace that is no longer configured.
        aliases = sorted({*with_selected(recent, value)})
        if len(aliases) == 1 and not value:
            return []
        return [(alias, alias, Q(workspace=alias)) for alias in aliases]

    def choices(self, changelist: Any) -> Iterator[Any]:
        #: Of the form: the other filters stay.
        self.other_parameters = [
            (name, value)
            for name, values in changelist.filter_params.items()
            for value in values
            if name != self.parameter_name
        ]
        if changelist.query:
            self.other_parameters.append((SEARCH_VAR, changelist.query))
        return super().choices(changelist)


class ImporterFilter(KnownValuesFilter):
    """Rocket.Chat's own importers, and those of apps in recent operations."""

    title = _("importer")
    parameter_name = "importer"

    def get_options(self, request: HttpRequest) -> list[Option]:
        recent = [row.importer_key for row in recent_operations(request)]
        of_apps = set(most_common(recent, self.value())) - {*IMPORTERS, "none"}
        titles = IMPORTERS | IMPORTER_LABELS | {key: key for key in sorted(of_apps)}
        options = [(key, title, Q(importer_key=key)) for key, title in titles.items()]
        return [*options, ("none", _("Unknown"), Q(importer_key=""))]


class ErrorsFilter(KnownValuesFilter):
    title = _("errors")
    parameter_name = "errors"

    def get_options(self, request: HttpRequest) -> list[Option]:
        return [
            ("yes", _("With errors"), Q(has_errors=1)),
            ("no", _("Without errors"), Q(has_errors=0)),
        ]


class StartedByFilter(KnownValuesFilter):
    """The users who started recent operations."""

    # Django writes "By" before it.
    title = _("user")
    parameter_name = "started_by"

    def get_options(self, request: HttpRequest) -> list[Option]:
        recent = recent_operations(request)
        names = {row.user: row.user_name for row in reversed(recent) if row.user_name}
        counts = Counter(names.values())
        users = most_common([row.user for row in recent], self.value())
        options = []
        for user in users:
            name = names.get(user, user)
            # Two workspaces can name two users the same.
            label = name if counts[name] <= 1 else f"{name} ({user})"
            options.append((user, label, Q(remote_user_id=user)))
        return options


class RecentOperation(NamedTuple):
    """What the choices of filters are made from."""

    workspace: str
    importer_key: str
    user: str
    user_name: str | None


def recent_operations(request: HttpRequest) -> list[RecentOperation]:
    """Return the newest operations, read once per request."""
    recent: list[RecentOperation] | None = vars(request).get("importmonitor_recent")
    if recent is None:
        newest = ImportOperation.objects.visible_to(get_viewer(request)).newest_first()
        values = newest.values_list(
            "workspace", "importer_key", "remote_user_id", "remote_user_name"
        )
        recent = [RecentOperation(*row) for row in values[:RECENT_OPERATIONS]]
        vars(request)["importmonitor_recent"] = recent
    return recent


def most_common(values: list[str], selected: str | None) -> list[str]:
    """Return the most frequent values, and the selected one."""
    counts = Counter(filter(None, values)).most_common(MAX_CHOICES)
    return with_selected([value for value, _count in counts], selected)


def with_selected(values: Sequence[str], selected: str | None) -> list[str]:
    """Return the values, and the selected one if it is not among them."""
    # No stored value has a NUL, and PostgreSQL rejects one in a query.
    if not selected or selected in values or "\0" in selected:
        return list(values)
    return [*values, selected]


class StartedFilter(DateFieldListFilter):
    """When it was started. A time that no database can compare with is an error."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        for name, values in self.used_parameters.items():
            for value in values if isinstance(values, list) else [values]:
                if name.endswith(("__gte", "__lt")) and not _YEAR.match(str(value)):
                    raise IncorrectLookupParameters
        return super().queryset(request, queryset)


class SyncStatusFilter(KnownValuesFilter):
    title = _("sync status")
    parameter_name = "sync_status"

    def get_options(self, request: HttpRequest) -> list[Option]:
        kinds = [(kind, sync_status_label(kind), Q(sync_status=kind)) for kind in ERROR_KINDS]
        return [("failing", _("Failing"), Q(sync_status__in=ERROR_KINDS)), *kinds]


class DeliveryFilter(KnownValuesFilter):
    title = _("delivery")
    parameter_name = "delivery"

    def get_options(self, request: HttpRequest) -> list[Option]:
        return [
            (delivery.value, delivery.label, Q(delivery=delivery.value))
            for delivery in (Delivery.WAITING, Delivery.DUE, Delivery.GIVEN_UP)
        ]


class EventFilter(KnownValuesFilter):
    title = _("event")
    parameter_name = "event"

    def get_options(self, request: HttpRequest) -> list[Option]:
        return [(event.value, label, Q(event=event.value)) for event, label in EVENT_LABELS.items()]


class IncidentStatusFilter(KnownValuesFilter):
    """Whether incidents are over; those that are not are the default."""

    title = _("status")
    parameter_name = "status"

    def value(self) -> str:
        return super().value() or "open"

    def get_options(self, request: HttpRequest) -> list[Option]:
        now = timezone.now()
        is_maintenance = Q(kind=IncidentKind.MAINTENANCE)
        is_acknowledged = acknowledged_at(now)
        return [
            ("open", _("Open"), OPEN),
            ("unacknowledged", _("Not acknowledged"), OPEN & ~is_acknowledged),
            ("acknowledged", _("Acknowledged"), OPEN & is_acknowledged),
            ("maintenance", _("Maintenance"), is_maintenance & (Q(until=None) | Q(until__gt=now))),
            ("over", _("Over"), Q(until__lte=now)),
            ("all", _("All"), Q()),
        ]

    def choices(self, changelist: Any) -> Iterator[Any]:
        # Without Django's own "All", which leaves the parameter out.
        return islice(super().choices(changelist), 1, None)


class IncidentKindFilter(KnownValuesFilter):
    title = _("kind")
    parameter_name = "kind"

    def get_options(self, request: HttpRequest) -> list[Option]:
        return [(kind.value, label, Q(kind=kind)) for kind, label in INCIDENT_LABELS.items()]


class ImportFilter(KnownValuesFilter):
    """One import, by its key; other pages link to it."""

    title = _("import operation")
    parameter_name = "operation__id"

    def get_options(self, request: HttpRequest) -> list[Option]:
        value = self.value()
        if not value:
            return []
        if not KEY.fullmatch(value):
            return [(value, value, Q(pk__in=()))]
        visible = ImportOperation.objects.visible_to(get_viewer(request))
        operation = visible.filter(pk=value).only("type", "file").first()
        name = value if operation is None else operation.file_name or operation.type or value
        return [(value, name, Q(operation=value))]
