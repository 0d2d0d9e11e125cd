"""“Sync now”: poll the workspaces in the background, and show the progress and the results."""

from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
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
from importmonitor.models.workspace_queries import is_since
from importmonitor.sync.lease import LEASED, NOT_BEFORE, RECENT
from importmonitor.sync.poll import PollFailure, SyncResult
from importmonitor.sync.register import register_workspaces
from importmonitor.tenancy import store_alias

if TYPE_CHECKING:
    from importmonitor.rocketchat.config import WorkspaceConfig

#: With more workspaces than this, the results are counted, and no request waits for them.
MAX_MESSAGES = 8
#: How long a request waits for the results of so few workspaces, in seconds.
MAX_WAIT = 1.0
#: Workspaces are counted up to this.
MAX_COUNT = 1_000
#: How long the page shows the counted results.
_SHOWN_FOR = timedelta(minutes=2)
_SESSION_KEY = "importmonitor_sync"


@dataclass(frozen=True)
class Progress:
    """How far the sync is that this session started. The database has it, for all processes."""

    total: int
    done: int
    failed: int
    #: The number of all workspaces, counted up to one more than MAX_COUNT.
    of: int
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
            return " ".join([text % values, *self._limit()])
        text = _("Synced %(good)d of %(all)d workspaces.")
        parts = [text % {"good": self.done - self.failed, "all": self.total}]
        for text, count in (
            (_("%(count)s failed."), self.failed),
            (_("%(count)s not polled."), self.total - self.done),
        ):
            if count:
                parts.append(text % {"count": humanize.format_number(count)})
        return " ".join([*parts, *self._limit()])

    def _limit(self) -> list[str]:
        """Return the sentence that says which workspaces these are, if they are not all."""
        if self.of <= self.total:
            return []
        text = _("These are the %(all)s of %(of)s workspaces whose last polls were longest ago.")
        is_capped = self.of > MAX_COUNT
        of = f"{humanize.format_number(MAX_COUNT)}+" if is_capped else self.of
        return [text % {"all": humanize.format_number(self.total), "of": of}]


def get_progress(request: HttpRequest) -> Progress | None:
    """Return the progress of the sync that this session started last, None if that is long ago."""
    state = request.session.get(_SESSION_KEY)
    # One of an earlier version has no keys.
    if state is None or "keys" not in state:
        return None
    since, ends_at = (datetime.fromisoformat(state[name]) for name in ("since", "ends_at"))
    now = timezone.now()
    if not since <= now <= ends_at + _SHOWN_FOR:
        return None
    keys = state["keys"]
    rows = Workspace.objects.filter(pk__in=keys).visible_to(get_viewer(request))
    counts = rows.count_polls(since, now)
    is_over = counts.polled + counts.limited >= len(keys) or now >= ends_at
    return Progress(len(keys), counts.polled, counts.failed, state["of"], is_running=not is_over)


def sync_now(request: HttpRequest, alias: str = "") -> None:
    """Have a workspace polled, or all visible ones, and add messages with the first results.

    Of many, those whose last polls are the longest ago.
    """
    viewer = get_viewer(request)
    try:
        workspaces = conf.get_workspaces()
        if not alias:
            conf.check_options()
            _register_first(workspaces)
    except ImproperlyConfigured as error:
        # It can name workspaces.
        text = _("The settings have mistakes, which manage.py check explains.")
        messages.error(request, text if viewer.is_limited() else str(error))
        return
    # Imported here: every command loads the admin, and this imports requests.
    from importmonitor.sync.background import (
        MAX_WORKSPACES,
        MIN_INTERVAL,
        TIME_LIMIT,
        get_poller,
        longest_unpolled,
    )

    rows = viewer.workspaces()
    chosen = list(rows.filter(alias=alias)) if alias else longest_unpolled(rows)
    configs = _read_configs(request, workspaces, chosen, alias)
    if not configs:
        return
    progress = get_progress(request)
    if progress is not None and progress.is_running:
        messages.info(request, _("A sync is already running."))
        return
    now = timezone.now()
    polled = [row for row in chosen if row.alias in configs]
    # One alone is skipped by its poll, if it was polled just now.
    due = [
        configs[row.alias]
        for row in polled
        if alias or not is_since(row.last_polled_at, now - MIN_INTERVAL, now)
    ]
    futures = []
    # In a transaction of the host's (ATOMIC_REQUESTS), other threads would wait for its end.
    transaction.on_commit(lambda: futures.extend(get_poller().start(due)), using=store_alias())
    can_wait = len(polled) <= MAX_MESSAGES and len(futures) == len(due)
    if not can_wait or wait(futures, MAX_WAIT).not_done:
        is_limited = len(chosen) == MAX_WORKSPACES
        request.session[_SESSION_KEY] = {
            "since": (now - MIN_INTERVAL).isoformat(),
            "ends_at": (now + TIME_LIMIT).isoformat(),
            "keys": [row.pk for row in polled],
            "of": rows[: MAX_COUNT + 1].count() if is_limited else len(polled),
        }
        return
    request.session.pop(_SESSION_KEY, None)
    results = {future.result().workspace: future.result() for future in futures}
    for row in sorted(polled, key=lambda row: row.pk):
        recent = SyncResult(row.alias, polled_at=now, skipped=RECENT)
        add_message(request, results.get(row.alias, recent))


def _register_first(workspaces: conf.Workspaces) -> None:
    """Register some of the workspaces, if none is: a new user presses the button before a round."""
    from importmonitor.sync.background import MAX_WORKSPACES

    if not Workspace.objects.listed().exists():
        register_workspaces(workspaces, list(islice(workspaces, MAX_WORKSPACES)))


def _read_configs(
    request: HttpRequest, workspaces: conf.Workspaces, rows: Sequence[Workspace], alias: str
) -> "dict[str, WorkspaceConfig]":
    """Return the settings of workspaces that can be polled; add messages about the others."""
    viewer = get_viewer(request)
    visible = viewer.filter_aliases(row.alias for row in rows)
    configs, mistakes = {}, []
    for row in rows:
        try:
            config = workspaces[row.alias]
        except conf.UnknownWorkspace:
            continue
        except ImproperlyConfigured as error:
            # The groups of an entry that is no mapping cannot be read, which hides it.
            if row.alias in visible or not viewer.is_limited():
                mistakes.append(str(error))
        else:
            if row.alias in visible:
                configs[row.alias] = config
    for mistake in mistakes[:MAX_MESSAGES]:
        messages.error(request, mistake)
    if not configs and not mistakes:
        messages.warning(request, _reason(workspaces, rows, alias))
    return configs


def _reason(workspaces: conf.Workspaces, rows: Sequence[Workspace], alias: str) -> str:
    """Return why none of these workspaces can be polled, though none has a mistake."""
    if rows:
        is_configured = any(row.alias in workspaces for row in rows)
    else:
        is_configured = Workspace.objects.listed().exists()
    if is_configured:
        return _("There is no workspace that you may see.")
    if alias:
        return _("This workspace is no longer configured.")
    return _("No Rocket.Chat workspace is configured.")


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
