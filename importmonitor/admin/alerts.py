"""The alerts, and whether they arrived."""

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from importmonitor.admin import display, filters
from importmonitor.admin.mixins import ViewOnlyMixin
from importmonitor.alerts import outbox
from importmonitor.choices import event_label
from importmonitor.models import Alert, Delivery
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _ModelAdmin = admin.ModelAdmin[Alert]
else:
    _ModelAdmin = admin.ModelAdmin

STATES = {
    Delivery.DELIVERED: display.Badge(Delivery.DELIVERED.label, "✓", "good"),
    Delivery.GIVEN_UP: display.Badge(Delivery.GIVEN_UP.label, "✕", "bad"),
    Delivery.DUE: display.Badge(Delivery.DUE.label, "○", "busy"),
}
TRYING = display.Badge(_("being tried again"), "!", "warn")


@admin.register(Alert)
class AlertAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only: the outbox is the sync's."""

    list_display = ("state", "told", "workspace", "channel", "created", "attempts", "last_error")
    list_display_links = ("told",)
    sortable_by = ()
    list_filter = (filters.WorkspaceFilter, filters.EventFilter, filters.DeliveryFilter)
    ordering = ("-pk",)
    actions = ("try_again",)
    fields = (
        "told",
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

    @admin.action(description=_("Try again to deliver"), permissions=["try_again"])
    def try_again(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        """Deliver now what was not, or begin anew with what was given up."""
        wanted = list(alerts.filter(delivered_at=None).values_list("pk", flat=True))
        outbox.retry(wanted)
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
        return has_perm(request.user, RUN_IMPORT)

    @admin.display(description=_("delivery"))
    def state(self, alert: Alert) -> SafeString:
        delivery = Delivery(alert.delivery)
        failed = delivery == Delivery.DUE and alert.attempts
        return display.render_badge(TRYING if failed else STATES[delivery])

    @admin.display(description=_("event"))
    def told(self, alert: Alert) -> SafeString:
        return format_html('<span title="{}">{}</span>', alert.event, event_label(alert.event))

    @admin.display(description=_("created"))
    def created(self, alert: Alert) -> SafeString:
        return display.time_since(alert.created_at)

    @admin.display(description=_("body"))
    def pretty_body(self, alert: Alert) -> SafeString:
        return display.pretty_json(alert.body)
