"""Rows for the pages to show."""

from datetime import timedelta

from django.utils import timezone

from importmonitor.models import ImportOperation, ProgressSample
from tests.admin.helpers import make_row
from tests.admin.workspace_states import save_period


def save_running_operation() -> ImportOperation:
    """Save a running import halfway through, and a file whose path ends with a slash."""
    started = timezone.now() - timedelta(minutes=65)
    operation = make_row(
        started_at=started,
        count_total=250,
        count_completed=249,
        count_users=1200,
        count_error=3,
        file="/tmp/imports/20260225110000_d26x6zSkaPSe5gCyy_people.csv/",
        remote_user_id="d26x6zSkaPSe5gCyy",
        rate=0.5,
        last_seen_at=timezone.now(),
        payload={"status": "importer_importing_users", "valid": True},
    )
    operation.save()
    for minute in range(0, 60, 5):
        ProgressSample.objects.create(
            operation=operation,
            observed_at=started + timedelta(minutes=minute),
            completed=minute * 4,
            total=250,
        )
    save_period("default", last_at=timezone.now(), operation=operation)
    return operation
