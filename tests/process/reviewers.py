"""Hosts that review the same incidents at the same moment, or are killed meanwhile.

    python -m tests.process.reviewers FILE

Alerts are appended to FILE. For each line of stdin:

    fill NUMBER        deletes what is stored, and stores that many incidents whose reminder is due,
                       as many that maintenance has held back, and workspaces that nothing polls
    both MINUTES       two processes review and deliver at once; the clocks are so far ahead, and
                       that of one of them ten minutes more
    before NUMBER      one process does, and is killed before its query of that number

Writes "done", or "killed", to stdout.
"""

import os
import signal
import sys
from datetime import datetime, timedelta
from typing import NoReturn

from tests.process.killed import run_until
from tests.process.worker import set_up

DAY = timedelta(days=1)
SKEW = timedelta(minutes=10)


def main(path: str) -> None:
    """Execute the lines of stdin until it ends."""
    set_up(path)
    from django.conf import settings

    settings.IMPORTMONITOR["CHANNELS"]["file"]["REMIND_EVERY"] = DAY
    for line in iter(sys.stdin.readline, ""):
        order, value = line.split()
        if order == "fill":
            fill(int(value))
            status = 0
        elif order == "both":
            ahead = timedelta(minutes=float(value))
            status = review_at_once([ahead, ahead + SKEW])
        else:
            status = kill_before(int(value))
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write("killed\n" if killed else f"done {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def fill(number: int) -> None:
    """Store incidents, and workspaces that are not polled while one is."""
    from django.conf import settings
    from django.db import connection
    from django.utils import timezone

    from importmonitor.choices import IncidentKind
    from importmonitor.models import Alert, Incident, Workspace
    from importmonitor.sync.incidents import new_incident

    now = timezone.now()
    aliases = [f"unpolled-{index:02}" for index in range(number)]
    credentials = settings.IMPORTMONITOR["WORKSPACES"]["default"]
    settings.IMPORTMONITOR["WORKSPACES"] = dict.fromkeys(["default", *aliases], credentials)
    for model in (Alert, Incident, Workspace):
        model.objects.all().delete()
    incidents = [
        # The outages of one minute are one message; these are not.
        new_incident(kind, f"{kind}-{index:02}", now - 2 * DAY - timedelta(minutes=5 * index))
        for kind in (IncidentKind.UNREACHABLE, IncidentKind.REFUSED)
        for index in range(number)
    ]
    for incident in incidents:
        incident.next_alert_at = now
        if incident.kind == IncidentKind.UNREACHABLE:
            incident.first_alert_at = incident.last_alert_at = now - DAY
    Incident.objects.bulk_create(incidents)
    hour = timedelta(hours=1)
    polled = {"sync_status": "ok", "period_polls": 60, "period_started_at": now - 3 * hour}
    Workspace.objects.bulk_create(
        [
            Workspace(alias="default", last_polled_at=now, **polled),
            *(Workspace(alias=alias, last_polled_at=now - hour, **polled) for alias in aliases),
        ]
    )
    connection.close()


def review_at_once(offsets: list[timedelta]) -> int:
    """Review in as many processes, which begin together; return the first bad wait status, or 0."""
    ready_reading, ready_writing = os.pipe()
    start_reading, start_writing = os.pipe()
    reviewers = []
    for offset in offsets:
        child = os.fork()
        if not child:
            os.close(start_writing)
            review_when_started(offset, ready_writing, start_reading)
        reviewers.append(child)
    for _ in reviewers:
        os.read(ready_reading, 1)
    # Its end is what all of them wait for.
    os.close(start_writing)
    for descriptor in (ready_reading, ready_writing, start_reading):
        os.close(descriptor)
    statuses = [os.waitpid(child, 0)[1] for child in reviewers]
    return next(filter(None, statuses), 0)


def review_when_started(offset: timedelta, ready: int, start: int) -> NoReturn:
    """Connect, wait for the others, and review; end this process."""
    from django.db import connection

    status = 1
    try:
        connection.ensure_connection()
        os.write(ready, b".")
        os.read(start, 1)
        status = review(offset)
        connection.close()
    finally:
        os._exit(status)


def kill_before(number: int) -> int:
    """Review in a process that dies before the query of that number; return its wait status."""
    child = os.fork()
    if not child:
        run_until(number, lambda: review(timedelta(0)))
    return os.waitpid(child, 0)[1]


def review(ahead: timedelta) -> int:
    """Write the alerts that are due by a clock that is ahead, and deliver; return 0."""
    from django.utils import timezone

    from importmonitor.sync.poll import deliver_alerts
    from importmonitor.sync.reminders import review_and_deliver

    def now() -> datetime:
        return timezone.now() + ahead

    review_and_deliver(now)
    # As the next poll of any workspace does, also what another process has written.
    deliver_alerts(now)
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
