"""List filters over known values.

Django's own would read their values from the table by DISTINCT, at every page, over every row.
"""

from collections import Counter
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.admin.display import STATES
from importmonitor.events import Event
from importmonitor.models import ImportOperation, Outcome
from importmonitor.rocketchat import errors
from importmonitor.rocketchat.operation import IMPORTERS

#: The kinds of errors that a look can end in.
LOOK_KINDS = tuple(kind.__name__ for kind in errors.KINDS)


class KnownValuesFilter(SimpleListFilter):
    """Offers values, each with its title and its condition, and takes no other from a URL."""

    def offered(self) -> list[tuple[str, Any, Q]]:
        """Return what there is to choose from; nothing, unless a filter says more."""
        return []

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        return [(value, title) for value, title, _condition in self.offered()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        if not self.value():
            return queryset
        for value, _title, condition in self.offered():
            if value == self.value():
                return queryset.filter(condition)
        return queryset.none()


class OutcomeFilter(KnownValuesFilter):
    title = _("outcome")
    parameter_name = "outcome"

    def offered(self) -> list[tuple[str, Any, Q]]:
        ended = [(each.value, each.label, Q(outcome=each.value)) for each in Outcome]
        return [("open", _("under way"), Q(finished_at=None)), *ended]


class StateFilter(KnownValuesFilter):
    title = _("state in Rocket.Chat")
    parameter_name = "state"

    def offered(self) -> list[tuple[str, Any, Q]]:
        return [(state.value, badge.word, Q(state=state)) for state, badge in STATES.items()]


class WorkspaceFilter(KnownValuesFilter):
    title = _("workspace")
    parameter_name = "workspace"

    def offered(self) -> list[tuple[str, Any, Q]]:
        aliases = conf.aliases()
        if len(aliases) == 1:
            return []
        return [(alias, alias, Q(workspace=alias)) for alias in aliases]


class ImporterFilter(KnownValuesFilter):
    title = _("importer")
    parameter_name = "importer"

    def offered(self) -> list[tuple[str, Any, Q]]:
        known = [(key, title, Q(importer_key=key)) for key, title in IMPORTERS.items()]
        return [*known, ("other", _("other"), ~Q(importer_key__in=IMPORTERS))]


class ErrorsFilter(KnownValuesFilter):
    title = _("errors")
    parameter_name = "errors"

    def offered(self) -> list[tuple[str, Any, Q]]:
        return [
            ("yes", _("with errors"), Q(has_errors=1)),
            ("no", _("without errors"), Q(has_errors=0)),
        ]


class StartedByFilter(KnownValuesFilter):
    """Offers those who have started imports lately; takes anybody's id from a URL."""

    title = _("started by")
    parameter_name = "started_by"

    #: Of so many operations the starters are offered.
    LATELY = 500
    #: As many as can be read.
    MOST = 20

    def offered(self) -> list[tuple[str, Any, Q]]:
        newest = ImportOperation.objects.newest_first()
        lately = newest.values_list("remote_user_id", flat=True)[: self.LATELY]
        known = Counter(each for each in lately if each)
        users = [user for user, _count in known.most_common(self.MOST)]
        if (asked := self.value()) and asked not in users:
            users.append(asked)
        return [(user, user, Q(remote_user_id=user)) for user in users]


class LookFilter(KnownValuesFilter):
    title = _("how looks went")
    parameter_name = "look"

    def offered(self) -> list[tuple[str, Any, Q]]:
        kinds = [(kind, kind, Q(outcome=kind)) for kind in LOOK_KINDS]
        return [("failing", _("failing"), Q(outcome__in=LOOK_KINDS)), *kinds]


class DeliveryFilter(KnownValuesFilter):
    title = _("delivery")
    parameter_name = "delivery"

    def offered(self) -> list[tuple[str, Any, Q]]:
        return [
            ("due", _("on its way"), Q(next_attempt_at__isnull=False)),
            ("given-up", _("given up"), Q(given_up_at__isnull=False)),
        ]


class EventFilter(KnownValuesFilter):
    title = _("event")
    parameter_name = "event"

    def offered(self) -> list[tuple[str, Any, Q]]:
        return [(event.value, event.value, Q(event=event.value)) for event in Event]
