"""The history page and the operation page."""

import re
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, QuerySet, Subquery
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from importmonitor.admin import (
    chips,
    columns,
    dashboard,
    display,
    export,
    filters,
    incident_panel,
    notify_me,
    operation_page,
    sync_now,
    times,
)
from importmonitor.admin.alerts import retry_delivery
from importmonitor.admin.history_list import HistoryList
from importmonitor.admin.mixins import KEY, ViewOnlyMixin, outside_transactions
from importmonitor.admin_urls import admin_url
from importmonitor.models import Alert, ImportOperation, fleet, get_viewer
from importmonitor.models.operations import NOTE_BY_LENGTH
from importmonitor.permissions import RUN_IMPORT, has_perm

NAME = "importmonitor_importoperation"
VIEW_WORKSPACE = "importmonitor.view_workspace"
#: The form of an operation's id: 17 letters and digits, 24 hex digits, or one of ours.
REMOTE_ID = re.compile(r"[A-Za-z0-9_-]{3,64}")
#: Files and types are searched in the newest operations only.
MAX_SEARCHED = 10_000
#: Characters of a note: a page has to hold it.
MAX_NOTE_LENGTH = 10_000
#: The log of changes translates the labels of the form's fields, with their capitals.
CHANGED_FIELDS = (_("Note"),)

