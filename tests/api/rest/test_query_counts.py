"""The number of queries does not depend on the number of rows and workspaces."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from importmonitor.models import (
    ApiToken,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    Workspace,
)
from tests.admin.helpers import save_rows
from tests.api.helpers import NOON, RUNNING, sync, sync_refused, workspace_at
from tests.api.rest.api_client import (
    OPERATIONS,
    WORKSPACES,
    ApiClient,
    all_urls,
    samples_url,
    transitions_url,
)

#: The token with its user, the user's and the groups' permissions.
AUTH_QUERIES = 3
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _use_recorded(api: ApiClient) -> None:
    """Start with the use of the token recorded."""
    ApiToken.objects.update(last_used_at=timezone.now())


def query_counts(api: ApiClient, urls: tuple[str, ...]) -> dict[str, int]:
    """Return the queries of each response without authentication; a 304 takes as many."""
    counts = {}
    for url in urls:
        with CaptureQueriesContext(connection) as queries:
            response = api.get(url)
        assert response.status_code == 200
        # No query counts all rows.
        assert not [query for query in queries if "COUNT(" in query["sql"].upper()]
        with CaptureQueriesContext(connection) as again:
            assert api.get(url, If_None_Match=response["ETag"]).status_code == 304
        assert len(again) == len(queries)
        counts[url] = len(queries) - AUTH_QUERIES
    return counts


def urls(key: int) -> tuple[str, ...]:
    """Return the URLs of all endpoints, and of large, filtered and ordered pages."""
    return (
        *all_urls(key),
        f"{OPERATIONS}?page_size=500",
        f"{OPERATIONS}?ordering=started_at&page_size=1",
        f"{OPERATIONS}?workspace=default&outcome=done&has_errors=false&started_after=2020-01-01T00:00Z",
        f"{OPERATIONS}?stalled=true",
        f"{samples_url(key)}?page_size=500",
        f"{transitions_url(key)}?page_size=500",
    )


def make_children(key: int, count: int) -> None:
    """Save this number of transitions and samples of an operation."""
    StatusTransition.objects.bulk_create(
        StatusTransition(operation_id=key, observed_at=NOON + number * SECOND)
        for number in range(count)
    )
    ProgressSample.objects.bulk_create(
        ProgressSample(operation_id=key, observed_at=NOON + number * SECOND)
        for number in range(count)
    )


def test_queries_do_not_grow_with_rows(api: ApiClient) -> None:
    sync(RUNNING, at=NOON)
    sync_refused(at=NOON + timedelta(minutes=1))
    current = ImportOperation.objects.get()
    save_rows(9)
    make_children(current.pk, 9)
    few = query_counts(api, urls(current.pk))
    ImportOperation.objects.exclude(pk=current.pk).delete()
    save_rows(600)
    make_children(current.pk, 600)
    assert query_counts(api, urls(current.pk)) == few
    operations, alone, moves, samples_, workspaces, *others = few.values()
    # The names of the user's groups, the workspaces that are hidden, the page or the operation, and
    # its workspaces.
    assert operations == alone == 4
    # The names, what is hidden, the operation, its parts.
    assert moves == samples_ == 4
    # The names, what is hidden, and the workspaces with their current operations.
    assert workspaces == 3
    assert max(others) == 4


def test_deep_pages_take_as_many_queries(api: ApiClient) -> None:
    save_rows(600)
    url: str | None = f"{OPERATIONS}?page_size=100"
    while url:
        assert query_counts(api, (url,))[url] <= 4
        url = api.body(url)["next"]


def test_queries_do_not_grow_with_workspaces(api: ApiClient, settings: Any) -> None:
    """Each workspace has an operation and was polled."""
    filters = [
        *("status=ok", "status=stale", "status=failing", "status=never", "search=w2"),
        *("active=true", "active=false", "failing=true", "failing=false"),
    ]
    pages = tuple(f"{WORKSPACES}?page_size={size}" for size in (1, 100, 500))
    pages += tuple(f"{WORKSPACES}?{words}" for words in filters)
    ApiToken.objects.update(last_used_at=NOON)
    for count in (3, 300):
        use_workspaces(settings, count)
        with time_machine.travel(NOON, tick=False):
            assert set(query_counts(api, pages).values()) == {3}
            aliases = [row["workspace"] for row in api.rows(pages[2])]
            assert aliases == [f"w{number}" for number in range(count)]
            # A page of operations in as many workspaces.
            url = f"{OPERATIONS}?page_size=500"
            assert query_counts(api, (url,)) == {url: 4}
    with time_machine.travel(NOON, tick=False):
        following = api.body(f"{WORKSPACES}?page_size=200")["next"]
        assert query_counts(api, (following,)) == {following: 3}
        assert len(api.rows(following)) == 100


def use_workspaces(settings: Any, count: int) -> None:
    """Configure this many workspaces, and replace all rows by one of each."""
    ImportOperation.objects.all().delete()
    Workspace.objects.all().delete()
    aliases = [f"w{number}" for number in range(count)]
    settings.IMPORTMONITOR = {
        "WORKSPACES": {alias: workspace_at("http://127.0.0.1:9") for alias in aliases}
    }
    rows = save_rows(count)
    for row, alias in zip(rows, aliases, strict=True):
        row.workspace = alias
    ImportOperation.objects.bulk_update(rows, ["workspace"], batch_size=500)
    Workspace.objects.bulk_create(
        Workspace(
            alias=row.workspace,
            current_operation=row,
            sync_status="ok",
            last_polled_at=NOON,
            last_synced_at=NOON,
        )
        for row in rows
    )


def test_refusals_take_few_queries(api: ApiClient) -> None:
    save_rows(10)
    for url in all_urls(1):
        with CaptureQueriesContext(connection) as queries:
            api.client.get(url)
        assert len(queries) == 0
        with CaptureQueriesContext(connection) as queries:
            api.get(url, {"x": "1"})
        assert len(queries) == AUTH_QUERIES
        with CaptureQueriesContext(connection) as queries:
            api.get(url, X_Auth_Token="wrong")
        assert len(queries) == 1
    User.objects.get(username="viewer").user_permissions.clear()
    for url in all_urls(1):
        with CaptureQueriesContext(connection) as queries:
            assert api.get(url).status_code == 403
        assert len(queries) == AUTH_QUERIES
