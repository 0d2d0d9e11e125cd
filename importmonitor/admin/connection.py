"""“Check connection”: what is right and wrong with a workspace's settings, as messages."""

import threading
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from importmonitor import conf
from importmonitor.admin import sync_now
from importmonitor.sync.lease import LEASED, Lease, skip_reason
from importmonitor.sync.poll import SyncResult

if TYPE_CHECKING:
    from importmonitor.sync.connection import Finding

#: Seconds that all requests of a check may take, if the workspace's deadline is longer: web
#: servers end a request after 30.
MAX_TIME = 20.0

#: A check holds a thread of the web server, so each process makes one at a time.
_lock = threading.Lock()


def check(request: HttpRequest, alias: str) -> None:
    """Check a workspace, and add messages with the findings.

    It takes the lease: nothing else polls the workspace meanwhile, or checks it.
    """
    try:
        workspace = conf.get_workspaces()[alias]
    except conf.UnknownWorkspace:
        messages.warning(request, _("This workspace is no longer configured."))
        return
    except ImproperlyConfigured as error:
        messages.error(request, str(error))
        return
    if not _lock.acquire(blocking=False):
        messages.info(request, _("Another check is running. Try again in a moment."))
        return
    try:
        time_limit = min(workspace.deadline, MAX_TIME)
        with Lease(alias, timezone.now, deadline=time_limit) as lease:
            if not lease.is_held:
                now = timezone.now()
                skipped = skip_reason(alias, now) or LEASED
                sync_now.add_message(request, SyncResult(alias, polled_at=now, skipped=skipped))
                return
            # Imported here: every command loads the admin, and this imports requests.
            from importmonitor.sync.connection import check_connection

            for finding in check_connection(workspace, time_limit=time_limit):
                add_message(request, finding)
    finally:
        _lock.release()


def add_message(request: HttpRequest, finding: "Finding") -> None:
    """Add a message with a finding, after its level: a colour alone does not say it."""
    match finding.level:
        case "ok":
            messages.success(request, _("OK: %(finding)s") % {"finding": finding.text})
        case "note":
            messages.warning(request, _("Note: %(finding)s") % {"finding": finding.text})
        case _level:
            messages.error(request, _("Problem: %(finding)s") % {"finding": finding.text})