if TYPE_CHECKING:
    # Generic only in the stubs.
    _ModelAdmin = admin.ModelAdmin[ImportOperation]
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(ImportOperation)
class ImportOperationAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only except for the note: the operations are Rocket.Chat's."""

    list_display = (
        "status_badge",
        "name",
        "progress",
        "duration",
        "started",
        "workspace",
        columns.users,
        columns.channels,
        columns.messages,
        "last_update",
    )
    list_display_links = ("name",)
    list_filter = (
        filters.WorkspaceFilter,
        filters.OutcomeFilter,
        filters.StateFilter,
        filters.ErrorsFilter,
        filters.ImporterFilter,
        filters.StartedByFilter,
        # Not `date_hierarchy`: it truncates the date of every row to get its values.
        ("started_at", filters.StartedFilter),
    )
    # Only columns that an index serves in both directions.
    sortable_by = ("started",)
    search_fields = ("remote_id", "file", "type")
    search_help_text = _(
        "Search by Rocket.Chat id, or by file and type in the newest 10,000 operations"
    )
    actions = None

    # The template shows the rest.
    fieldsets = ((None, {"fields": ("note",)}),)

    class Media:
        css = {
            "all": [
                f"importmonitor/{name}.css" for name in ("admin", "charts", "history", "operation")
            ]
        }
        js = ("importmonitor/refresh.js", "importmonitor/copy.js")

    def has_change_permission(
        self, request: HttpRequest, obj: ImportOperation | None = None
    ) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "note":
            kwargs |= {
                "max_length": MAX_NOTE_LENGTH,
                "widget": AdminTextareaWidget(attrs={"rows": 3}),
            }
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: ImportOperation, form: Any, change: bool
    ) -> None:
        if "note" in form.changed_data:
            obj.note_by = str(request.user.get_username())[:NOTE_BY_LENGTH]
            obj.note_at = timezone.now()
        # Only the note: what a sync has written since the page was opened stays.
        obj.save(update_fields=["note", "note_by", "note_at"])

    def response_post_save_change(
        self, request: HttpRequest, obj: ImportOperation
    ) -> HttpResponseRedirect:
        # To the page itself, where the note is.
        return HttpResponseRedirect(request.get_full_path())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation], search_term: str
    ) -> tuple[QuerySet[ImportOperation], bool]:
        term = search_term.strip()
        if term:
            exact = queryset.filter(remote_id=term if REMOTE_ID.fullmatch(term) else "")
            newest = ImportOperation.objects.newest_first().values("started_at")
            oldest = Subquery(newest[MAX_SEARCHED : MAX_SEARCHED + 1])
            values = fleet.read_values({"is_id": Exists(exact.order_by()), "oldest": oldest})
            if values["is_id"]:
                return exact, False
            # No index serves a search for a part of a name, so it has to be limited: by a value,
            # because for a subquery PostgreSQL would read and compare all rows.
            if values["oldest"] is not None:
                queryset = queryset.filter(started_at__gt=values["oldest"])
        return super().get_search_results(request, queryset, search_term)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[HistoryList]:
        return HistoryList

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("sync/", view(self.sync_now), name=f"{NAME}_sync"),
            path("export/<str:file_format>/", view(self.export), name=f"{NAME}_export"),
            path(
                "<path:object_id>/retry/",
                outside_transactions(view(self.retry_alert)),
                name=f"{NAME}_retry",
            ),
            path("<path:object_id>/notify/", view(self.notify_me), name=f"{NAME}_notify"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": _("Import history")}
        if not self.has_view_permission(request):
            return super().changelist_view(request, context | (extra_context or {}))
        alias = request.GET.get("workspace", "")
        viewer = get_viewer(request)
        workspace = alias if viewer.may_see(alias) else ""
        surveyed, counts = dashboard.survey(viewer, workspace)
        incidents = incident_panel.summary(request, workspace)
        context |= dashboard.context(
            viewer,
            workspace,
            surveyed,
            counts,
            self.admin_site.name,
            has_incidents=bool(incidents["count"]),
        )
        context |= {
            "incidents": incidents,
            "can_sync": has_perm(request.user, RUN_IMPORT),
            "sync": sync_now.get_progress(request),
            "workspaces_url": self._workspaces_url(request),
            "query": request.GET.urlencode(),
        }
        response = super().changelist_view(request, context | (extra_context or {}))
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            changelist = response.context_data["cl"]
            if surveyed.is_only_one:
                changelist.hide_workspace()
            response.context_data |= chips.context(changelist, counts)
        return response

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ImportOperation | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context |= {"title": operation_page.page_title(obj), "subtitle": None}
            incidents = incident_panel.read_incidents(obj, timezone.now())
            context |= operation_page.context(obj, request, incidents)
            context["panel"] = incident_panel.of_operation(request, obj, incidents)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def retry_alert(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Deliver an alert about an operation now, and return to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not has_perm(request.user, RUN_IMPORT):
            raise PermissionDenied
        operation = self.get_object(request, unquote(object_id))
        key = request.POST.get("alert", "")
        if operation is None or not KEY.fullmatch(key):
            raise Http404
        retry_delivery(request, Alert.objects.filter(operation=operation, pk=key))
        url = reverse(f"admin:{NAME}_change", args=[operation.pk], current_app=self.admin_site.name)
        return HttpResponseRedirect(url)

    def _workspaces_url(self, request: HttpRequest) -> str | None:
        """Return the URL of the workspaces, None if the user may not see them.

        A host can leave their ModelAdmin out of a site.
        """
        if not any(has_perm(request.user, name) for name in (RUN_IMPORT, VIEW_WORKSPACE)):
            return None
        return admin_url("workspace_changelist", site=self.admin_site.name)

    def sync_now(self, request: HttpRequest) -> HttpResponse:
        """Have every visible workspace polled and return to the list, which shows the progress."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not has_perm(request.user, RUN_IMPORT):
            raise PermissionDenied
        sync_now.sync_now(request)
        # The URL carries the filters of the list.
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        url = reverse(f"admin:{NAME}_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(url + query)

    @outside_transactions
    def notify_me(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Subscribe the user to the end of an import, or unsubscribe them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        operation = self.get_object(request, unquote(object_id))
        if operation is None:
            raise Http404
        notify_me.notify_me(request, operation)
        name = f"admin:{NAME}_change"
        return HttpResponseRedirect(
            reverse(name, args=[operation.pk], current_app=self.admin_site.name)
        )

    def export(self, request: HttpRequest, file_format: str) -> HttpResponseBase:
        """Return the rows of all pages of the list as a file."""
        return export.export(request, self, file_format)

    @admin.display(description=_("status"))
    def status_badge(self, operation: ImportOperation) -> SafeString:
        return display.operation_badge(operation)

    @admin.display(description=_("type and file"))
    def name(self, operation: ImportOperation) -> SafeString:
        return display.operation_name(operation)

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, operation: ImportOperation) -> SafeString:
        return times.compact_time(operation.started_at)

    @admin.display(description=_("last update"))
    def last_update(self, operation: ImportOperation) -> SafeString:
        return times.compact_time(operation.last_seen_at)

    @admin.display(description=_("progress"))
    def progress(self, operation: ImportOperation) -> SafeString:
        return display.progress(operation)

    @admin.display(description=_("duration"))
    def duration(self, operation: ImportOperation) -> SafeString:
        return display.format_duration(operation.duration(timezone.now()))
