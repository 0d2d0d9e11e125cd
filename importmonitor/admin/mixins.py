"""Who may know that there is such a row."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from importmonitor.admin.paginator import CappedPaginator
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    # Generic in the stubs alone.
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator


class PermissionFirstMixin:
    """For a ModelAdmin whose rows are nobody else's business, and not that there are any either."""

    def history_view(
        self: Any,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # Django's own tells whether there is such a row before it asks who wants to know.
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return admin.ModelAdmin.history_view(self, request, object_id, extra_context)


class ViewOnlyMixin(PermissionFirstMixin):
    """For a ModelAdmin of what syncs write, of which there can be millions.

    Who may run imports sees it, and so does who may view it. Nobody adds, changes or deletes.
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
