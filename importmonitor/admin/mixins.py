"""What the ModelAdmins share."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from importmonitor.admin.paginator import CappedPaginator
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    # Generic only in the stubs.
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator


class PermissionFirstMixin:
    """A ModelAdmin that does not reveal to users without permission whether a row exists."""

    def history_view(
        self: Any,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # Django's own view looks up the row before it checks the permission.
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return admin.ModelAdmin.history_view(self, request, object_id, extra_context)


class ViewOnlyMixin(PermissionFirstMixin):
    """A view-only ModelAdmin of rows that syncs write, of which there can be millions.

    Users with the view permission or `run-import` see it.
    """

    list_per_page = 50
    paginator: type[_Paginator] = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_view_permission(self: Any, request: HttpRequest, obj: Any = None) -> bool:
        allowed = admin.ModelAdmin.has_view_permission(self, request, obj)
        return allowed or has_perm(request.user, RUN_IMPORT)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
