"""“Sync now” over several workspaces: side by side, or one by one in a host's transaction."""

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
#: Django never closes a test's SQLite in memory, so that each thread would leave a connection.
threads_have_it = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="a database in memory is one thread's"
)


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(make_user("someone", "run-import", is_staff=True))
    return client


@pytest.fixture
def three(workspace: Workspace, settings: Any) -> Iterator[Workspace]:
    """Three workspaces, which are one and the same server."""
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
    """Note which thread looked at which workspace."""
    seen: dict[str, threading.Thread] = {}
    real = sync_workspace

    def noted(workspace: Any, **how: Any) -> Any:
        seen[workspace.alias] = threading.current_thread()
        return real(workspace, **how)

    monkeypatch.setattr(sync_now, "sync_workspace", noted)
    return seen


@threads_have_it
@pytest.mark.django_db(transaction=True)
def test_side_by_side(client: Client, three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    all_at_it, one_writes = threading.Barrier(len(ALIASES)), threading.Lock()
    real = sync_workspace

    def together(workspace: Any, **how: Any) -> Any:
        all_at_it.wait(timeout=20)
        with one_writes:
            return real(workspace, **how)

    monkeypatch.setattr(sync_now, "sync_workspace", together)
    told = press(client)
    assert sorted(told) == [("success", f"Synced {alias}.") for alias in ALIASES]
    assert ImportOperation.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_one_by_one_in_a_transaction_of_the_hosts(
    client: Client,
    three: Workspace,
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
        pytest.param(ALIASES, marks=threads_have_it, id="several"),
        pytest.param(ALIASES[:1], id="one"),
    ],
)
def test_a_database_that_fails_is_a_message(
    client: Client,
    three: Workspace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    aliases: tuple[str, ...],
) -> None:
    all_of_them = settings.IMPORTMONITOR["WORKSPACES"]
    settings.IMPORTMONITOR = {"WORKSPACES": {alias: all_of_them[alias] for alias in aliases}}
    real, one_writes = sync_workspace, threading.Lock()

    def locked(workspace: Any, **how: Any) -> Any:
        if workspace.alias == "acme":
            raise OperationalError("database is locked at postgres://user:secret@host")
        with one_writes:
            return real(workspace, **how)

    monkeypatch.setattr(sync_now, "sync_workspace", locked)
    told = press(client)
    assert len(told) == len(aliases)
    [(level, text)] = [each for each in told if "acme" in each[1]]
    assert level == "error"
    assert "OperationalError" in text
    assert "secret" not in text
    assert all(level == "success" for level, text in told if "acme" not in text)


@pytest.mark.django_db
def test_many_are_told_in_one_sentence(client: Client, settings: Any) -> None:
    options = {"URL": "http://127.0.0.1:9", "USER_ID": "u", "AUTH_TOKEN": "t" * 43}
    aliases = [f"w{number:02d}" for number in range(11)]
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}
    told = press(client)
    assert told[0] == ("success", "Looked at 0 of 11 workspaces.")
    assert [level for level, _ in told[1:]] == ["error"] * sync_now.MOST_TOLD
    assert SyncPeriod.objects.filter(outcome="Unreachable").count() == 11
