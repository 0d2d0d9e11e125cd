"""The workspaces: their sync status over the last days, and all periods of polls."""

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.admin import display, filters
from importmonitor.admin.mixins import ViewOnlyMixin
from importmonitor.charts import availability_strip
from importmonitor.models import SyncPeriod

if TYPE_CHECKING:
    # Generic only in the stubs.
    _ModelAdmin = admin.ModelAdmin[SyncPeriod]
else:
    _ModelAdmin = admin.ModelAdmin

#: The time that a strip covers, and the number of strips on a page.
STRIP_SPAN = timedelta(days=7)
MAX_STRIPS = 20


@admin.register(SyncPeriod)
class SyncPeriodAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only: a row for successive polls with the same result."""

    list_display = ("sync_status", "workspace", "since", "duration", "polls", "message")
    list_display_links = None
    list_filter = (filters.WorkspaceFilter, filters.SyncStatusFilter)
    sortable_by = ()
    ordering = ("-pk",)
    actions = None
    fields = (
        "sync_status",
        "workspace",
        "first_at",
        "last_at",
        "duration",
        "polls",
        "watched",
        "message",
    )

    class Media:
        css = {"all": ("importmonitor/admin.css", "importmonitor/charts.css")}

    def get_readonly_fields(self, request: HttpRequest, obj: SyncPeriod | None = None) -> list[str]:
        return list(self.fields)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": _("Workspaces")}
        if self.has_view_permission(request):
            workspace = request.GET.get("workspace", "")
            context |= strips(
                [workspace] if workspace in conf.get_aliases() else conf.get_aliases()
            )
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=_("sync status"))
    def sync_status(self, period: SyncPeriod) -> SafeString:
        return display.render_badge(display.sync_status_badge(period))

    @admin.display(description=_("since"))
    def since(self, period: SyncPeriod) -> SafeString:
        return display.format_datetime(period.first_at)

    @admin.display(description=_("duration"))
    def duration(self, period: SyncPeriod) -> SafeString:
        return display.format_duration(period.last_at - period.first_at)


def strips(aliases: list[str]) -> dict[str, Any]:
    """Return the availability strips of the first of these workspaces."""
    now = timezone.now()
    start = now - STRIP_SPAN
    shown = aliases[:MAX_STRIPS]
    periods = defaultdict(list)
    for period in SyncPeriod.objects.overlapping(shown, start, now):
        periods[period.workspace].append(period)
    return {
        "strips": [
            (alias, availability_strip(periods[alias], start, now, name=alias)) for alias in shown
        ],
        "more": len(aliases) - len(shown),
    }
