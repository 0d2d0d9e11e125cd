"""The totals of many workspaces, counted beside the polls so that no scrape has to count them."""

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

from importmonitor.logs import get_logger
from importmonitor.models import StoredTotals, Workspace
from importmonitor.models.totals import MANY, MAX_AGE, count_totals
from importmonitor.sync.poll import database_errors

logger = get_logger(__name__)

#: How often a watch calls this, in seconds: the rest of MAX_AGE is for the counting.
TOTALS_INTERVAL = 10.0


def store_totals(now: Callable[[], datetime] = timezone.now) -> bool:
    """Store the totals if there are many workspaces; return whether there are.

    Not if another watch has just done so. Nothing is raised if the database cannot be used.
    """
    at = now()
    rows = Workspace.objects.listed().order_by()
    try:
        if not rows[MANY : MANY + 1].exists():
            return False
        if StoredTotals.objects.newest(at, MAX_AGE / 3) is None:
            StoredTotals.objects.replace(count_totals(rows, at))
    except database_errors() as error:
        logger.warning("The workspaces could not be counted: %s", type(error).__name__)
        return False
    return True
