"""Sync health: how well each workspace could be looked at."""

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
    # Generic in the stubs alone.
    _ModelAdmin = admin.ModelAdmin[SyncPeriod]
else:
    _ModelAdmin = admin.ModelAdmin

#: As far back as the strips go, and as many of them as are on a page.
SPAN = timedelta(days=7)
MOST_STRIPS = 20


@admin.register(SyncPeriod)
class SyncPeriodAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only: what the polls came to, in a row for as long as they went alike."""

    list_display = ("result", "workspace", "began", "lasted", "polls", "message")
    list_display_links = None
    list_filter = (filters.WorkspaceFilter, filters.LookFilter)
    sortable_by = ()
    ordering = ("-pk",)
    actions = None
    fields = (
        "result",
        "workspace",
        "first_at",
        "last_at",
        "lasted",
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
        context: dict[str, Any] = {"title": _("Sync health")}
        if self.has_view_permission(request):
            asked = request.GET.get("workspace", "")
            context |= strips([asked] if asked in conf.aliases() else conf.aliases())
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=_("looks went"))
    def result(self, period: SyncPeriod) -> SafeString:
        return display.render_badge(display.sync_status_badge(period))

    @admin.display(description=_("from"))
    def began(self, period: SyncPeriod) -> SafeString:
        return display.format_datetime(period.first_at)

    @admin.display(description=_("for"))
    def lasted(self, period: SyncPeriod) -> SafeString:
        return display.format_duration(period.last_at - period.first_at)


def strips(aliases: list[str]) -> dict[str, Any]:
    """Draw how well the first of these workspaces could be looked at lately."""
    now = timezone.now()
    since = now - SPAN
    shown = aliases[:MOST_STRIPS]
    periods = defaultdict(list)
    for period in SyncPeriod.objects.overlapping(shown, since, now):
        periods[period.workspace].append(period)
    return {
        "strips": [
            (alias, availability_strip(periods[alias], since, now, name=alias)) for alias in shown
        ],
        "more": len(aliases) - len(shown),
    }
