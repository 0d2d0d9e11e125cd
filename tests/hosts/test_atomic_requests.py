"""Hosts with ATOMIC_REQUESTS: no transaction is open while the network is asked."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from importmonitor.admin import sync_now
from importmonitor.alerts.channels import Undelivered
from importmonitor.models import Alert, ImportOperation, Workspace
from tests.admin.helpers import HISTORY, SYNC
from tests.admin.test_retry_delivery import ALERTS, make_alert
from tests.api.helpers import PATH, credentials, make_user
from tests.conftest import configure, join_threads
from tests.remote.servers import Server, echoing, http

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database", "atomic_requests"),
]


@pytest.fixture
def atomic_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.fixture
def root(shared_database: None) -> Client:
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def asked(settings: Any) -> Iterator[list[str]]:
    """The requests to a workspace; at each, another process writes, which no transaction blocks."""
    heads: list[str] = []

    def respond(head: str) -> bytes:
        heads.append(head)
        User.objects.create_user(f"writer {len(heads)}")
        connection.close()
        return http('{"success": true, "operation": {"_id": "65f8a1c2e4b0d9a7c3f1e205"}}')

    with Server(echoing(respond)) as server:
        configure(settings, server.url)
        yield heads


class Channel:
    """Notes whether a transaction is open when it is asked to deliver; the second time it fails."""

    in_transaction: list[bool] = []

    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    def send(self, message: object) -> None:
        self.in_transaction.append(connection.in_atomic_block)
        if len(self.in_transaction) > 1:
            raise Undelivered("no")


def test_sync_now_polls_after_the_commit(root: Client, asked: list[str]) -> None:
    assert root.post(SYNC).status_code == 302
    join_threads()
    assert asked
    assert User.objects.filter(username="writer 1").exists()
    assert Workspace.objects.get().is_good
    assert ImportOperation.objects.count() == 1
    assert "Synced 1 of 1" in root.get(HISTORY).text


def test_request_does_not_wait_for_what_begins_after_it(
    root: Client, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_now, "MAX_WAIT", 60.0)
    started = time.monotonic()
    root.post(SYNC)
    assert time.monotonic() - started < 30
    join_threads()


def test_failed_request_polls_nothing(
    root: Client, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's transaction is rolled back, and what waited for its commit with it."""

    def fail(*_arguments: Any) -> None:
        raise LookupError

    monkeypatch.setattr("importmonitor.admin.operations.reverse", fail)
    root.raise_request_exception = False
    assert root.post(SYNC).status_code == 500
    join_threads()
    assert asked == []


def test_alerts_are_delivered_outside_of_transactions(root: Client, settings: Any) -> None:
    backend = f"{__name__}.Channel"
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"CHANNELS": {"ops": {"BACKEND": backend}}}
    Channel.in_transaction.clear()
    alerts = [make_alert(key, workspace=key) for key in ("one", "another")]
    data = {"action": "retry_delivery", "_selected_action": [alert.pk for alert in alerts]}
    page = root.post(ALERTS, data, follow=True)
    assert "1 of 2 delivered" in page.text
    assert Channel.in_transaction == [False, False]
    assert Alert.objects.exclude(delivered_at=None).count() == 1


def test_all_requests_work(root: Client, asked: list[str]) -> None:
    root.post(SYNC)
    join_threads()
    headers = credentials(make_user("tool", "run-import", "view-import-operations"))
    for path in (HISTORY, ALERTS, "/admin/importmonitor/workspace/", f"{HISTORY}export/csv/"):
        assert root.get(path).status_code == 200
    for path, status in ((PATH, 200), ("/api/import-operations/", 200), (f"{PATH}?a=1", 400)):
        assert Client().get(path, headers=headers).status_code == status
    headers["X-Auth-Token"] = "wrong"
    assert Client().get(PATH, headers=headers).status_code == 401
