"""The workspaces: their sync status now and over the last days, and their current import."""

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from importmonitor import humanize
from importmonitor.admin import clock, display, filters, remarks
from importmonitor.admin.mixins import ViewOnlyMixin
from importmonitor.admin_urls import admin_url
from importmonitor.charts import availability_strip
from importmonitor.models import ImportOperation, Workspace, get_viewer

if TYPE_CHECKING:
    # Generic only in the stubs.
    _ModelAdmin = admin.ModelAdmin[Workspace]
else:
    _ModelAdmin = admin.ModelAdmin

#: The time that a strip covers, and the number of strips on a page.
STRIP_SPAN = timedelta(days=7)
MAX_STRIPS = 20
#: The number of periods on a workspace's page.
MAX_PERIODS = 50
#: The number of operations on a workspace's page that are not current and have not ended.
MAX_HIDDEN = 20


@admin.register(Workspace)
class WorkspaceAdmin(ViewOnlyMixin, _ModelAdmin):
    """View-only: a row for each workspace that was ever polled."""

    list_display = ("alias", "status", "since", "last_poll", "current_import")
    list_filter = (filters.SyncStatusFilter,)
    list_select_related = ("current_operation",)
    search_fields = ("alias",)
    sortable_by = ("alias",)
    actions = None
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "status",
                    "open_period",
                    "last_poll",
                    "last_sync",
                    "present_import",
                    "hidden_imports",
                )
            },
        ),
        (gettext_lazy("Polls"), {"fields": ("strip", "periods", "watched_time")}),
        (gettext_lazy("In Rocket.Chat"), {"fields": ("clock_difference", "operation_list")}),
    )

    class Media:
        css = {"all": ("importmonitor/admin.css", "importmonitor/charts.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        rows: QuerySet[Workspace] = super().get_queryset(request)
        return rows.defer("current_operation__payload")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {"title": _("Workspaces")}
        if self.has_view_permission(request):
            viewer = get_viewer(request)
            aliases = viewer.visible_aliases()
            context |= strips(aliases) | {"is_hidden": not aliases and viewer.is_limited()}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"title": _("Workspace")}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @admin.display(description=gettext_lazy("sync status"))
    def status(self, workspace: Workspace) -> SafeString:
        badge = display.render_badge(display.sync_status_badge(workspace.sync_status))
        if not workspace.message:
            return badge
        return format_html(
            '{}&#32;<span class="im-message"><bdi>{}</bdi></span>', badge, workspace.message
        )

    @admin.display(description=gettext_lazy("since"))
    def since(self, workspace: Workspace) -> SafeString:
        return display.format_datetime(workspace.period_started_at)

    @admin.display(description=gettext_lazy("last poll"))
    def last_poll(self, workspace: Workspace) -> SafeString:
        return display.time_since(workspace.last_polled_at)

    @admin.display(description=gettext_lazy("current import"))
    def current_import(self, workspace: Workspace) -> SafeString:
        operation = workspace.current_operation
        return SafeString(display.EMPTY) if operation is None else self._line(operation)

    @admin.display(description=gettext_lazy("since"))
    def open_period(self, workspace: Workspace) -> SafeString:
        started, last = workspace.period_started_at, workspace.last_polled_at
        if started is None or last is None:
            return SafeString(display.EMPTY)
        polls = ngettext("%(count)s poll", "%(count)s polls", workspace.period_polls)
        return format_html(
            "{} · {} · {}",
            display.format_datetime(started),
            display.format_duration(last - started),
            polls % {"count": humanize.format_number(workspace.period_polls)},
        )

    @admin.display(description=gettext_lazy("last synced"))
    def last_sync(self, workspace: Workspace) -> SafeString:
        return display.time_since(workspace.last_synced_at)

    @admin.display(description=gettext_lazy("current import"))
    def present_import(self, workspace: Workspace) -> str:
        operation = workspace.current_operation
        if operation is None:
            if workspace.is_empty:
                return _("Nothing was ever imported into this workspace.")
            return _("The status of its imports is unknown.")
        context = {
            "line": self._line(operation),
            "progress": display.progress(operation),
            "rate": display.rate_line(operation),
            "is_stalled": operation.is_stalled,
            "remarks": remarks.of_operation(operation, workspace),
        }
        return display.keep_spaces(render_to_string("importmonitor/workspace_import.html", context))

    @admin.display(description=gettext_lazy("other open imports"))
    def hidden_imports(self, workspace: Workspace) -> SafeString:
        rows = ImportOperation.objects.filter(workspace=workspace.alias, finished_at=None)
        hidden = rows.exclude(pk=workspace.current_operation_id or 0).newest_first()
        lines = [(self._line(row),) for row in hidden.defer("payload")[:MAX_HIDDEN]]
        if not lines:
            return SafeString(display.EMPTY)
        return format_html(
            '<ul class="im-plain">{}</ul>', format_html_join("", "<li>{}</li>", lines)
        )

    @admin.display(description=gettext_lazy("last seven days"))
    def strip(self, workspace: Workspace) -> SafeString:
        now = timezone.now()
        start = now - STRIP_SPAN
        periods = Workspace.objects.filter(pk=workspace.pk).periods(start, now)
        return SafeString(availability_strip(periods, start, now, name=workspace.alias))

    @admin.display(description=gettext_lazy("sync periods"))
    def periods(self, workspace: Workspace) -> SafeString:
        rows = [
            {
                "badge": display.render_badge(display.sync_status_badge(period.outcome)),
                "since": display.format_datetime(period.first_at),
                "duration": display.format_duration(period.last_at - period.first_at),
                "polls": humanize.format_number(period.polls),
                "message": period.message,
                "is_open": period.pk == workspace.period_id,
            }
            for period in workspace.newest_periods(MAX_PERIODS)
        ]
        is_cut = len(rows) == MAX_PERIODS
        context = {"periods": rows, "is_cut": is_cut}
        return display.keep_spaces(render_to_string("importmonitor/periods.html", context))

    @admin.display(description=gettext_lazy("watched"))
    def watched_time(self, workspace: Workspace) -> SafeString:
        if workspace.first_synced_at is None:
            return SafeString(display.EMPTY)
        text = _("{duration} since the first sync, {time}")
        return format_html(
            text,
            duration=display.format_duration(workspace.watched),
            time=display.format_datetime(workspace.first_synced_at),
        )

    @admin.display(description=gettext_lazy("clock"))
    def clock_difference(self, workspace: Workspace) -> SafeString:
        text = clock.notable_line(workspace)
        if not text:
            return format_html("{}", clock.line(workspace))
        remark = _(
            "Times and durations on these pages are corrected, but those in Rocket.Chat's log and "
            "in raw documents are by its clock."
        )
        return format_html('<span class="im-remark im-wait">{}</span> {}', text, remark)

    @admin.display(description=gettext_lazy("list of operations"))
    def operation_list(self, workspace: Workspace) -> SafeString:
        if not workspace.list_refused:
            return format_html("{}", _("Readable") if workspace.is_good else display.EMPTY)
        return format_html(
            '<span class="im-remark im-wait">{} {}</span><p>{}</p>',
            _("Refused."),
            workspace.list_refused,
            _(
                "As long as it is refused, imports that start and end between two polls are "
                "missed, and the end of an import that runs on behind a newer one cannot be seen."
            ),
        )

    def _line(self, operation: ImportOperation) -> SafeString:
        """Return the badge and the name of an operation, linked if its page is in this site."""
        name = display.operation_name(operation)
        url = admin_url("importoperation_change", operation.pk, site=self.admin_site.name)
        return format_html(
            "{}&#32;{}",
            display.operation_badge(operation),
            format_html('<a href="{}">{}</a>', url, name) if url else name,
        )


def strips(aliases: list[str]) -> dict[str, Any]:
    """Return the availability strips of the first of these workspaces."""
    now = timezone.now()
    start = now - STRIP_SPAN
    shown = aliases[:MAX_STRIPS]
    periods = defaultdict(list)
    workspaces = Workspace.objects.filter(alias__in=shown)
    for period in workspaces.periods(start, now):
        periods[period.workspace].append(period)
    return {
        "never_synced": set(shown) - {row.alias for row in workspaces if row.was_polled},
        "strips": [
            (alias, availability_strip(periods[alias], start, now, name=alias)) for alias in shown
        ],
        "more": len(aliases) - len(shown),
    }
