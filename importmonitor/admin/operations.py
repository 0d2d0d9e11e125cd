"""The history page and the operation page."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from importmonitor import conf, health, outcomes, wording
from importmonitor.admin import display, filters
from importmonitor.looking import LEASED
from importmonitor.models import ImportOperation
from importmonitor.sync import SyncResult, sync_workspace

RUN_IMPORT = "importmonitor.run-import"

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _ModelAdmin = admin.ModelAdmin[ImportOperation]
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(ImportOperation)
class ImportOperationAdmin(_ModelAdmin):
    """View-only, but for the note: operations are Rocket.Chat's, not ours to edit."""

    list_display = ("badge", "what", "progress", "workspace", "started", "changed")
    list_display_links = ("what",)
    list_filter = (
        filters.WorkspaceFilter,
        filters.OutcomeFilter,
        filters.StateFilter,
        filters.ImporterFilter,
        # Ranges of time: `date_hierarchy` would truncate the date of every row to find its values.
        ("started_at", admin.DateFieldListFilter),
    )
    # Only what an index serves in both directions.
    sortable_by = ("started",)
    search_fields = ("remote_id", "file", "type")
    search_help_text = _("Search by file, type or Rocket.Chat's id")
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None

    fieldsets = (
        (None, {"fields": ("summary",)}),
        (_("Timeline"), {"fields": ("timeline",)}),
        (_("Note"), {"fields": ("note",)}),
        (
            _("In Rocket.Chat"),
            {
                "fields": (
                    "remote_id",
                    "type",
                    "importer_key",
                    "status",
                    "state",
                    "valid",
                    "remote_user_id",
                    "file",
                    "content_type",
                    "remote_started_at",
                    "remote_updated_at",
                )
            },
        ),
        (
            _("Seen by this monitor"),
            {
                "fields": (
                    "workspace",
                    "first_seen_at",
                    "last_seen_at",
                    "last_progress_at",
                    "finished_at",
                    "end_reason",
                )
            },
        ),
        (_("As received"), {"fields": ("not_readable", "pretty_payload")}),
    )

    class Media:
        css = {"all": ("importmonitor/admin.css",)}
        js = ("importmonitor/refresh.js",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: ImportOperation | None = None
    ) -> list[str]:
        return [name for name in flatten_fieldsets(self.fieldsets) if name != "note"]

    def has_view_permission(self, request: HttpRequest, obj: ImportOperation | None = None) -> bool:
        return super().has_view_permission(request, obj) or request.user.has_perm(RUN_IMPORT)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: ImportOperation, form: Any, change: bool
    ) -> None:
        # Nothing but the note: what a sync has written since the page was opened stays.
        obj.save(update_fields=["note"])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ImportOperation], search_term: str
    ) -> tuple[QuerySet[ImportOperation], bool]:
        exact = queryset.filter(remote_id=search_term.strip())
        if search_term.strip() and exact.exists():
            return exact, False
        return super().get_search_results(request, queryset, search_term)

    def get_urls(self) -> list[URLPattern]:
        sync_now = path(
            "sync/",
            self.admin_site.admin_view(self.sync_now),
            name="importmonitor_importoperation_sync",
        )
        return [sync_now, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        now = timezone.now()
        workspaces = health.workspaces(now) if self.has_view_permission(request) else []
        context = {
            "title": _("Import history"),
            "cards": [card(each) for each in workspaces],
            "can_sync": request.user.has_perm(RUN_IMPORT),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {"title": _("Import operation")} | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)

    def sync_now(self, request: HttpRequest) -> HttpResponse:
        """Look at every workspace now, and say how it went."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(RUN_IMPORT):
            raise PermissionDenied
        try:
            configured = conf.config().workspaces
        except ImproperlyConfigured as error:
            messages.error(request, str(error))
            configured = {}
        else:
            if not configured:
                messages.warning(request, _("No Rocket.Chat workspace is configured."))
        for workspace in configured.values():
            tell(request, sync_workspace(workspace))
        return HttpResponseRedirect(reverse("admin:importmonitor_importoperation_changelist"))

    @admin.display(description=_("state"))
    def badge(self, operation: ImportOperation) -> SafeString:
        return display.badge(operation)

    @admin.display(description=_("type and file"))
    def what(self, operation: ImportOperation) -> SafeString:
        return display.name(operation)

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, operation: ImportOperation) -> SafeString:
        return display.at(operation.started_at)

    @admin.display(description=_("last update"))
    def changed(self, operation: ImportOperation) -> SafeString:
        return display.ago(operation.last_seen_at)

    @admin.display(description=_("progress"))
    def progress(self, operation: ImportOperation) -> SafeString:
        return display.progress(operation)

    @admin.display(description=_("how it stands"))
    def summary(self, operation: ImportOperation) -> str:
        now = timezone.now()
        counts = {
            _("Users"): operation.count_users,
            _("Channels"): operation.count_channels,
            _("Messages"): operation.count_messages,
            _("Contacts"): operation.count_contacts,
            _("Errors"): operation.count_error,
        }
        return render_to_string(
            "importmonitor/summary.html",
            {
                "operation": operation,
                "active": outcomes.is_active(operation),
                "badge": display.badge(operation),
                "progress": display.progress(operation),
                "pace": display.pace(operation),
                "file_name": outcomes.file_name(operation),
                "started": display.at(operation.started_at),
                "finished": display.at(operation.finished_at),
                "duration": wording.lasting(outcomes.duration(operation, now)),
                "counters": {
                    name: display.number(count)
                    for name, count in counts.items()
                    if count is not None
                },
            },
        )

    @admin.display(description=_("what was seen, and when"))
    def timeline(self, operation: ImportOperation) -> str:
        transitions = list(operation.transitions.all())
        entries = [
            {
                "transition": transition,
                "at": display.at(transition.observed_at),
                "badge": display.state_badge(transition.to_state),
                "after": wording.lasting(transition.observed_at - before.observed_at)
                if before
                else None,
            }
            for before, transition in zip([None, *transitions], transitions, strict=False)
        ]
        return render_to_string("importmonitor/timeline.html", {"entries": entries})

    @admin.display(description=_("could not be read"))
    def not_readable(self, operation: ImportOperation) -> str:
        return ", ".join(operation.unreadable) or str(_("nothing: every field could be read"))

    @admin.display(description=_("payload"))
    def pretty_payload(self, operation: ImportOperation) -> SafeString:
        return display.pretty(operation.payload)


def card(workspace: health.WorkspaceHealth) -> dict[str, Any]:
    """Prepare a workspace's card on the history page."""
    operation, period = workspace.operation, workspace.period
    return {
        "workspace": workspace,
        "looked": display.ago(period.last_at) if period else None,
        "since": wording.lasting(period.last_at - period.first_at) if period else None,
        "badge": display.badge(operation) if operation else None,
        "progress": display.progress(operation) if operation else None,
        "pace": display.pace(operation) if operation else "",
        "file_name": outcomes.file_name(operation) if operation else None,
        "started": display.at(operation.started_at) if operation else None,
        "duration": wording.lasting(outcomes.duration(operation, timezone.now()))
        if operation
        else None,
        "active": operation is not None and outcomes.is_active(operation),
    }


def tell(request: HttpRequest, result: SyncResult) -> None:
    """Tell in a message how a poll went."""
    # No message begins with an alias: the admin's template would give it a capital letter.
    words = {"workspace": result.workspace, "reason": result.skipped}
    if result.error is not None:
        messages.error(request, f"{result.error.kind}: {result.error}")
    elif result.skipped == LEASED:
        told = _("The workspace %(workspace)s is being synced by another process.")
        messages.info(request, told % words)
    elif result.skipped is not None:
        told = _("Rocket.Chat asked to leave %(workspace)s alone for a moment (%(reason)s).")
        messages.warning(request, told % words)
    elif result.changes:
        messages.success(request, _("Synced %(workspace)s.") % words)
    else:
        messages.success(request, _("Synced %(workspace)s: nothing new.") % words)
