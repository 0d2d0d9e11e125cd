"""The schedule for Celery's beat; it only has the names of tasks, so settings can import it."""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

SYNC_ALL = "importmonitor.sync_workspaces"
SYNC_ONE = "importmonitor.sync_workspace"
PRUNE = "importmonitor.prune_import_history"
SEND_DIGESTS = "importmonitor.send_import_digests"

DEFAULT_INTERVAL = timedelta(minutes=1)


def beat_schedule(every: timedelta = DEFAULT_INTERVAL) -> dict[str, Any]:
    """Return entries for Celery's `beat_schedule`.

    All workspaces are polled at this interval, the history is pruned each night, and the channels
    with a DIGEST get it each morning, or on Mondays.
    """
    return {
        "importmonitor-sync": {
            "task": SYNC_ALL,
            "schedule": every,
            "kwargs": {"every": every.total_seconds()},
        },
        "importmonitor-prune": {"task": PRUNE, "schedule": crontab(hour="4", minute="30")},
        "importmonitor-digests": {
            "task": SEND_DIGESTS,
            "schedule": crontab(hour="6", minute="0"),
        },
    }
