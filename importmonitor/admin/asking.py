"""Who may know that there is such a row."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


class AsksFirst:
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
        return ModelAdmin.history_view(self, request, object_id, extra_context)
