"""The workspaces: a list with their present state and availability, and a page of each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf
from importmonitor.admin import (
    connection,
    display,
    filters,
    incident_panel,
    remarks,
    sync_now,
    times,
    workspace_facts,
    workspace_list,
    workspace_page,
)
from importmonitor.admin.mixins import ViewOnlyMixin, outside_transactions
from importmonitor.admin_urls import admin_url
from importmonitor.choices import incident_label
from importmonitor.humanize import format_duration, format_number
from importmonitor.models import ImportOperation, Workspace, get_viewer
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    from importmonitor.models.workspace_queries import WorkspaceQuerySet

    # Generic only in the stubs.
    _ModelAdmin = admin.ModelAdmin[Workspace]
else:
    _ModelAdmin = admin.ModelAdmin

NAME = "importmonitor_workspace"
#: The number of operations on a workspace's page that are not current and have not ended.
MAX_HIDDEN = 20


@admin.register(Workspace)
class WorkspaceAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only: a row for each workspace that was ever polled."""

    list_display = (
        "alias",
        "status",
        "open_incidents",
        "current_import",
        "last_sync",
        "last_day",
        "last_week",
        "last_month",
        "last_quarter",
    )
    list_filter = (filters.SyncStatusFilter,)
    list_per_page = 25
    search_fields = ("alias",)
    search_help_text = gettext_lazy("The beginning of a name, or else a part of it.")
    sortable_by = ("alias",)
    actions = None
    fieldsets = (
        (
            gettext_lazy("Polls"),
            {
                "fields": (
                    "open_period",
                    "last_poll",
                    "last_sync",
                    "next_poll",
                    "last_response_time",
                    "rate_budget",
                    "watched_time",
                )
            },
        ),
        (
            gettext_lazy("In Rocket.Chat"),
            {"fields": ("permissions", "clock_difference")},
        ),
    )

    class Media:
        css = {"all": ("importmonitor/admin.css", "importmonitor/charts.css")}
        js = ("importmonitor/refresh.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        rows: QuerySet[Workspace] = super().get_queryset(request)
        return rows.select_related("current_operation").defer("current_operation__payload")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        # No stored value has a NUL, and PostgreSQL rejects one in a query.
        if not term or "\0" in term:
            return (queryset.none() if term else queryset), False
        rows = cast("WorkspaceQuerySet", queryset)
        return rows.search(term), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return workspace_list.WorkspaceList

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<path:object_id>/sync/", view(self.sync_now), name=f"{NAME}_sync"),
            path("<path:object_id>/check/", view(self.check_connection), name=f"{NAME}_check"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": _("Workspaces")}
        if self.has_view_permission(request):
            context |= workspace_list.find_unregistered(get_viewer(request))
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": _("Workspace")}
        workspace = self.get_object(request, unquote(object_id))
        if workspace is not None and self.has_view_permission(request, workspace):
            context |= workspace_page.context(request, workspace, self.admin_site.name)
            context |= self._present_context(workspace) | {
                "can_run": has_perm(request.user, RUN_IMPORT),
                "sync": sync_now.get_progress(request),
                "panel": incident_panel.of_workspace(request, workspace),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def sync_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have this workspace polled and return to its page."""
        return self._run(request, object_id, sync_now.sync_now)

    @outside_transactions
    def check_connection(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Check whether this workspace can be monitored and return to its page with the result."""
        return self._run(request, object_id, connection.check)

    def _run(
        self, request: HttpRequest, object_id: str, run: Callable[[HttpRequest, str], None]
    ) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not has_perm(request.user, RUN_IMPORT):
            raise PermissionDenied
        workspace = self.get_object(request, unquote(object_id))
        if workspace is not None:
            run(request, workspace.alias)
        # Of a workspace that does not exist, that page says so.
        url = reverse(f"admin:{NAME}_change", args=[object_id], current_app=self.admin_site.name)
        return HttpResponseRedirect(url)

    def _present_context(self, workspace: Workspace) -> dict[str, Any]:
        """Return the context of what is at the top of the page: the state at the last poll."""
        now = timezone.now()
        return {
            "is_configured": bool(conf.find_configured([workspace.alias])),
            "badge": display.render_badge(display.sync_status_badge(workspace.sync_status)),
            "failing_for": workspace.failing_since
            and display.format_duration(now - workspace.failing_since),
            "is_late": workspace.is_late(now),
            "last_poll": times.time_since(workspace.last_polled_at),
            "present_import": self._present_import(workspace),
            "hidden_imports": self._hidden_imports(workspace),
        }

    def _present_import(self, workspace: Workspace) -> str:
        operation = workspace.current_operation
        if operation is None:
            if workspace.is_empty:
                return _("Nothing was ever imported into this workspace.")
            return _("The status of its imports is unknown.")
        context = {
            "line": self._line(operation),
            "progress": display.progress(operation),
            "rate": display.rate_line(operation),
            "is_active": operation.is_active,
            "is_stalled": operation.is_stalled,
            "remarks": remarks.of_operation(operation, workspace),
        }
        return display.keep_spaces(render_to_string("importmonitor/workspace_import.html", context))

    def _hidden_imports(self, workspace: Workspace) -> SafeString:
        """Return the imports that Rocket.Chat no longer calls current and that have not ended."""
        rows = ImportOperation.objects.filter(workspace=workspace.alias, finished_at=None)
        hidden = rows.exclude(pk=workspace.current_operation_id or 0).newest_first()
        lines = [(self._line(row),) for row in hidden.defer("payload")[:MAX_HIDDEN]]
        return format_html_join("", "<li>{}</li>", lines)

    @admin.display(description=gettext_lazy("state"))
    def status(self, workspace: Any) -> SafeString:
        badge = display.render_badge(display.sync_status_badge(workspace.sync_status))
        if not workspace.is_configured:
            remark = _("No longer configured")
        elif workspace.failing_since is not None:
            failing = timezone.now() - workspace.failing_since
            remark = _("for %(time)s") % {"time": format_duration(failing)}
        else:
            return badge
        return format_html('{}&#32;<span class="im-quiet im-below">{}</span>', badge, remark)

    @admin.display(description=gettext_lazy("current import"))
    def current_import(self, workspace: Workspace) -> SafeString:
        operation = workspace.current_operation
        return SafeString(display.EMPTY) if operation is None else self._line(operation)

    @admin.display(description=gettext_lazy("last synced"))
    def last_sync(self, workspace: Workspace) -> SafeString:
        return _labelled(_("last synced"), times.compact_time(workspace.last_synced_at))

    @admin.display(description=workspace_page.SPANS[1])
    def last_day(self, workspace: Any) -> SafeString:
        return _figure(workspace.figures, 1)

    @admin.display(description=workspace_page.SPANS[7])
    def last_week(self, workspace: Any) -> SafeString:
        return _figure(workspace.figures, 7)

    @admin.display(description=workspace_page.SPANS[30])
    def last_month(self, workspace: Any) -> SafeString:
        return _figure(workspace.figures, 30)

    @admin.display(description=workspace_page.SPANS[90])
    def last_quarter(self, workspace: Any) -> SafeString:
        return _figure(workspace.figures, 90)

    @admin.display(description=gettext_lazy("open incidents"))
    def open_incidents(self, workspace: Any) -> SafeString:
        lines = [
            (incident_label(kind), f" × {format_number(count)}" if count > 1 else "")
            for kind, count in workspace.incident_counts
        ]
        kinds = format_html_join(", ", '<span class="im-incident-count">{}{}</span>', lines)
        return _labelled(_("open incidents"), kinds or display.EMPTY)

    @admin.display(description=gettext_lazy("this state since"))
    def open_period(self, workspace: Workspace) -> SafeString:
        return workspace_facts.open_period(workspace)

    @admin.display(description=gettext_lazy("last poll"))
    def last_poll(self, workspace: Workspace) -> SafeString:
        return times.compact_time(workspace.last_polled_at)

    @admin.display(description=gettext_lazy("next poll"))
    def next_poll(self, workspace: Workspace) -> SafeString:
        return workspace_facts.next_poll(workspace, timezone.now())

    @admin.display(description=gettext_lazy("response time"))
    def last_response_time(self, workspace: Workspace) -> str:
        return workspace_facts.response_time(workspace)

    @admin.display(description=gettext_lazy("rate limit"))
    def rate_budget(self, workspace: Workspace) -> SafeString:
        return workspace_facts.rate_budget(workspace, timezone.now())

    @admin.display(description=gettext_lazy("watched"))
    def watched_time(self, workspace: Workspace) -> SafeString:
        return workspace_facts.watched_time(workspace)

    @admin.display(description=gettext_lazy("permissions"))
    def permissions(self, workspace: Workspace) -> SafeString:
        return workspace_facts.permissions(workspace)

    @admin.display(description=gettext_lazy("clock"))
    def clock_difference(self, workspace: Workspace) -> SafeString:
        return workspace_facts.clock_difference(workspace)

    def _line(self, operation: ImportOperation) -> SafeString:
        """Return the badge and the name of an operation, linked if its page is in this site."""
        name = display.operation_name(operation)
        url = admin_url("importoperation_change", operation.pk, site=self.admin_site.name)
        return format_html(
            "{}&#32;{}",
            display.operation_badge(operation),
            format_html('<a href="{}">{}</a>', url, name) if url else name,
        )


def _labelled(label: Any, value: str) -> SafeString:
    """Return a value with its label, which is shown where a phone hides that of the column."""
    return format_html('<span class="im-label">{}:</span> {}', capfirst(label), value)


def _figure(figures: workspace_page.Figures, days: int) -> SafeString:
    percent, words = figures[days]
    figure = format_html('<bdi title="{}">{}</bdi>', words, percent or display.EMPTY)
    return _labelled(workspace_page.SPANS[days], figure)
