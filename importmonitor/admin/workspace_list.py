"""The list of the workspaces: what it shows of all rows of a page at once."""

from collections import defaultdict
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone

from importmonitor import conf
from importmonitor.admin import workspace_page
from importmonitor.models import Incident, Workspace
from importmonitor.models.viewers import Viewer

#: How many configured workspaces are checked for those that were never polled, and named.
MAX_CHECKED = 100
MAX_NAMED = 10


class WorkspaceList(ChangeList):
    """The change list, with what its rows show read for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # They get attributes that the model does not have.
        rows: list[Any] = list(self.result_list)
        aliases = [row.alias for row in rows]
        figures = workspace_page.figures(rows, timezone.now())
        counts = defaultdict(list)
        incidents = Incident.objects.open().filter(workspace__in=aliases).order_by("kind")
        groups = incidents.values_list("workspace", "kind").annotate(count=Count("pk"))
        for alias, kind, count in groups:
            counts[alias].append((kind, count))
        for row in rows:
            row.figures = figures[row.alias]
            row.incident_counts = counts[row.alias]


def find_unregistered(viewer: Viewer) -> dict[str, Any]:
    """Return workspaces of the settings that no round of polls has seen, of those to be seen.

    Only of the first: most have a row since their first round, and are in the list.
    """
    aliases = conf.get_first_aliases(MAX_CHECKED)
    known = set(Workspace.objects.by_alias(aliases))
    unpolled = [alias for alias in aliases if alias not in known and viewer.may_see(alias)]
    return {
        "unpolled": unpolled[:MAX_NAMED],
        "more_unpolled": max(0, len(unpolled) - MAX_NAMED),
        # Called by the template, where there is nothing to show.
        "is_limited": viewer.is_limited,
    }
