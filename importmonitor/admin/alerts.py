"""The alerts, and whether they arrived."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from importmonitor.admin import display, filters
from importmonitor.admin.asking import AsksFirst
from importmonitor.admin.operations import RUN_IMPORT
from importmonitor.admin.paging import CappedPaginator
from importmonitor.alerts import outbox
from importmonitor.models import Alert

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _ModelAdmin = admin.ModelAdmin[Alert]
else:
    _ModelAdmin = admin.ModelAdmin

DELIVERED = display.Badge(_("delivered"), "✓", "good")
GIVEN_UP = display.Badge(_("given up"), "✕", "bad")
TRYING = display.Badge(_("being tried again"), "!", "warn")
DUE = display.Badge(_("on its way"), "○", "busy")


@admin.register(Alert)
class AlertAdmin(AsksFirst, _ModelAdmin):
    """View-only: the outbox is the sync's."""

    list_display = ("state", "event", "workspace", "channel", "created", "attempts", "last_error")
    list_display_links = ("event",)
    sortable_by = ()
    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    list_filter = (filters.WorkspaceFilter, filters.EventFilter, filters.DeliveryFilter)
    ordering = ("-pk",)
    actions = ("try_again",)
    fields = (
        "event",
        "workspace",
        "operation",
        "channel",
        "state",
        "attempts",
        "last_error",
        "created_at",
        "next_attempt_at",
        "delivered_at",
        "given_up_at",
        "key",
        "pretty_body",
    )

    class Media:
        css = {"all": ("importmonitor/admin.css",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Alert | None = None) -> list[str]:
        return list(self.fields)

    def has_view_permission(self, request: HttpRequest, obj: Alert | None = None) -> bool:
        return super().has_view_permission(request, obj) or request.user.has_perm(RUN_IMPORT)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description=_("Try again to deliver"), permissions=["try_again"])
    def try_again(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        """Deliver now what was not, or begin anew with what was given up."""
        wanted = list(alerts.filter(delivered_at=None).values_list("pk", flat=True))
        outbox.try_again(wanted)
        delivered = Alert.objects.filter(pk__in=wanted).exclude(delivered_at=None).count()
        if not wanted:
            messages.info(request, _("All of these had been delivered."))
        elif delivered == len(wanted):
            told = ngettext(
                "%(count)d alert was delivered.", "%(count)d alerts were delivered.", delivered
            )
            messages.success(request, told % {"count": delivered})
        else:
            some = _("%(count)d of %(all)d were delivered. Beside the others stands why not.")
            messages.warning(request, some % {"count": delivered, "all": len(wanted)})

    def has_try_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RUN_IMPORT)

    @admin.display(description=_("delivery"))
    def state(self, alert: Alert) -> SafeString:
        if alert.delivered_at:
            return display.as_badge(DELIVERED)
        if alert.given_up_at:
            return display.as_badge(GIVEN_UP)
        return display.as_badge(TRYING if alert.attempts else DUE)

    @admin.display(description=_("created"))
    def created(self, alert: Alert) -> SafeString:
        return display.ago(alert.created_at)

    @admin.display(description=_("body"))
    def pretty_body(self, alert: Alert) -> SafeString:
        return display.pretty(alert.body)
