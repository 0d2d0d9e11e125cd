"""The alerts and their delivery."""

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from importmonitor.admin import display, filters
from importmonitor.admin.mixins import ViewOnlyMixin, outside_transactions
from importmonitor.alerts import outbox
from importmonitor.alerts.drafts import DIGEST, TEST
from importmonitor.choices import event_label
from importmonitor.models import Alert, Delivery
from importmonitor.models.alerts import ENDED
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    # Generic only in the stubs.
    from importmonitor.models.alerts import AlertQuerySet

    _ModelAdmin = admin.ModelAdmin[Alert]
else:
    _ModelAdmin = admin.ModelAdmin

DELIVERY_BADGES = {
    Delivery.DELIVERED: display.Badge(Delivery.DELIVERED.label, "✓", "good"),
    Delivery.GIVEN_UP: display.Badge(Delivery.GIVEN_UP.label, "✕", "bad"),
    Delivery.WAITING: display.Badge(Delivery.WAITING.label, "○", "quiet"),
    Delivery.DUE: display.Badge(Delivery.DUE.label, "○", "busy"),
}
#: Of those that no channel can choose.
EVENT_LABELS = {TEST: _("Test"), DIGEST: _("Digest"), ENDED: _("End of the import")}
RETRYING = display.Badge(_("Retrying"), "!", "warn")


@admin.register(Alert)
class AlertAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only: the sync and the outbox write alerts."""

    list_display = (
        "delivery_badge",
        "event_name",
        "workspace",
        "channel_name",
        "created",
        "attempts",
        "last_error",
    )
    list_display_links = ("event_name",)
    sortable_by = ()
    list_filter = (filters.WorkspaceFilter, filters.EventFilter, filters.DeliveryFilter)
    ordering = ("-pk",)
    actions = ("retry_delivery",)
    fields = (
        "event_name",
        "workspace",
        "operation",
        "channel_name",
        "delivery_badge",
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

    @outside_transactions
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    @admin.action(
        description=_("Retry delivery of selected %(verbose_name_plural)s"),
        permissions=["retry_delivery"],
    )
    def retry_delivery(self, request: HttpRequest, alerts: QuerySet[Alert]) -> None:
        """Deliver now the alerts that were not delivered, those given up included."""
        retry_delivery(request, cast("AlertQuerySet", alerts))

    def has_retry_delivery_permission(self, request: HttpRequest) -> bool:
        return has_perm(request.user, RUN_IMPORT)

    @admin.display(description=_("delivery"))
    def delivery_badge(self, alert: Alert) -> SafeString:
        delivery = Delivery(alert.delivery)
        is_retrying = delivery == Delivery.DUE and alert.attempts
        return display.render_badge(RETRYING if is_retrying else DELIVERY_BADGES[delivery])

    @admin.display(description=_("event"))
    def event_name(self, alert: Alert) -> SafeString:
        label = EVENT_LABELS.get(alert.event) or event_label(alert.event)
        return format_html('<span title="{}">{}</span>', alert.event, label)

    @admin.display(description=_("channel"))
    def channel_name(self, alert: Alert) -> str:
        return alert.channel_label

    @admin.display(description=_("created"))
    def created(self, alert: Alert) -> SafeString:
        return display.time_since(alert.created_at)

    @admin.display(description=_("body"))
    def pretty_body(self, alert: Alert) -> SafeString:
        return display.pretty_json(alert.body)


def retry_delivery(request: HttpRequest, alerts: "AlertQuerySet") -> None:
    """Deliver these alerts now, also those given up, and show the result as a message."""
    count, delivered = outbox.retry(alerts)
    if not count:
        if alerts.filter(delivery=Delivery.WAITING).exists():
            messages.info(request, _("The selected alerts wait for the end of an import."))
        elif alerts.filter(delivered_at=None).exists():
            messages.info(request, _("The selected alerts are being delivered."))
        else:
            messages.info(request, _("All selected alerts were already delivered."))
    elif delivered == count:
        text = ngettext("%(count)d alert delivered.", "%(count)d alerts delivered.", count)
        messages.success(request, text % {"count": count})
    else:
        partly = _("%(count)d of %(all)d delivered; see the error column.")
        messages.warning(request, partly % {"count": delivered, "all": count})
