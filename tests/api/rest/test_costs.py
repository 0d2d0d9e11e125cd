"""As many queries at ten rows as at ten thousand, and with one workspace as with thousands."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from importmonitor.models import (
    ApiToken,
    ImportOperation,
    ProgressSample,
    StatusTransition,
    SyncLease,
    SyncPeriod,
)
from tests.admin.helpers import save_rows
from tests.api.helpers import NOON, RUNNING, sync, sync_refused, workspace_at
from tests.api.rest.asking import OPERATIONS, WORKSPACES, Asking, five, samples, transitions

#: The token with its user, the user's and the groups' permissions.
WHO = 3
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _noted(asking: Asking) -> None:
    """Begin in a minute in which the token's use has been noted."""
    ApiToken.objects.update(last_used_at=timezone.now())


def costs(asking: Asking, urls: tuple[str, ...]) -> dict[str, int]:
    """Return how many queries each answer takes, less those about who asks; a 304 takes as many."""
    found = {}
    for url in urls:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = asking.get(url)
        assert response.status_code == 200
        # Of nothing is the number of all rows asked for.
        assert not [each for each in queries if "COUNT(" in each["sql"].upper()]
        with CaptureQueriesContext(connection) as again:
            assert asking.get(url, If_None_Match=response["ETag"]).status_code == 304
        assert len(again) == len(queries)
        found[url] = len(queries) - WHO
    return found


def addresses(key: int) -> tuple[str, ...]:
    """Return the five, and pages of them far from the first, filtered and ordered."""
    return (
        *five(key),
        f"{OPERATIONS}?page_size=500",
        f"{OPERATIONS}?ordering=started_at&page_size=1",
        f"{OPERATIONS}?workspace=default&outcome=done&has_errors=false&started_after=2020-01-01T00:00Z",
        f"{OPERATIONS}?stalled=true",
        f"{samples(key)}?page_size=500",
        f"{transitions(key)}?page_size=500",
    )


def make_parts(key: int, count: int) -> None:
    """Save as many transitions and samples of an operation."""
    StatusTransition.objects.bulk_create(
        StatusTransition(operation_id=key, observed_at=NOON + number * SECOND)
        for number in range(count)
    )
    ProgressSample.objects.bulk_create(
        ProgressSample(operation_id=key, observed_at=NOON + number * SECOND)
        for number in range(count)
    )


def test_rows(asking: Asking) -> None:
    sync(RUNNING, at=NOON)
    sync_refused(at=NOON + timedelta(minutes=1))
    current = ImportOperation.objects.get()
    save_rows(9)
    make_parts(current.pk, 9)
    few = costs(asking, addresses(current.pk))
    ImportOperation.objects.exclude(pk=current.pk).delete()
    save_rows(9_999)
    make_parts(current.pk, 9_990)
    assert costs(asking, addresses(current.pk)) == few
    operations, alone, moves, samples_, workspaces, *others = few.values()
    # The page, the lease with the keys of its periods, the periods.
    assert operations == alone == 3
    # The operation, its parts.
    assert moves == samples_ == 2
    # The leases with the keys of all else, the periods, the operations.
    assert workspaces == 3
    assert max(others) == 3


def test_a_deep_page(asking: Asking) -> None:
    save_rows(600)
    url: str | None = f"{OPERATIONS}?page_size=100"
    while url:
        assert costs(asking, (url,))[url] <= 3
        url = asking.body(url)["next"]


def test_workspaces(asking: Asking, settings: Any) -> None:
    """Each has its own operation, and was looked at."""
    aliases = [f"w{number}" for number in range(3000)]
    settings.IMPORTMONITOR = {
        "WORKSPACES": {alias: workspace_at("http://127.0.0.1:9") for alias in aliases}
    }
    rows = save_rows(3000)
    for row, alias in zip(rows, aliases, strict=True):
        row.workspace = alias
    ImportOperation.objects.bulk_update(rows, ["workspace"], batch_size=500)
    SyncLease.objects.bulk_create(SyncLease(workspace=alias) for alias in aliases)
    SyncPeriod.objects.bulk_create(
        SyncPeriod(workspace=alias, outcome="ok", first_at=NOON, last_at=NOON) for alias in aliases
    )
    pages = tuple(f"{WORKSPACES}?page_size={size}" for size in (1, 100, 500))
    assert set(costs(asking, (*pages, f"{WORKSPACES}?page=30")).values()) == {3}
    # A page of operations of as many workspaces as it has rows.
    assert costs(asking, (f"{OPERATIONS}?page_size=500",)) == {f"{OPERATIONS}?page_size=500": 3}
    body = asking.body(f"{WORKSPACES}?page=6&page_size=500")
    assert [each["operation"]["workspace"] for each in body["results"]] == aliases[2500:]
    assert (body["count"], body["next"]) == (3000, None)


def test_refusals(asking: Asking) -> None:
    save_rows(10)
    for url in five(1):
        with CaptureQueriesContext(connection) as queries:
            asking.client.get(url)
        assert len(queries) == 0
        with CaptureQueriesContext(connection) as queries:
            asking.get(url, {"x": "1"})
        assert len(queries) == WHO
        with CaptureQueriesContext(connection) as queries:
            asking.get(url, X_Auth_Token="wrong")
        assert len(queries) == 1
    User.objects.get(username="viewer").user_permissions.clear()
    for url in five(1):
        with CaptureQueriesContext(connection) as queries:
            assert asking.get(url).status_code == 403
        assert len(queries) == WHO
