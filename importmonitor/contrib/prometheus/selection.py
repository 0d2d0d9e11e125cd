"""Which workspaces have series of their own: as many as METRICS_LIMIT, however many there are."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from importmonitor import conf
from importmonitor.models import Viewer, Workspace
from importmonitor.models.workspace_queries import Urgency


def select_workspaces(viewer: Viewer, now: datetime) -> list[Workspace]:
    """Return at most METRICS_LIMIT workspaces with their current operation.

    Those that METRICS_WORKSPACES names come first, then those that need attention, by urgency,
    those that were not polled recently, and the others in the order of the settings. A fleet within
    the limit is complete: no series ends because its workspace recovers.
    """
    limit = conf.get_options().metrics_limit
    rows = viewer.workspaces().with_imports()
    urgent = list(rows.order_by("urgency", "pk")[:limit])
    selected = [
        *_named(viewer, limit),
        *(row for row in urgent if row.urgency < Urgency.CALM),
        *rows.late(now).order_by("last_polled_at", "pk")[:limit],
        *urgent,
    ]
    return list({row.pk: row for row in selected}.values())[:limit]


def find_workspaces(viewer: Viewer, aliases: Sequence[str]) -> list[Workspace]:
    """Return those of these workspaces that are configured and visible, with their operation.

    One that was never polled can be an unsaved row.
    """
    if viewer.aliases is not None:
        aliases = [alias for alias in aliases if alias in viewer.aliases]
    stored = Workspace.objects.filter(alias__in=aliases)
    by_alias = {row.alias: row for row in stored.with_imports()}
    visible = set(stored.without_hidden(viewer).values_list("alias", flat=True))
    rows = [
        by_alias.get(alias) or Workspace(alias=alias, is_configured=viewer.may_see(alias))
        for alias in aliases
    ]
    return [row for row in rows if row.is_configured and (not row.pk or row.alias in visible)]


def _named(viewer: Viewer, limit: int) -> list[Workspace]:
    """Return the workspaces that METRICS_WORKSPACES names; without a query if it is empty."""
    names = conf.get_options().metrics_workspaces
    if not names:
        return []
    is_named = Q(alias__in=[name for name in names if not name.endswith("*")])
    for name in names:
        if name.endswith("*"):
            is_named |= Q(alias__startswith=name.removesuffix("*"))
    # Not those of `listed`: SQLite would read every row, instead of the index of aliases.
    rows = Workspace.objects.filter(is_named, is_configured=True).visible_to(viewer)
    return list(rows.with_imports().order_by("alias")[:limit])
