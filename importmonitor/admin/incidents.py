"""The incidents, where they and maintenance can be acknowledged, planned and ended."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Form
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from importmonitor.admin import display, filters, incident_panel, times
from importmonitor.admin.forms import AcknowledgementForm, MaintenanceForm
from importmonitor.admin.mixins import KEY, ViewOnlyMixin
from importmonitor.choices import event_label
from importmonitor.models import Incident, get_viewer
from importmonitor.models.incidents import MAX_NOTE_LENGTH

if TYPE_CHECKING:
    # Generic only in the stubs.
    from importmonitor.models.incidents import IncidentQuerySet

    _ModelAdmin = admin.ModelAdmin[Incident]
else:
    _ModelAdmin = admin.ModelAdmin

NAME = "importmonitor_incident"
#: Alerts on the page of an incident.
MAX_ALERTS = 50
#: Incidents that are acknowledged at once: each is a field of the form, and Django reads 1,000.
MAX_SELECTED = 500


@admin.register(Incident)
class IncidentAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only except for acknowledgements, maintenance and the note: the sync writes them."""

    list_display = ("kind_badge", "summary", "since_time", "lasted", "alerted", "acknowledgement")
    list_display_links = ("kind_badge",)
    list_filter = (
        filters.IncidentStatusFilter,
        filters.IncidentKindFilter,
        filters.WorkspaceFilter,
    )
    sortable_by = ()
    actions = ("acknowledge_selected",)
    fields = (
        "kind_badge",
        "subject",
        "since_time",
        "ended",
        "lasted",
        "message",
        "acknowledgement",
        "alert_list",
        "note",
    )

    class Media:
        css = {"all": ("importmonitor/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        return incident_panel.with_subjects(super().get_queryset(request))

    def get_fields(self, request: HttpRequest, obj: Incident | None = None) -> Any:
        is_open = obj is not None and obj.until is None
        return [name for name in self.fields if name != "ended" or not is_open]

    def get_readonly_fields(self, request: HttpRequest, obj: Incident | None = None) -> list[str]:
        return [name for name in self.fields if name != "note"]

    def has_change_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "note":
            kwargs |= {
                "max_length": MAX_NOTE_LENGTH,
                "widget": AdminTextareaWidget(attrs={"rows": 3}),
            }
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        # Only the note: what a sync has written since the page was opened stays.
        obj.save(update_fields=["note"])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("acknowledge/", view(self.acknowledge), name=f"{NAME}_acknowledge"),
            path("mute/", view(self.mute), name=f"{NAME}_mute"),
            path("<path:object_id>/end/", view(self.end), name=f"{NAME}_end"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": _("Incidents")}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"title": _("Incident")}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["panel"] = incident_panel.of_incident(request, context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(
        description=gettext_lazy("Acknowledge selected %(verbose_name_plural)s"),
        permissions=["change"],
    )
    def acknowledge_selected(
        self, request: HttpRequest, incidents: QuerySet[Incident]
    ) -> TemplateResponse | None:
        """Ask until when, and why; `acknowledge` does it."""
        # The list of the admin is made by the model's own manager.
        selected = list(cast("IncidentQuerySet", incidents).open()[: MAX_SELECTED + 1])
        if not selected:
            messages.info(request, _("The selected incidents are over."))
            return None
        if len(selected) > MAX_SELECTED:
            text = _("No more than %(count)d incidents can be acknowledged at once.")
            messages.warning(request, text % {"count": MAX_SELECTED})
            return None
        request.current_app = self.admin_site.name
        context = self.admin_site.each_context(request) | {
            "title": _("Acknowledge incidents"),
            "opts": self.opts,
            "media": self.media,
            "panel": incident_panel.of_incidents(request, selected),
        }
        return TemplateResponse(request, "admin/importmonitor/incident/acknowledge.html", context)

    def acknowledge(self, request: HttpRequest) -> HttpResponse:
        """Acknowledge incidents, and return to the page that the form was on."""
        if refusal := self._refuse(request):
            return refusal
        form = AcknowledgementForm(request.POST)
        keys = [key for key in request.POST.getlist("incident") if KEY.fullmatch(key)]
        if not form.is_valid():
            _add_errors(request, form)
        elif count := _visible(request, keys[:MAX_SELECTED]).acknowledge(
            by=_name(request),
            at=timezone.now(),
            until=form.until_at(timezone.now()),
            note=form.cleaned_data["note"],
        ):
            text = ngettext(
                "%(count)d incident acknowledged.", "%(count)d incidents acknowledged.", count
            )
            messages.success(request, text % {"count": count})
        else:
            messages.info(request, _("The selected incidents are over."))
        return self._return(request)

    def mute(self, request: HttpRequest) -> HttpResponse:
        """Store maintenance, and return to the page that the form was on."""
        if refusal := self._refuse(request):
            return refusal
        form = MaintenanceForm(request.POST, viewer=get_viewer(request))
        if not form.is_valid():
            _add_errors(request, form)
            return self._return(request)
        by, now = _name(request), timezone.now()
        incident = Incident.objects.mute(**form.cleaned_data, by=by, at=now)
        if incident is None:
            messages.info(request, _("This import has already ended."))
        elif incident.operation is not None:
            messages.success(request, _("Alerts about this import are muted until it ends."))
        elif incident.since > now:
            messages.success(request, _("Maintenance is planned."))
        else:
            messages.success(request, _("Alerts about this workspace are muted."))
        return self._return(request)

    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End maintenance, or cancel planned maintenance."""
        if refusal := self._refuse(request):
            return refusal
        now, key = timezone.now(), unquote(object_id)
        rows = _visible(request, [key] if KEY.fullmatch(key) else [])
        incident = rows.unfinished_maintenance(now).first()
        if incident is None:
            messages.info(request, _("This maintenance is over."))
        else:
            rows.unmute(incident.workspace, now, incident.operation)
            messages.success(request, _("Maintenance ended. What is not over is alerted soon."))
        return self._return(request)

    def _refuse(self, request: HttpRequest) -> HttpResponse | None:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        return None

    def _return(self, request: HttpRequest) -> HttpResponse:
        url = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(
            url, {request.get_host()}, require_https=request.is_secure()
        ):
            url = reverse(f"admin:{NAME}_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(url)

    @admin.display(description=gettext_lazy("kind"))
    def kind_badge(self, incident: Incident) -> SafeString:
        return incident_panel.badge(incident)

    @admin.display(description=gettext_lazy("subject"))
    def summary(self, incident: Incident) -> SafeString:
        return incident_panel.subject(incident, self.admin_site.name, with_message=True)

    @admin.display(description=gettext_lazy("subject"))
    def subject(self, incident: Incident) -> SafeString:
        return incident_panel.subject(incident, self.admin_site.name)

    @admin.display(description=gettext_lazy("since"))
    def since_time(self, incident: Incident) -> SafeString:
        return times.compact_time(incident.since)

    @admin.display(description=gettext_lazy("over since"))
    def ended(self, incident: Incident) -> SafeString:
        return times.compact_time(incident.until)

    @admin.display(description=gettext_lazy("duration"))
    def lasted(self, incident: Incident) -> SafeString:
        return display.format_duration(incident.duration(timezone.now()))

    @admin.display(description=gettext_lazy("alerted"))
    def alerted(self, incident: Incident) -> SafeString:
        first, last = incident.first_alert_at, incident.last_alert_at
        if first is None or last is None or first == last:
            return times.compact_time(first)
        last_time = format_html(_("last {time}"), time=times.compact_time(last))
        return format_html(
            '{}&#32;<span class="im-file im-second">{}</span>',
            times.compact_time(first),
            last_time,
        )

    @admin.display(description=gettext_lazy("acknowledged"))
    def acknowledgement(self, incident: Incident) -> str:
        return incident_panel.acknowledgement(incident, timezone.now()) or display.EMPTY

    @admin.display(description=gettext_lazy("alerts"))
    def alert_list(self, incident: Incident) -> SafeString:
        alerts = incident.alerts.all()[:MAX_ALERTS]
        rows = [
            {
                "alert": alert,
                "event": event_label(alert.event),
                "created": times.format_time(alert.created_at),
                "delivered": times.format_time(alert.delivered_at),
            }
            for alert in alerts
        ]
        context = {"alerts": rows}
        return display.keep_spaces(render_to_string("importmonitor/incident_alerts.html", context))


def _visible(request: HttpRequest, keys: Sequence[str]) -> "IncidentQuerySet":
    """Return those of these incidents that the user may see."""
    viewer = get_viewer(request)
    rows = Incident.objects.visible_to(viewer).filter(pk__in=keys)
    # The settings may hide what the rows of the workspaces do not yet.
    aliases = set(rows.order_by().values_list("workspace", flat=True))
    return rows.filter(workspace__in=[name for name in aliases if not viewer.is_refused(name)])


def _name(request: HttpRequest) -> str:
    return str(request.user.get_username())[:150]


def _add_errors(request: HttpRequest, form: Form) -> None:
    errors = [str(error) for errors in form.errors.values() for error in errors]
    messages.error(request, " ".join(errors))
