"""What Celery's beat sends, and when. Names of tasks alone: settings can import it."""

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

SYNC_ALL = "importmonitor.sync_workspaces"
SYNC_ONE = "importmonitor.sync_workspace"
PRUNE = "importmonitor.prune_import_history"

EVERY = timedelta(minutes=1)


def beat_schedule(every: timedelta = EVERY) -> dict[str, Any]:
    """Return entries for Celery's `beat_schedule`.

    All workspaces are polled every so often, and the history is pruned each night. What was not
    begun when the next round comes is dropped: that one asks the same.
    """
    seconds = every.total_seconds()
    return {
        "importmonitor-sync": {
            "task": SYNC_ALL,
            "schedule": every,
            "kwargs": {"every": seconds},
            "options": {"expires": seconds},
        },
        "importmonitor-prune": {"task": PRUNE, "schedule": crontab(hour="4", minute="30")},
    }
