"""The tasks: one polls a workspace, one sends a poll for each, one prunes, one sends digests.

No task is acknowledged late or redelivered. If a worker dies during a poll, the next round polls
the workspace again once its lease has expired. The lease also prevents concurrent polls if a
broker delivers a task twice.

No task expires: a worker whose clock is ahead would discard it without a word. Where rounds have
piled up, a workspace is instead skipped until half an interval has passed since its last poll.
"""

import random
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.utils.log import get_task_logger
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.utils import timezone

from importmonitor import conf
from importmonitor.contrib.celery.schedule import (
    DEFAULT_INTERVAL,
    PRUNE,
    SEND_DIGESTS,
    SYNC_ALL,
    SYNC_ONE,
)
from importmonitor.logs import make_printable
from importmonitor.models import Workspace
from importmonitor.rocketchat.exceptions import RateLimited
from importmonitor.sync import poll as sync
from importmonitor.sync.digests import send_digests
from importmonitor.sync.heartbeat import report_stored
from importmonitor.sync.register import register_configured
from importmonitor.sync.reminders import review_and_deliver

if TYPE_CHECKING:
    from celery import Task

    _Task = Task[Any, Any]

logger = get_task_logger(__name__)
logger.addFilter(make_printable)

#: The number of retries of a poll within its round, and the seconds before the first.
MAX_RETRIES = 2
FIRST_DELAY = 5.0
#: Seconds for a poll's writes and alerts, in addition to its requests.
MARGIN = 45
#: Seconds between the soft time limit of a poll and the hard one.
GRACE = 10


@shared_task(name=SYNC_ALL, ignore_result=True)
def sync_workspaces(every: float = DEFAULT_INTERVAL.total_seconds()) -> int:
    """Send a poll task for every workspace and return their number.

    One with a mistake in its settings is logged and left out. `every` is the interval in seconds.
    HEARTBEAT_URL gets the results of the round before.
    """
    conf.check_options()
    register_configured()
    workspaces, count = conf.get_workspaces(), 0
    for alias in workspaces:
        try:
            workspace = workspaces[alias]
        except (ImproperlyConfigured, conf.UnknownWorkspace) as error:
            logger.error("%s", error)  # noqa: TRY400 - its traceback says nothing
            continue
        count += 1
        # A poll makes two requests, for the current operation and for the list; one more, for the
        # name of a user, is short.
        time_limit = ceil(2 * workspace.deadline) + MARGIN
        sync_workspace.apply_async(
            (alias, every),
            soft_time_limit=time_limit,
            time_limit=time_limit + GRACE,
        )
    review_and_deliver()
    report_stored(timedelta(seconds=every))
    return count


@shared_task(bind=True, name=SYNC_ONE, ignore_result=True, max_retries=MAX_RETRIES)
def sync_workspace(self: "_Task", alias: str, every: float = 0.0) -> None:
    """Poll a workspace, and retry soon after a transient error.

    With `every`, the interval in seconds, the poll is skipped if the last one was just made.
    Missing credentials or permissions are not transient, and after a rate limit the next polls
    wait until it resets. The result of every poll is stored.
    """
    try:
        if self.request.retries == 0 and _was_just_polled(alias, every / 2):
            logger.info("%s was just polled: the tasks of earlier rounds have run late.", alias)
            return
        result = sync.sync_workspace(alias)
    except conf.UnknownWorkspace as error:
        # Removed from the settings after the task was sent.
        logger.warning("%s", error)
        return
    except sync.database_errors() as error:
        raise self.retry(exc=error, countdown=_delay(self.request.retries)) from error
    is_transient = result.error is not None and result.error.transient
    can_retry = is_transient and not isinstance(result.error, RateLimited)
    if can_retry and self.request.retries < MAX_RETRIES:
        raise self.retry(countdown=_delay(self.request.retries))


@shared_task(name=PRUNE, ignore_result=True)
def prune_import_history() -> None:
    """Delete old history as configured (`KEEP_DAYS`, `KEEP_SAMPLES_DAYS`)."""
    call_command("prune_import_history", verbosity=0)


@shared_task(name=SEND_DIGESTS, ignore_result=True)
def send_import_digests() -> int:
    """Send the digests of the last day and week that were not sent before; return their number."""
    return send_digests()


def _was_just_polled(alias: str, seconds: float) -> bool:
    row = Workspace.objects.get_state(alias) if seconds > 0 else None
    if row is None or row.last_polled_at is None:
        return False
    age = (timezone.now() - row.last_polled_at).total_seconds()
    # A time in the future is by a clock that is wrong, and would stay there for as long.
    return 0 <= age < seconds


def _delay(retries: int) -> float:
    # With jitter: workspaces that fail together would otherwise all be retried at once.
    delay: float = FIRST_DELAY * 2**retries
    return delay * random.uniform(0.8, 1.2)
