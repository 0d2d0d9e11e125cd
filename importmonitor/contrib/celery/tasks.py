"""The tasks: one that polls a workspace, one that sends all of them out, one that prunes.

Nothing is acknowledged late or delivered again. A poll that was lost with its worker is made up
for by the next round's, and until then the workspace's lease keeps everybody else away; so too
where a broker delivers twice, nobody is polled twice at once.
"""

import random
from math import ceil
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.utils.log import get_task_logger
from django.core.management import call_command

from importmonitor import conf
from importmonitor.contrib.celery.schedule import EVERY, PRUNE, SYNC_ALL, SYNC_ONE
from importmonitor.rocketchat.exceptions import RateLimited
from importmonitor.sync import poll as sync

if TYPE_CHECKING:
    from celery import Task

    _Task = Task[Any, Any]

logger = get_task_logger(__name__)

#: How often a poll is tried again within its round, and after how many seconds the first time.
RETRIES = 2
FIRST_PAUSE = 5.0
#: Seconds beyond what the calls of a poll may take: its writes, and its messages.
MARGIN = 20
#: Seconds between asking a poll to end and killing its process.
GRACE = 10


@shared_task(name=SYNC_ALL, ignore_result=True)
def sync_workspaces(every: float = EVERY.total_seconds()) -> int:
    """Send out a poll of every workspace; return how many.

    `every` is in how many seconds this is done again: a poll that has not begun by then is
    dropped.
    """
    workspaces = conf.config().workspaces.values()
    for workspace in workspaces:
        # A poll makes two calls at most: for the current operation, and for the list.
        longest = ceil(2 * workspace.deadline) + MARGIN
        sync_workspace.apply_async(
            (workspace.alias,),
            expires=every,
            soft_time_limit=longest,
            time_limit=longest + GRACE,
        )
    return len(workspaces)


@shared_task(bind=True, name=SYNC_ONE, ignore_result=True, max_retries=RETRIES)
def sync_workspace(self: "_Task", alias: str) -> None:
    """Poll a workspace; try again soon if that can help.

    It can where nothing answered, or nothing that could be read. It cannot where credentials or
    permissions are missing; and until when Rocket.Chat wants to be left alone, the next polls
    know. What was seen, and what was not, is stored either way.
    """
    try:
        result = sync.sync_workspace(alias)
    except conf.UnknownWorkspace as error:
        # Taken out of the settings after it was sent out.
        logger.warning("%s", error)
        return
    except sync.database_errors() as error:
        raise self.retry(exc=error, countdown=_pause(self.request.retries)) from error
    worth_it = result.error is not None and result.error.transient
    if worth_it and not isinstance(result.error, RateLimited) and self.request.retries < RETRIES:
        raise self.retry(countdown=_pause(self.request.retries))


@shared_task(name=PRUNE, ignore_result=True)
def prune_import_history() -> None:
    """Delete what the settings say is old enough (`KEEP_DAYS`, `KEEP_SAMPLES_DAYS`)."""
    call_command("prune_import_history", verbosity=0)


def _pause(retries: int) -> float:
    # Never all at once: what is out of reach together is asked again together otherwise.
    pause: float = FIRST_PAUSE * 2**retries
    return pause * random.uniform(0.8, 1.2)
