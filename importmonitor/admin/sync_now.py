"""“Sync now”: poll the workspaces in the background, and show the progress and the results."""

from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from importmonitor import conf, humanize
from importmonitor.choices import sync_status_label
from importmonitor.models import Workspace, get_viewer
from importmonitor.models.viewers import encode_groups
from importmonitor.sync.lease import LEASED, NOT_BEFORE, RECENT
from importmonitor.sync.poll import PollFailure, SyncResult
from importmonitor.tenancy import store_alias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from importmonitor.rocketchat.config import WorkspaceConfig

#: With more workspaces than this, the results are counted, and no request waits for them.
MAX_MESSAGES = 8
#: How long a request waits for the results of so few workspaces, in seconds.
MAX_WAIT = 1.0
#: How long the page shows the counted results.
_SHOWN_FOR = timedelta(minutes=2)
_SESSION_KEY = "importmonitor_sync"


@dataclass(frozen=True)
class Progress:
    """How far the sync is that this session started. The database has it, for all processes."""

    total: int
    done: int
    failed: int
    is_running: bool

    @property
    def text(self) -> str:
        values = {
            "all": humanize.format_number(self.total),
            "done": humanize.format_number(self.done),
        }
        if self.is_running:
            text = ngettext(
                "Syncing %(all)s workspace: %(done)s done.",
                "Syncing %(all)s workspaces: %(done)s done.",
                self.total,
            )
            return text % values
        text = _("Synced %(good)d of %(all)d workspaces.")
        parts = [text % {"good": self.done - self.failed, "all": self.total}]
        for text, count in (
            (_("%(count)s failed."), self.failed),
            (_("%(count)s not polled."), self.total - self.done),
        ):
            if count:
                parts.append(text % {"count": humanize.format_number(count)})
        return " ".join(parts)


def get_progress(request: HttpRequest) -> Progress | None:
    """Return the progress of the sync that this session started last, None if that is long ago."""
    state = request.session.get(_SESSION_KEY)
    if state is None:
        return None
    since, ends_at = (datetime.fromisoformat(state[name]) for name in ("since", "ends_at"))
    now = timezone.now()
    if not since <= now <= ends_at + _SHOWN_FOR:
        return None
    rows = Workspace.objects.visible_to(get_viewer(request))
    if state.get("workspace"):
        rows = rows.filter(alias=state["workspace"])
    total, counts = state["total"], rows.count_polls(since, now)
    # Others than the configured ones can have a row, but they are not polled.
    done = min(total, counts.polled)
    is_over = done + counts.limited >= total or now >= ends_at
    return Progress(total, done, min(done, counts.failed), is_running=not is_over)


def sync_now(request: HttpRequest, alias: str = "") -> None:
    """Have a workspace polled, or all visible ones, and add messages with the first results."""
    viewer = get_viewer(request)
    try:
        if alias:
            configured: Mapping[str, WorkspaceConfig] = {alias: conf.get_workspace(alias)}
        else:
            configured = conf.get_config().workspaces
    except conf.UnknownWorkspace:
        messages.warning(request, _("This workspace is no longer configured."))
        return
    except ImproperlyConfigured as error:
        # It names workspaces.
        text = _("The settings have mistakes, which manage.py check explains.")
        messages.error(request, text if viewer.is_limited() else str(error))
        return
    workspaces = {
        alias: workspace
        for alias, workspace in configured.items()
        if viewer.is_member(encode_groups(workspace.groups))
    }
    if configured and not workspaces:
        messages.warning(request, _("There is no workspace that you may see."))
        return
    if not workspaces:
        messages.warning(request, _("No Rocket.Chat workspace is configured."))
        return
    progress = get_progress(request)
    if progress is not None and progress.is_running:
        messages.info(request, _("A sync is already running."))
        return
    # Imported here: every command loads the admin, and this imports requests.
    from importmonitor.sync.background import MIN_INTERVAL, TIME_LIMIT, due_workspaces, get_poller

    now = timezone.now()
    # One alone is skipped by its poll, if it was polled just now.
    due = list(workspaces.values()) if alias else due_workspaces(workspaces.values(), now)
    futures = []
    # In a transaction of the host's (ATOMIC_REQUESTS), other threads would wait for its end.
    transaction.on_commit(lambda: futures.extend(get_poller().start(due)), using=store_alias())
    can_wait = len(workspaces) <= MAX_MESSAGES and len(futures) == len(due)
    if not can_wait or wait(futures, MAX_WAIT).not_done:
        request.session[_SESSION_KEY] = {
            "since": (now - MIN_INTERVAL).isoformat(),
            "ends_at": (now + TIME_LIMIT).isoformat(),
            "total": len(workspaces),
            "workspace": alias,
        }
        return
    request.session.pop(_SESSION_KEY, None)
    results = {future.result().workspace: future.result() for future in futures}
    for name in workspaces:
        recent = SyncResult(name, polled_at=now, skipped=RECENT)
        add_message(request, results.get(name, recent))


def add_message(request: HttpRequest, result: SyncResult | PollFailure) -> None:
    """Add a message with the result of a poll."""
    # No message begins with an alias: the admin's template would capitalize it.
    values = {"workspace": result.workspace}
    if isinstance(result, PollFailure):
        message = _("Syncing %(workspace)s failed: %(kind)s. See the server log.")
        messages.error(request, message % (values | {"kind": type(result.error).__name__}))
    elif result.error is not None:
        messages.error(request, f"{sync_status_label(result.error.kind)}: {result.error}")
    elif result.skipped == LEASED:
        message = _("Another process is syncing %(workspace)s.")
        messages.info(request, message % values)
    elif result.skipped == RECENT:
        message = _("Not polled again: %(workspace)s was polled less than 15 seconds ago.")
        messages.info(request, message % values)
    elif result.skipped is not None:
        message = _("Rate limited: %(workspace)s can be synced again in %(time)s.")
        until = datetime.fromisoformat(result.skipped.removeprefix(NOT_BEFORE))
        time = humanize.format_duration(max(timedelta(seconds=1), until - result.polled_at))
        messages.warning(request, message % (values | {"time": time}))
    elif result.changes:
        messages.success(request, _("Synced %(workspace)s.") % values)
    else:
        messages.success(request, _("Synced %(workspace)s: nothing new.") % values)
