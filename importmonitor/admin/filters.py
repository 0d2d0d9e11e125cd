"""List filters over known values.

Django's own would read their values from the table by DISTINCT, at every page, over every row.
"""

from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.admin.display import STATES
from importmonitor.models import EndReason, ImportOperation, Outcome
from importmonitor.rocketchat.operation import IMPORTERS

_ERRORS = Q(count_error__gt=0)
# `completed` and `total` can both be unknown, and a comparison with NULL is neither true nor false.
_SHORT = Q(count_completed__isnull=False, count_total__isnull=False) & Q(
    count_completed__lt=F("count_total")
)
#: `outcomes.outcome` as conditions; a test holds the two together.
OUTCOMES = {
    Outcome.DONE: Q(end_reason=EndReason.DONE)
    & (Q(count_error=None) | Q(count_error__lte=0))
    & (Q(count_completed=None) | Q(count_total=None) | Q(count_completed__gte=F("count_total"))),
    Outcome.DONE_WITH_ERRORS: Q(end_reason=EndReason.DONE) & _ERRORS,
    Outcome.DONE_SHORT: Q(end_reason=EndReason.DONE)
    & (Q(count_error=None) | Q(count_error__lte=0))
    & _SHORT,
    Outcome.FAILED: Q(end_reason=EndReason.FAILED),
    Outcome.INTERRUPTED: Q(end_reason=EndReason.INTERRUPTED),
    Outcome.SUPERSEDED: Q(end_reason=EndReason.SUPERSEDED),
    Outcome.CANCELED: Q(end_reason=EndReason.CANCELED),
}


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
        ended = [(each.value, each.label, condition) for each, condition in OUTCOMES.items()]
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
