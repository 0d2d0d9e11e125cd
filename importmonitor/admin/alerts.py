"""The alerts and their delivery."""

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from importmonitor import conf
from importmonitor.admin import display, filters, times
from importmonitor.admin.mixins import ViewOnlyMixin, outside_transactions
from importmonitor.alerts import outbox, subscriptions
from importmonitor.alerts.check import send_test_alert
from importmonitor.alerts.drafts import DIGEST, TEST
from importmonitor.choices import Event, Severity, event_label
from importmonitor.conf.channels import EVERY_WORKSPACE, ChannelConfig
from importmonitor.humanize import format_duration
from importmonitor.models import Alert, Delivery, Outcome, get_viewer
from importmonitor.models.alerts import ENDED
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    # Generic only in the stubs.
    from importmonitor.models.alerts import AlertQuerySet

    _ModelAdmin = admin.ModelAdmin[Alert]
else:
    _ModelAdmin = admin.ModelAdmin

NAME = "importmonitor_alert"
#: How long the page waits for the result of a test, in seconds.
TEST_SECONDS = 5.0
DELIVERY_BADGES = {
    Delivery.DELIVERED: display.Badge(Delivery.DELIVERED.label, "✓", "good"),
    Delivery.GIVEN_UP: display.Badge(Delivery.GIVEN_UP.label, "✕", "bad"),
    Delivery.WAITING: display.Badge(Delivery.WAITING.label, "○", "quiet"),
    Delivery.DUE: display.Badge(Delivery.DUE.label, "○", "busy"),
}
#: Of those that no channel can choose.
EVENT_LABELS = {TEST: _("Test"), DIGEST: _("Digest"), ENDED: _("End of the import")}
RETRYING = display.Badge(_("Retrying"), "!", "warn")


class AlertList(ChangeList):
    """The change list, with the users that its rows name read at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        subscriptions.read_user_names(list(self.result_list))


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
    list_filter = (
        filters.ImportFilter,
        filters.WorkspaceFilter,
        filters.EventFilter,
        filters.DeliveryFilter,
    )
    ordering = ("-pk",)
    empty_value_display = display.EMPTY
    actions = ("retry_delivery",)
    fields = (
        "event_name",
        "workspace",
        "operation",
        "incident",
        "channel_name",
        "delivery_badge",
        "attempts",
        "last_error",
        "created",
        "next_attempt",
        "delivered",
        "given_up",
        "key",
        "pretty_body",
    )

    class Media:
        css = {"all": ("importmonitor/admin.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AlertList

    def get_object(self, request: HttpRequest, *args: Any) -> Alert | None:
        alert: Alert | None = super().get_object(request, *args)
        if alert is not None:
            subscriptions.read_user_names([alert])
        return alert

    def get_readonly_fields(self, request: HttpRequest, obj: Alert | None = None) -> list[str]:
        return list(self.fields)

    @outside_transactions
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {
            "title": _("Alerts"),
            "has_channels": bool(conf.get_options().channels),
            "can_test": has_perm(request.user, RUN_IMPORT),
        }
        if self.has_view_permission(request):
            context["channels"] = [_describe(row) for row in get_viewer(request).visible_channels()]
        return super().changelist_view(request, context | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        view = outside_transactions(self.admin_site.admin_view(self.send_test))
        return [path("test/", view, name=f"{NAME}_test"), *super().get_urls()]

    def send_test(self, request: HttpRequest) -> HttpResponse:
        """Send a test message through one channel, and show whether it was accepted."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not has_perm(request.user, RUN_IMPORT):
            raise PermissionDenied
        name = request.POST.get("channel", "")
        chosen = [row for row in get_viewer(request).visible_channels() if row.name == name]
        if not chosen:
            messages.error(request, _("No channel of this name is configured."))
        else:
            for alert in send_test_alert(chosen, seconds=TEST_SECONDS):
                _add_test_result(request, alert)
        url = reverse(f"admin:{NAME}_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(url)

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
        text = format_html('<span title="{}">{}</span>', alert.event, label)
        if not alert.is_reminder:
            return text
        return format_html('{}&#32;<span class="im-file">{}</span>', text, _("Reminder"))

    @admin.display(description=_("channel"))
    def channel_name(self, alert: Alert) -> str:
        return alert.channel_label

    @admin.display(description=_("created"))
    def created(self, alert: Alert) -> SafeString:
        return times.compact_time(alert.created_at)

    @admin.display(description=_("next attempt"))
    def next_attempt(self, alert: Alert) -> SafeString:
        return times.compact_time(alert.next_attempt_at)

    @admin.display(description=_("delivered"))
    def delivered(self, alert: Alert) -> SafeString:
        return times.compact_time(alert.delivered_at)

    @admin.display(description=_("given up"))
    def given_up(self, alert: Alert) -> SafeString:
        return times.compact_time(alert.given_up_at)

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


def _add_test_result(request: HttpRequest, alert: Alert) -> None:
    values = {"channel": alert.channel, "error": alert.last_error}
    if alert.delivered_at is not None:
        messages.success(request, _("The test message was delivered by %(channel)s.") % values)
    elif alert.last_error:
        text = _("The test message was not delivered by %(channel)s: %(error)s")
        messages.error(request, text % values)
    else:
        messages.warning(request, _("The test message is still being delivered."))


def _describe(channel: ChannelConfig) -> dict[str, Any]:
    """Return what a channel wants, without its options, which can be secret."""
    parts: list[Any] = []
    if channel.workspaces != EVERY_WORKSPACE:
        parts.append(_("Workspaces: %(names)s") % {"names": ", ".join(channel.workspaces)})
    if channel.events != frozenset(Event):
        labels = [event_label(event) for event in Event if event in channel.events]
        parts.append(_("Events: %(names)s") % {"names": ", ".join(labels)})
    if channel.outcomes is not None:
        labels = [str(outcome.label) for outcome in Outcome if outcome in channel.outcomes]
        parts.append(_("Outcomes: %(names)s") % {"names": ", ".join(labels)})
    if channel.severity == Severity.CRITICAL:
        parts.append(_("Critical alerts only"))
    elif channel.severity == Severity.WARNING:
        parts.append(_("Critical alerts and warnings"))
    if not parts:
        parts.append(_("All alerts"))
    if channel.remind_every is not None:
        every = {"time": format_duration(channel.remind_every)}
        parts.append(_("Reminders every %(time)s") % every)
    return {
        "name": channel.name,
        "backend": channel.backend.rpartition(".")[2],
        "filters": " · ".join(map(str, parts)),
    }
