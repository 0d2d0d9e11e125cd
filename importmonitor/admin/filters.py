"""List filters over known values.

Django's own would read their values from the table by DISTINCT, at every page, over every row.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.admin.display import STATES
from importmonitor.choices import EVENT_LABELS, IMPORTER_LABELS, sync_status_label
from importmonitor.models import Delivery, ImportOperation, Outcome
from importmonitor.rocketchat import exceptions
from importmonitor.rocketchat.operation import IMPORTERS

#: The kinds of errors that a look can end in.
LOOK_KINDS = tuple(kind.__name__ for kind in exceptions.KINDS)

#: Of so many operations the importers and starters are offered, and so many of each at most.
LATELY = 500
MOST_OFFERED = 20


class KnownValuesFilter(SimpleListFilter):
    """Offers values, each with its title and its condition, and takes no other from a URL."""

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        """Return what there is to choose from; nothing, unless a filter says more."""
        return []

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        return [(value, title) for value, title, _condition in self.offered(request)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        if not self.value():
            return queryset
        for value, _title, condition in self.offered(request):
            if value == self.value():
                return queryset.filter(condition)
        return queryset.none()


class OutcomeFilter(KnownValuesFilter):
    title = _("outcome")
    parameter_name = "outcome"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        ended = [(each.value, each.label, Q(outcome=each.value)) for each in Outcome]
        return [("open", _("under way"), Q(finished_at=None)), *ended]


class StateFilter(KnownValuesFilter):
    title = _("state in Rocket.Chat")
    parameter_name = "state"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        return [(state.value, badge.word, Q(state=state)) for state, badge in STATES.items()]


class WorkspaceFilter(KnownValuesFilter):
    title = _("workspace")
    parameter_name = "workspace"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        # With the history of one that is no longer configured, for who asks for it.
        aliases = with_asked(conf.aliases(), self.value())
        if len(aliases) == 1:
            return []
        return [(alias, alias, Q(workspace=alias)) for alias in aliases]


class ImporterFilter(KnownValuesFilter):
    """Offers Rocket.Chat's own importers, and what apps have brought lately."""

    title = _("importer")
    parameter_name = "importer"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        seen = [importer for importer, _user in lately(request)]
        others = set(most_common(seen, self.value())) - {*IMPORTERS, "none"}
        titles = IMPORTERS | IMPORTER_LABELS | {key: key for key in sorted(others)}
        found = [(key, title, Q(importer_key=key)) for key, title in titles.items()]
        return [*found, ("none", _("not told"), Q(importer_key=""))]


class ErrorsFilter(KnownValuesFilter):
    title = _("errors")
    parameter_name = "errors"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        return [
            ("yes", _("with errors"), Q(has_errors=1)),
            ("no", _("without errors"), Q(has_errors=0)),
        ]


class StartedByFilter(KnownValuesFilter):
    """Offers those who have started imports lately."""

    title = _("started by")
    parameter_name = "started_by"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        seen = [user for _importer, user in lately(request)]
        return [(user, user, Q(remote_user_id=user)) for user in most_common(seen, self.value())]


def lately(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the importers and starters of the newest operations, read once for a page."""
    known: list[tuple[str, str]] | None = vars(request).get("importmonitor_lately")
    if known is None:
        newest = ImportOperation.objects.newest_first()
        known = list(newest.values_list("importer_key", "remote_user_id")[:LATELY])
        vars(request)["importmonitor_lately"] = known
    return known


def most_common(values: list[str], asked: str | None) -> list[str]:
    """Return the values that are there most often, and the one that is asked for."""
    counted = Counter(filter(None, values)).most_common(MOST_OFFERED)
    return with_asked([value for value, _count in counted], asked)


def with_asked(values: Sequence[str], asked: str | None) -> list[str]:
    """Return the values, and the one that is asked for if it is not one of them."""
    # No database looks for a NUL, and PostgreSQL refuses to.
    if not asked or asked in values or "\0" in asked:
        return list(values)
    return [*values, asked]


class LookFilter(KnownValuesFilter):
    title = _("how looks went")
    parameter_name = "look"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        kinds = [(kind, sync_status_label(kind), Q(outcome=kind)) for kind in LOOK_KINDS]
        return [("failing", _("failing"), Q(outcome__in=LOOK_KINDS)), *kinds]


class DeliveryFilter(KnownValuesFilter):
    title = _("delivery")
    parameter_name = "delivery"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        return [
            (each.value, each.label, Q(delivery=each.value))
            for each in (Delivery.DUE, Delivery.GIVEN_UP)
        ]


class EventFilter(KnownValuesFilter):
    title = _("event")
    parameter_name = "event"

    def offered(self, request: HttpRequest) -> list[tuple[str, Any, Q]]:
        return [(event.value, words, Q(event=event.value)) for event, words in EVENT_LABELS.items()]
