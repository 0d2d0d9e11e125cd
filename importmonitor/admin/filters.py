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
from importmonitor.models import EndReason, ImportOperation
from importmonitor.outcomes import Outcome
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


class OutcomeFilter(SimpleListFilter):
    title = _("outcome")
    parameter_name = "outcome"

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        return [("open", _("under way")), *((each.value, each.label) for each in OUTCOMES)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        if self.value() == "open":
            return queryset.filter(finished_at=None)
        for outcome, condition in OUTCOMES.items():
            if self.value() == outcome.value:
                return queryset.filter(condition)
        return queryset


class StateFilter(SimpleListFilter):
    title = _("state in Rocket.Chat")
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        return [(state.value, badge.word) for state, badge in STATES.items()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class WorkspaceFilter(SimpleListFilter):
    title = _("workspace")
    parameter_name = "workspace"

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        aliases = conf.aliases()
        return [(alias, alias) for alias in aliases] if len(aliases) > 1 else []

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        return queryset.filter(workspace=self.value()) if self.value() else queryset


class ImporterFilter(SimpleListFilter):
    title = _("importer")
    parameter_name = "importer"

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, Any]]:
        return [*IMPORTERS.items(), ("other", _("other"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation]
    ) -> QuerySet[ImportOperation]:
        if self.value() == "other":
            return queryset.exclude(importer_key__in=IMPORTERS)
        return queryset.filter(importer_key=self.value()) if self.value() else queryset
