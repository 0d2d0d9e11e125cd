"""The dashboard above the history: the most urgent workspaces, figures and charts."""

from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor import conf, humanize
from importmonitor.admin import chips, display, figures, remarks, runs, times, weeks
from importmonitor.admin.chips import Counts
from importmonitor.admin_urls import admin_url
from importmonitor.choices import sync_status_label
from importmonitor.conf.problems import Problem
from importmonitor.models import Viewer, Workspace, fleet
from importmonitor.models.store import RowCount
from importmonitor.models.workspace_queries import Urgency

#: The most urgent workspaces get the cards.
MAX_CARDS = 4
#: The settings of so many workspaces are checked for mistakes.
MAX_CHECKED = 20
HISTORY = "importoperation_changelist"

#: The names of the icons of the browser's tab.
_ICONS = {
    Urgency.FAILED: "bad",
    Urgency.FAILING: "warn",
    Urgency.ACTIVE: "busy",
    Urgency.CALM: "good",
}

CRITICAL = display.Badge(gettext_lazy("Critical"), "✕", "bad")
WARNING = display.Badge(gettext_lazy("Warning"), "!", "warn")
OK = display.Badge(gettext_lazy("OK"), "✓", "good")


class Tab(NamedTuple):
    """The title of the browser's tab, and its icon among the static files."""

    text: str
    icon: str


class Survey(NamedTuple):
    """What the dashboard shows of the workspaces: their numbers, and the most urgent ones."""

    numbers: fleet.FleetCounts
    workspaces: list[Workspace]
    #: Whether the viewer may see at most one.
    is_only_one: bool

    @property
    def running(self) -> list[Workspace]:
        """Those whose import runs and is in order."""
        now = timezone.now()
        return [row for row in self.workspaces if row.present_urgency(now) == Urgency.ACTIVE]


def survey(viewer: Viewer, workspace: str) -> tuple[Survey, Counts]:
    """Return what is shown of one workspace or of all (""), and the numbers of their operations.

    In two queries.
    """
    now = timezone.now()
    rows = every = viewer.workspaces()
    if workspace:
        rows = rows.filter(alias=workspace)
    values = fleet.read_values(
        {"seen": RowCount(every.order_by("urgency", "pk").values("pk")[:2])}
        | fleet.expressions(rows, now, MAX_CARDS)
        | chips.expressions(viewer, workspace)
    )
    workspaces = _seen_by(viewer, fleet.read_workspaces(values, now))
    surveyed = Survey(fleet.read_counts(values), workspaces, (values["seen"] or 0) < 2)
    return surveyed, chips.read_counts(values)


def context(
    viewer: Viewer,
    workspace: str,
    surveyed: Survey,
    counts: Counts,
    site: str,
    *,
    has_incidents: bool,
) -> dict[str, Any]:
    """Return the context of the dashboard's templates, for one workspace or for all ("")."""
    now = timezone.now()
    unpolled = _unpolled(viewer, workspace, surveyed.workspaces)
    shown = [*surveyed.workspaces, *unpolled][:MAX_CARDS]
    if has_incidents:
        # These say what is wrong; the cards are for what runs.
        shown = surveyed.running[:MAX_CARDS] or shown[:2]
    return {
        "tab": tab(surveyed),
        "cards": [card(workspace, now) for workspace in shown],
        "problems": _problems(viewer),
        "is_hidden": not shown and viewer.is_limited(),
        **_rest(surveyed.numbers, len(unpolled), shown, now),
        "figures": figures.panel(viewer, workspace, counts.last_clean, now),
        "weeks": weeks.panel(viewer, workspace),
        "runs": runs.panel(viewer, workspace, now, site),
    }


def _seen_by(viewer: Viewer, workspaces: list[Workspace]) -> list[Workspace]:
    """Return those that the settings, too, let the viewer see: they may be stricter by now."""
    return [workspace for workspace in workspaces if viewer.may_see(workspace.alias)]


def _unpolled(viewer: Viewer, workspace: str, known: list[Workspace]) -> list[Workspace]:
    """Return unsaved rows of some workspaces that no round of polls has seen, if few are known."""
    if len(known) >= MAX_CARDS:
        return []
    aliases = [workspace] if workspace else conf.get_first_aliases(2 * MAX_CARDS)
    rows = {row.alias for row in known}
    return _seen_by(viewer, [Workspace(alias=alias) for alias in aliases if alias not in rows])


