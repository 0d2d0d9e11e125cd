"""The number of queries of each page, which does not depend on the number of rows."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.admin import operation_page, operations, paginator
from importmonitor.choices import OK
from importmonitor.models import (
    Alert,
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
    Workspace,
)
from tests.admin.helpers import HISTORY, change_url, save_rows
from tests.admin.workspace_states import WORKSPACES, save_period
from tests.api.helpers import NOON

#: For the session, the user, and everything that a page shows.
MAX_QUERIES = 12

#: More than the limits that the test sets, and than any page shows.
MANY = 130
ALERTS = "/admin/importmonitor/alert/"
INCIDENTS = "/admin/importmonitor/incident/"


def fill(count: int) -> None:
    """Replace the rows of every table that a page shows by this many."""
    for model in (Alert, Incident, SyncPeriod, Workspace, ImportOperation):
        model.objects.all().delete()
    rows = save_rows(count, importer_key="csv", remote_user_id="u", count_error=1)
    newest = ImportOperation.objects.get(remote_id=rows[0].remote_id)
    moments = [NOON + timedelta(seconds=number) for number in range(count)]
    ProgressSample.objects.bulk_create(
        ProgressSample(operation=newest, observed_at=at, completed=number, error=0, total=count)
        for number, at in enumerate(moments)
    )
    StatusTransition.objects.bulk_create(
        StatusTransition(
            operation=newest,
            to_status="importer_importing_users",
            to_state="importing",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=at,
        )
        for at in moments
    )
    for number, at in enumerate(moments[:-1]):
        # All workspaces but one are failing, each with a current import.
        save_period(f"w{number}", "Unreachable", at, rows[number])
    SyncPeriod.objects.bulk_create(
        SyncPeriod(workspace="default", outcome=outcome, first_at=at, last_at=at, polls=1)
        for at in moments
        for outcome in ("Unreachable", OK)
    )
    save_period("default", OK, moments[-1], newest)
    # Half of the first are open: no page shows all of many.
    incidents = Incident.objects.bulk_create(
        Incident(
            workspace="default",
            kind=kind,
            since=at,
            until=None if number % 2 else at,
        )
        for kind in ("import.failed", "maintenance")
        for number, at in enumerate(moments)
    )
    Incident.objects.bulk_create(
        Incident(
            kind="import.failed",
            workspace=row.workspace,
            operation=row,
            since=at,
            open_key=str(row.pk),
            acknowledged_at=at,
        )
        for row, at in zip(rows, moments, strict=True)
    )
    Alert.objects.bulk_create(
        Alert(
            event="import.failed",
            workspace="default",
            operation=newest,
            # Of the alerts on a page, some are of users.
            channel=f"@{number}" if number % 2 else "ops",
            incident=incidents[number],
            key=str(number),
            body={},
            created_at=at,
            next_attempt_at=at,
        )
        for number, at in enumerate(moments)
    )


def last_page(path: str) -> Callable[[int], str]:
    return lambda count: f"{path}?p={-(-min(count, 110) // 50)}"


#: The URL of each page, by the number of rows.
PAGES: dict[str, Callable[[int], str]] = {
    "history": lambda _: HISTORY,
    "oldest first": lambda _: f"{HISTORY}?o=4",
    "outcome": lambda _: f"{HISTORY}?outcome=failed",
    "running": lambda _: f"{HISTORY}?outcome=open",
    "state": lambda _: f"{HISTORY}?state=importing",
    "errors": lambda _: f"{HISTORY}?errors=yes",
    "importer": lambda _: f"{HISTORY}?importer=csv",
    "started by": lambda _: f"{HISTORY}?started_by=u",
    "time": lambda _: f"{HISTORY}?started_at__gte=2026-03-20+00%3A00%3A00%2B00%3A00",
    "several filters": lambda _: (
        f"{HISTORY}?outcome=failed&state=importing&errors=yes&importer=csv"
    ),
    "by id": lambda _: f"{HISTORY}?q=remote00000000003",
    "by words": lambda _: f"{HISTORY}?q=csv",
    "last page": last_page(HISTORY),
    "operation": lambda _: change_url(ImportOperation.objects.get(pk=newest_key())),
    "workspaces": lambda _: WORKSPACES,
    "failing polls": lambda _: f"{WORKSPACES}?sync_status=failing",
    "last page of the workspaces": last_page(WORKSPACES),
    "workspace": lambda _: f"{WORKSPACES}{newest_workspace()}/change/",
    "day of a workspace": lambda _: f"{WORKSPACES}{newest_workspace()}/change/?day=2026-03-25",
    "alerts": lambda _: ALERTS,
    "alerts about an import": lambda _: f"{ALERTS}?operation__id={newest_key()}",
    "pending alerts": lambda _: f"{ALERTS}?delivery=due",
    "last page of the alerts": last_page(ALERTS),
    "alert": lambda _: f"{ALERTS}{Alert.objects.order_by('pk')[0].pk}/change/",
    "incidents": lambda _: INCIDENTS,
    "acknowledged incidents": lambda _: f"{INCIDENTS}?status=acknowledged&kind=import.failed",
    "last page of the incidents": last_page(INCIDENTS),
    "incident": lambda _: f"{INCIDENTS}{Incident.objects.order_by('pk')[0].pk}/change/",
    "index": lambda _: "/admin/",
}


def newest_key() -> int:
    return int(ImportOperation.objects.newest_first().values_list("pk", flat=True)[0])


def newest_workspace() -> int:
    return Workspace.objects.get(alias="default").pk


def count_queries(client: Client, path: str) -> int:
    """Return how many queries a page takes with an empty cache."""
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_no_page_takes_more_queries_for_many_rows(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With limits that few rows exceed.
    monkeypatch.setattr(paginator, "MAX_COUNT", 110)
    monkeypatch.setattr(operations, "MAX_SEARCHED", 110)
    monkeypatch.setattr(operation_page, "MAX_SAMPLES", 110)
    # Django caches the content types, for the whole process.
    ContentType.objects.get_for_models(Alert, Incident, SyncPeriod, ImportOperation, Workspace)
    root.get("/admin/")
    counts = []
    for rows in (10, MANY):
        fill(rows)
        counts.append({name: count_queries(root, path(rows)) for name, path in PAGES.items()})
    few, many = counts
    assert max(many.values()) <= MAX_QUERIES
    assert many == few
