"""The bars of the last imports, whatever the list is filtered by."""

from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString

from importmonitor.admin import display
from importmonitor.charts import Run, runs_chart
from importmonitor.models import ImportOperation, Viewer

MAX_RUNS = 40
#: What no bar shows, and what can be large.
DEFERRED = ("payload", "unreadable", "note", "speeds")


def panel(viewer: Viewer, workspace: str, now: datetime, site: str) -> SafeString:
    """Return the chart of one workspace or of all; each bar links to its import's page."""
    rows = ImportOperation.objects.visible_to(viewer).newest_first().defer(*DEFERRED)
    if workspace:
        rows = rows.filter(workspace=workspace)
    return runs_chart([_run(row, now, site) for row in list(rows[:MAX_RUNS])[::-1]])


def _run(operation: ImportOperation, now: datetime, site: str) -> Run:
    return Run(
        name=f"{display.kind_of(operation)} {operation.file_name}".strip(),
        started_at=operation.started_at,
        duration=operation.duration(now),
        outcome=operation.present_outcome,
        badge=display.badge_of(operation),
        href=reverse(
            "admin:importmonitor_importoperation_change", args=[operation.pk], current_app=site
        ),
    )
