"""What each page costs in queries: as much for ten thousand rows as for ten, and never many."""

from collections.abc import Callable
from datetime import timedelta

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)
from tests.admin.helpers import HISTORY, change_url, save_rows
from tests.api.helpers import NOON

#: For the session, the user, and everything that a page shows.
MOST = 12

HEALTH = "/admin/importmonitor/syncperiod/"
ALERTS = "/admin/importmonitor/alert/"


def fill(count: int) -> None:
    """Put so many rows in place of all that are there, into each table that a page shows."""
    for model in (Alert, SyncPeriod, SyncLease, ImportOperation):
        model.objects.all().delete()
    rows = save_rows(count, importer_key="csv", remote_user_id="u", count_error=1)
    newest = ImportOperation.objects.get(remote_id=rows[0].remote_id)
    SyncLease.objects.create(workspace="default")
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
    SyncPeriod.objects.bulk_create(
        SyncPeriod(
            workspace="default",
            outcome=("Unreachable", SyncPeriod.OK)[number % 2],
            first_at=at,
            last_at=at,
            polls=1,
        )
        for number, at in enumerate(moments)
    )
    Alert.objects.bulk_create(
        Alert(
            event="import.failed",
            workspace="default",
            operation=newest,
            channel="ops",
            key=str(number),
            body={},
            created_at=at,
            next_attempt_at=at,
        )
        for number, at in enumerate(moments)
    )


def last_page(path: str) -> Callable[[int], str]:
    return lambda count: f"{path}?p={-(-count // 50)}"


PAGES: dict[str, Callable[[int], str]] = {
    "history": lambda _: HISTORY,
    "oldest first": lambda _: f"{HISTORY}?o=4",
    "outcome": lambda _: f"{HISTORY}?outcome=failed",
    "under way": lambda _: f"{HISTORY}?outcome=open",
    "state": lambda _: f"{HISTORY}?state=importing",
    "errors": lambda _: f"{HISTORY}?errors=yes",
    "importer": lambda _: f"{HISTORY}?importer=csv",
    "started by": lambda _: f"{HISTORY}?started_by=u",
    "time": lambda _: f"{HISTORY}?started_at__gte=2026-03-20+00%3A00%3A00%2B00%3A00",
    "all filters": lambda _: f"{HISTORY}?outcome=failed&state=importing&errors=yes&importer=csv",
    "by id": lambda _: f"{HISTORY}?q=remote00000000003",
    "by words": lambda _: f"{HISTORY}?q=csv",
    "last page": last_page(HISTORY),
    "an operation": lambda _: change_url(ImportOperation.objects.get(pk=newest_key())),
    "sync health": lambda _: HEALTH,
    "failing looks": lambda _: f"{HEALTH}?look=failing",
    "last page of the looks": last_page(HEALTH),
    "alerts": lambda _: ALERTS,
    "alerts on their way": lambda _: f"{ALERTS}?delivery=due",
    "last page of the alerts": last_page(ALERTS),
    "an alert": lambda _: f"{ALERTS}{Alert.objects.order_by('pk')[0].pk}/change/",
    "index": lambda _: "/admin/",
}


def newest_key() -> int:
    return int(ImportOperation.objects.newest_first().values_list("pk", flat=True)[0])


def cost(client: Client, path: str) -> int:
    """Return how many queries a page takes, with nothing remembered."""
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_no_page_costs_more_for_ten_thousand_rows(root: Client) -> None:
    costs = []
    # The first round is for what Django asks once for a process: content types.
    for count in (10, 10, 10_000):
        fill(count)
        costs.append({name: cost(root, path(count)) for name, path in PAGES.items()})
    _, few, many = costs
    assert max(many.values()) <= MOST
    # Of more points than a chart holds some are chosen, which takes one query more.
    assert many.pop("an operation") <= few.pop("an operation") + 1
    assert many == few
