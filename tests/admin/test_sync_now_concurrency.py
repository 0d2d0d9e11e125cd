"""“Sync now” with several workspaces: concurrent, or sequential in a host's transaction."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from importmonitor.admin import sync_now
from importmonitor.models import ImportOperation, SyncPeriod
from importmonitor.sync.poll import sync_workspace
from simulator.server import Server
from simulator.workspace import Workspace
from tests.admin.helpers import HISTORY, SYNC, messages
from tests.api.helpers import make_user
from tests.conftest import AUTH_TOKEN, USER_ID

ALIASES = ("acme", "globex", "initech")
#: Django never closes a test's in-memory SQLite, so each thread would leave a connection open.
needs_shared_database = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="an in-memory database belongs to one thread"
)


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(make_user("someone", "run-import", is_staff=True))
    return client


@pytest.fixture
def three_workspaces(workspace: Workspace, settings: Any) -> Iterator[Workspace]:
    """Three configured workspaces, all of them the same server."""
    workspace.start_import("csv", seconds=600)
    with Server(workspace) as server:
        options = {"URL": server.url, "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
        settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(ALIASES, options)}
        yield workspace


def press(client: Client) -> list[tuple[str, str]]:
    response = client.post(SYNC, follow=True)
    assert response.redirect_chain == [(HISTORY, 302)]
    return messages(response)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, threading.Thread]:
    """Record which thread polled which workspace."""
    threads: dict[str, threading.Thread] = {}
    real = sync_workspace

    def record(workspace: Any, **kwargs: Any) -> Any:
        threads[workspace.alias] = threading.current_thread()
        return real(workspace, **kwargs)

    monkeypatch.setattr(sync_now, "sync_workspace", record)
    return threads


@needs_shared_database
@pytest.mark.django_db(transaction=True)
def test_workspaces_are_synced_concurrently(
    client: Client, three_workspaces: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_started, write_lock = threading.Barrier(len(ALIASES)), threading.Lock()
    real = sync_workspace

    def wait_for_all(workspace: Any, **kwargs: Any) -> Any:
        all_started.wait(timeout=20)
        with write_lock:
            return real(workspace, **kwargs)

    monkeypatch.setattr(sync_now, "sync_workspace", wait_for_all)
    shown = press(client)
    assert sorted(shown) == [("success", f"Synced {alias}.") for alias in ALIASES]
    assert ImportOperation.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_workspaces_are_synced_in_one_thread_within_a_transaction(
    client: Client,
    three_workspaces: Workspace,
    threads: dict[str, threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert press(client) == [("success", f"Synced {alias}.") for alias in ALIASES]
    assert set(threads.values()) == {threading.current_thread()}
    assert ImportOperation.objects.count() == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "aliases",
    [
        pytest.param(ALIASES, marks=needs_shared_database, id="several"),
        pytest.param(ALIASES[:1], id="one"),
    ],
)
def test_database_error_is_a_message_without_secrets(
    client: Client,
    three_workspaces: Workspace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    aliases: tuple[str, ...],
) -> None:
    workspaces = settings.IMPORTMONITOR["WORKSPACES"]
    settings.IMPORTMONITOR = {"WORKSPACES": {alias: workspaces[alias] for alias in aliases}}
    real, write_lock = sync_workspace, threading.Lock()

    def fail_for_acme(workspace: Any, **kwargs: Any) -> Any:
        if workspace.alias == "acme":
            raise OperationalError("database is locked at postgres://user:secret@host")
        with write_lock:
            return real(workspace, **kwargs)

    monkeypatch.setattr(sync_now, "sync_workspace", fail_for_acme)
    shown = press(client)
    assert len(shown) == len(aliases)
    [(level, text)] = [message for message in shown if "acme" in message[1]]
    assert level == "error"
    assert "OperationalError" in text
    assert "secret" not in text
    assert all(level == "success" for level, text in shown if "acme" not in text)


@pytest.mark.django_db
def test_successes_of_many_workspaces_are_one_message(client: Client, settings: Any) -> None:
    options = {"URL": "http://127.0.0.1:9", "USER_ID": "u", "AUTH_TOKEN": "t" * 43}
    aliases = [f"w{number:02d}" for number in range(11)]
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}
    shown = press(client)
    assert shown[0] == ("success", "Synced 0 of 11 workspaces.")
    assert [level for level, _ in shown[1:]] == ["error"] * sync_now.MAX_MESSAGES
    assert SyncPeriod.objects.filter(outcome="Unreachable").count() == 11
