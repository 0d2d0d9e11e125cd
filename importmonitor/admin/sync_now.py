"""“Sync now”: poll every workspace, concurrently, and report the results."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpRequest
from django.utils.translation import gettext as _

from importmonitor import conf, humanize
from importmonitor.choices import sync_status_label
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.sync.lease import LEASED, NOT_BEFORE
from importmonitor.sync.poll import PollFailure, SyncResult, database_errors, sync_workspace

#: With more workspaces than this, the successes are one message.
MAX_MESSAGES = 8


def sync_now(request: HttpRequest) -> None:
    """Poll every workspace and add messages with the results."""
    try:
        workspaces = list(conf.get_config().workspaces.values())
    except ImproperlyConfigured as error:
        messages.error(request, str(error))
        return
    if not workspaces:
        messages.warning(request, _("No Rocket.Chat workspace is configured."))
        return
    results = list(_poll(workspaces))
    if len(results) > MAX_MESSAGES:
        failures = [
            result for result in results if not (isinstance(result, SyncResult) and result.ok)
        ]
        messages.success(
            request,
            _("Synced %(good)d of %(all)d workspaces.")
            % {"good": len(results) - len(failures), "all": len(results)},
        )
        results = failures[:MAX_MESSAGES]
    for result in results:
        add_message(request, result)


def _poll(workspaces: Sequence[WorkspaceConfig]) -> Iterator[SyncResult | PollFailure]:
    # In a transaction of the host's (ATOMIC_REQUESTS), other threads would wait for its end.
    if len(workspaces) > 1 and not connection.in_atomic_block:
        # Imported here: every command loads the admin, and this imports requests.
        from importmonitor.sync.pool import Pool, poll_once

        yield from poll_once(
            workspaces, Pool(lambda workspace, client: sync_workspace(workspace, client=client))
        )
        return
    for workspace in workspaces:
        try:
            yield sync_workspace(workspace)
        except database_errors() as error:
            yield PollFailure(workspace.alias, error)


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
    elif result.skipped is not None:
        message = _("Rate limited: %(workspace)s can be synced again in %(time)s.")
        until = datetime.fromisoformat(result.skipped.removeprefix(NOT_BEFORE))
        time = humanize.format_duration(max(timedelta(seconds=1), until - result.polled_at))
        messages.warning(request, message % (values | {"time": time}))
    elif result.changes:
        messages.success(request, _("Synced %(workspace)s.") % values)
    else:
        messages.success(request, _("Synced %(workspace)s: nothing new.") % values)
