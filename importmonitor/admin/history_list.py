"""The list of the history page."""

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from importmonitor import conf


class HistoryList(ChangeList):
    """The change list without the documents: no column shows them, and they can be large."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows = super().get_queryset(request, *args, **kwargs)
        return rows.defer("payload", "unreadable", "note")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.result_count:
            # A search without a match has scanned all that it may: do not scan it twice.
            self.result_list = self.queryset.none()

    def hide_workspace(self) -> None:
        """Leave out the workspace, if all rows are of the only one that is configured."""
        aliases = {row.workspace for row in self.result_list}
        # A row can be of a workspace that is no longer configured.
        if len(aliases) < 2 and len(conf.find_configured(aliases)) == len(aliases):
            self.list_display = [name for name in self.list_display if name != "workspace"]

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering = list(super().get_ordering(request, queryset))
        # The order of the index, which serves both directions.
        return ["started_at", "pk"] if ordering[:1] == ["started_at"] else ordering
