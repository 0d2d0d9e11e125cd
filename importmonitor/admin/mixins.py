"""What the ModelAdmins share."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext as _

from importmonitor.admin.paginator import CappedPaginator
from importmonitor.models import Workspace, get_viewer
from importmonitor.permissions import RUN_IMPORT, has_perm

if TYPE_CHECKING:
    # Generic only in the stubs.
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

_View = TypeVar("_View", bound=Callable[..., Any])

#: The keys of all databases are positive 64-bit integers.
KEY = re.compile(r"[0-9]{1,18}")
# Each word is a condition on every field, and databases limit the depth of an expression.
_MAX_SEARCH_WORDS = 8
_MAX_SEARCH_LENGTH = 200


class KnownParametersMixin:
    """A ModelAdmin whose list accepts the parameters of its own filters, and no other look-up.

    Django's own rule allows any look-up of a local field, a regular expression too, with which any
    viewer can keep a worker busy for hours.
    """

    def lookup_allowed(
        self: Any, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        names = set()
        for entry in self.list_filter:
            if isinstance(entry, tuple):
                names |= {f"{entry[0]}__{end}" for end in ("gte", "lt", "isnull")}
            else:
                names.add(entry.parameter_name)
        return lookup in names

    def get_search_results(
        self: Any, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term[:_MAX_SEARCH_LENGTH].split()[:_MAX_SEARCH_WORDS]
        return admin.ModelAdmin.get_search_results(self, request, queryset, " ".join(words))

    def changelist_view(
        self: Any, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not is_storable(request.GET):
            # As Django does with a value that a filter cannot use.
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        if not all(map(KEY.fullmatch, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            messages.warning(request, _("The selection cannot be read. Select the rows again."))
            return HttpResponseRedirect(request.get_full_path())
        response: HttpResponse = admin.ModelAdmin.changelist_view(self, request, extra_context)
        return response


def outside_transactions(view: _View) -> _View:
    """Have a view that asks the network called outside the host's transactions (ATOMIC_REQUESTS).

    A mail server can take seconds, in which the rows that were written would be locked.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view


def is_storable(parameters: QueryDict) -> bool:
    """Return whether a database can compare with these parameters: not with a NUL.

    Django itself checks the search.
    """
    filters = [(name, values) for name, values in parameters.lists() if name != SEARCH_VAR]
    return not any("\0" in text for name, values in filters for text in (name, *values))


class PermissionFirstMixin(KnownParametersMixin):
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

    Users with the view permission or `run-import` see it, except for the rows of workspaces that
    are hidden from them.
    """

    list_per_page: ClassVar[int] = 50
    paginator: type[_Paginator] = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self: Any, request: HttpRequest) -> Any:
        rows: Any = admin.ModelAdmin.get_queryset(self, request)
        return rows.visible_to(get_viewer(request))

    def get_object(
        self: Any, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        row = admin.ModelAdmin.get_object(self, request, object_id, from_field)
        if row is None:
            return None
        # The settings may hide what its row does not yet.
        alias = row.alias if isinstance(row, Workspace) else row.workspace
        return None if get_viewer(request).is_refused(alias) else row

    def log_change(self: Any, request: HttpRequest, obj: Any, message: Any) -> Any:
        entry = admin.ModelAdmin.log_change(self, request, obj, message)
        if Workspace.objects.filter(alias=obj.workspace).exclude(groups=None).exists():
            # The admin's index shows users what they changed, also after they have left the group.
            entry.object_repr = f"{self.opts.verbose_name} {obj.pk}"
            entry.save(update_fields=["object_repr"])
        return entry

    def has_view_permission(self: Any, request: HttpRequest, obj: Any = None) -> bool:
        allowed = admin.ModelAdmin.has_view_permission(self, request, obj)
        return allowed or has_perm(request.user, RUN_IMPORT)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