def _rest(
    numbers: fleet.FleetCounts, unpolled: int, shown: list[Workspace], now: datetime
) -> dict[str, Any]:
    """Return how many workspaces have no card, and how many of them have problems."""
    problems = sum(workspace.present_urgency(now) <= Urgency.FAILING for workspace in shown)
    more_with_problems = max(0, numbers.failed + numbers.unpolled - problems)
    more = max(0, numbers.total + unpolled - len(shown))
    return {
        "more_workspaces": more,
        "more": format_count(more, is_more=numbers.total > fleet.MAX_COUNT),
        "more_with_problems": more_with_problems
        and format_count(
            more_with_problems, is_more=max(numbers.failed, numbers.unpolled) > fleet.MAX_COUNT
        ),
    }


def format_count(count: int, *, is_more: bool) -> str:
    """Return a number of workspaces, which may be more than were counted."""
    return (
        f"{humanize.format_number(fleet.MAX_COUNT)}+" if is_more else humanize.format_number(count)
    )


def _problems(viewer: Viewer) -> list[Problem]:
    """Return mistakes in the settings, which name workspaces; `manage.py check` finds all."""
    problems = [problem for problem in conf.find_problems(MAX_CHECKED) if problem.is_error]
    return [] if problems and viewer.is_limited() else problems


def tab(surveyed: Survey) -> Tab:
    """Return what the browser's tab says: the progress of the import that runs, or the state."""
    numbers = surveyed.numbers
    icon, text = _ICONS[numbers.urgency], headline(numbers)
    active = [
        operation
        for workspace in surveyed.workspaces
        if (operation := workspace.current_operation) is not None and operation.is_active
    ]
    if not numbers.polled:
        icon, text = _ICONS[Urgency.FAILING], str(display.NEVER_SYNCED.label)
    elif len(active) == 1:
        [operation] = active
        percent = None if operation.is_stalled else operation.percent
        state = display.badge_of(operation).label if percent is None else f"{percent} %"
        text = f"{state} · {display.kind_of(operation)}"
    return Tab(text, f"importmonitor/favicon-{icon}.svg")


def card(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """Return the context of a workspace's card."""
    operation, freshness = workspace.current_operation, workspace.freshness(now)
    values: dict[str, Any] = {
        "workspace": workspace,
        "freshness": freshness.value if freshness else "",
    }
    if workspace.last_polled_at is not None:
        since = workspace.period_started_at or workspace.last_polled_at
        values |= {
            "last_poll": times.time_since(workspace.last_polled_at),
            "is_late": workspace.is_late(now),
            "polls": humanize.format_number(workspace.period_polls),
            "failing_for": humanize.format_duration(workspace.last_polled_at - since),
            "sync_status": sync_status_label(workspace.sync_status),
        }
    if operation is not None:
        ended = operation.finished_at is not None and not operation.is_active
        values |= {
            "badge": display.operation_badge(operation),
            "progress": display.progress(operation),
            "rate": display.rate_line(operation, with_range=False),
            "file_name": operation.file_name,
            "started": times.compact_time(operation.started_at),
            "finished": times.compact_time(operation.finished_at) if ended else None,
            "duration": display.format_duration(operation.duration(now)),
            "is_active": operation.is_active,
            "needs_attention": operation.needs_attention,
            # The others are on the import's page.
            "remarks": [
                remark
                for remark in remarks.of_operation(operation, workspace)
                if remark.tone != "quiet"
            ],
        }
    return values


def headline(numbers: fleet.FleetCounts) -> str:
    """Return how many imports failed or run, and how many workspaces are not polled."""
    parts = [
        text % {"count": format_count(count, is_more=count > fleet.MAX_COUNT)}
        for text, count in (
            (_("%(count)s failed or stalled"), numbers.failed),
            (_("%(count)s not polled recently"), numbers.unpolled),
            (_("%(count)s running"), numbers.active),
        )
        if count
    ]
    return ", ".join(parts) or _("no import running")


def status_line(now: datetime, viewer: Viewer, site: str | None = None) -> dict[str, Any]:
    """Return the context of the line that sums up the imports of all visible workspaces.

    It links into the AdminSite of this name or, if that is without the history, into another.
    """
    values = fleet.read_values(fleet.expressions(viewer.workspaces(), now))
    numbers = fleet.read_counts(values)
    if not numbers.total and viewer.is_limited():
        return {}
    badge, text = OK, headline(numbers)
    if not numbers.polled:
        badge = display.NEVER_SYNCED
        text = _("Run manage.py sync_import_status, or press Sync now.")
    elif numbers.urgency == Urgency.FAILED:
        badge = CRITICAL
    elif numbers.urgency == Urgency.FAILING:
        badge = WARNING
    return {
        "url": admin_url(HISTORY, site=site) or admin_url(HISTORY),
        "badge": display.render_badge(badge),
        "headline": text,
    }
