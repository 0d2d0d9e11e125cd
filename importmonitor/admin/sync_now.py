"""“Sync now”: a look at every workspace, side by side, and what it came to."""

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

#: More workspaces than these are told in one sentence.
MOST_TOLD = 8


def sync_now(request: HttpRequest) -> None:
    """Look at every workspace now, and say in messages how it went."""
    try:
        configured = list(conf.config().workspaces.values())
    except ImproperlyConfigured as error:
        messages.error(request, str(error))
        return
    if not configured:
        messages.warning(request, _("No Rocket.Chat workspace is configured."))
        return
    outcomes = list(_polled(configured))
    calm = [each for each in outcomes if isinstance(each, SyncResult) and each.ok]
    told = outcomes
    if len(outcomes) > MOST_TOLD:
        messages.success(
            request,
            _("Looked at %(good)d of %(all)d workspaces.")
            % {"good": len(calm), "all": len(outcomes)},
        )
        told = [each for each in outcomes if each not in calm][:MOST_TOLD]
    for outcome in told:
        tell(request, outcome)


def _polled(workspaces: Sequence[WorkspaceConfig]) -> Iterator[SyncResult | PollFailure]:
    # In a transaction of the host's (ATOMIC_REQUESTS), other threads would wait for its end.
    if len(workspaces) > 1 and not connection.in_atomic_block:
        # Imported here: every command loads the admin, and this brings requests.
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


def tell(request: HttpRequest, outcome: SyncResult | PollFailure) -> None:
    """Tell in a message how a poll went."""
    # No message begins with an alias: the admin's template would give it a capital letter.
    words = {"workspace": outcome.workspace}
    if isinstance(outcome, PollFailure):
        told = _("Looking at %(workspace)s came to nothing: %(kind)s. The server's log has more.")
        messages.error(request, told % (words | {"kind": type(outcome.error).__name__}))
    elif outcome.error is not None:
        messages.error(request, f"{sync_status_label(outcome.error.kind)}: {outcome.error}")
    elif outcome.skipped == LEASED:
        told = _("The workspace %(workspace)s is being synced by another process.")
        messages.info(request, told % words)
    elif outcome.skipped is not None:
        told = _("Rocket.Chat asked to leave %(workspace)s alone for another %(time)s.")
        until = datetime.fromisoformat(outcome.skipped.removeprefix(NOT_BEFORE))
        time = humanize.format_duration(max(timedelta(seconds=1), until - outcome.polled_at))
        messages.warning(request, told % (words | {"time": time}))
    elif outcome.changes:
        messages.success(request, _("Synced %(workspace)s.") % words)
    else:
        messages.success(request, _("Synced %(workspace)s: nothing new.") % words)
