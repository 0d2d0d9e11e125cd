"""The buttons of a workspace's page: “Check connection” and “Sync now” of that workspace alone."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from importmonitor.admin import connection, sync_now
from importmonitor.models import ImportOperation, SyncPeriod
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.client import Client as RocketChatClient
from importmonitor.sync.connection import Level, check_connection
from simulator.server import Server
from simulator.workspace import Workspace
from tests.admin.conftest import LogIn
from tests.admin.helpers import messages, page
from tests.api.helpers import make_user
from tests.conftest import AUTH_TOKEN, USER_ID, join_threads
from tests.remote.helpers import workspace_config
from tests.remote.servers import Server as RawServer
from tests.remote.servers import silent


@pytest.fixture
def row(db: None) -> WorkspaceRow:
    return WorkspaceRow.objects.create(alias="default")


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("run-import")


def press(client: Client, row: WorkspaceRow, button: str = "check") -> list[tuple[str, str]]:
    """Press a button of a workspace's page; return the messages of that page."""
    own = reverse("admin:importmonitor_workspace_change", args=[row.pk])
    response = client.post(
        reverse(f"admin:importmonitor_workspace_{button}", args=[row.pk]), follow=True
    )
    assert response.redirect_chain == [(own, 302)]
    assert AUTH_TOKEN not in response.content.decode()
    return messages(response)


def test_check_shows_what_the_command_prints(
    client: Client, row: WorkspaceRow, rocketchat: Workspace
) -> None:
    rocketchat.clock.set(timezone.now())
    rocketchat.start_import("csv")
    shown = press(client, row)
    assert {level for level, _text in shown} == {"success"}
    text = "OK: run-import: the current operation is CSV, importer_new"
    assert shown[0] == ("success", text)
    assert not ImportOperation.objects.exists()
    assert not SyncPeriod.objects.exists()
    row.refresh_from_db()
    assert (row.holder, row.expires_at, row.last_polled_at) == ("", None, None)


def test_check_explains_a_problem(client: Client, row: WorkspaceRow, rocketchat: Workspace) -> None:
    rocketchat.add_user(USER_ID, "another token")
    [(level, text)] = press(client, row)
    assert level == "error"
    assert text.startswith("Problem: Unauthenticated: default: GET http")
    assert "Check USER_ID and AUTH_TOKEN" in text


def test_check_waits_for_no_other_poll_or_check(
    client: Client, row: WorkspaceRow, rocketchat: Workspace
) -> None:
    WorkspaceRow.objects.update(holder="another", expires_at=timezone.now() + timedelta(seconds=30))
    assert press(client, row) == [("info", "Another process is syncing default.")]
    WorkspaceRow.objects.update(
        holder="", expires_at=None, not_before=timezone.now() + timedelta(seconds=50)
    )
    [(level, text)] = press(client, row)
    assert (level, text[:31]) == ("warning", "Rate limited: default can be sy")
    with connection._lock:
        [(level, text)] = press(client, row)
    assert (level, text) == ("info", "Another check is running. Try again in a moment.")
    assert rocketchat.requests.total() == 0


def test_check_of_a_hanging_server_ends_with_the_time_limit() -> None:
    """All requests together get no more time than one."""
    with RawServer(silent) as server:
        findings = list(check_connection(workspace_config(server.url), time_limit=0.05))
    [finding] = findings
    assert finding.level == Level.PROBLEM
    assert "0.05 s" in finding.text


def test_workspace_that_is_not_configured_is_neither_checked_nor_synced(client: Client) -> None:
    removed = WorkspaceRow.objects.create(alias="removed")
    for button in ("check", "sync"):
        [(level, text)] = press(client, removed, button)
        assert (level, text) == ("warning", "This workspace is no longer configured.")


def test_hidden_workspace_is_neither_checked_nor_synced(
    client: Client, row: WorkspaceRow, rocketchat: Workspace, settings: Any
) -> None:
    settings.IMPORTMONITOR["WORKSPACES"]["default"]["GROUPS"] = ["others"]
    for button in ("check", "sync"):
        url = reverse(f"admin:importmonitor_workspace_{button}", args=[row.pk])
        missing = client.post(url.replace(str(row.pk), "987654321"), follow=True)
        hidden = client.post(url, follow=True)
        assert len(hidden.redirect_chain) == len(missing.redirect_chain) == 2
        assert hidden.redirect_chain[-1] == missing.redirect_chain[-1]
    assert rocketchat.requests.total() == 0


def test_buttons_require_run_import(log_in: LogIn, row: WorkspaceRow) -> None:
    client = log_in("view_workspace")
    own = reverse("admin:importmonitor_workspace_change", args=[row.pk])
    urls = [
        reverse(f"admin:importmonitor_workspace_{name}", args=[row.pk])
        for name in ("check", "sync")
    ]
    assert not set(urls) & set(page(client.get(own)).actions)
    for url in urls:
        assert client.post(url).status_code == 403
        assert client.get(url).status_code == 405


@pytest.mark.usefixtures("patient_sync")
class TestSyncNow:
    """“Sync now” of one of two workspaces."""

    @pytest.fixture
    def rows(
        self, shared_database: None, workspace: Workspace, settings: Any
    ) -> Iterator[list[WorkspaceRow]]:
        with Server(workspace) as server:
            options = {"URL": server.url, "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
            settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(("acme", "globex"), options)}
            yield [WorkspaceRow.objects.create(alias=alias) for alias in ("acme", "globex")]

    @pytest.fixture
    def client(self, shared_database: None) -> Client:
        client = Client()
        client.force_login(make_user("someone", "run-import", is_staff=True))
        return client

    def test_only_this_workspace_is_polled(
        self, client: Client, rows: list[WorkspaceRow], workspace: Workspace
    ) -> None:
        acme, globex = rows
        [(level, text)] = press(client, acme, "sync")
        assert (level, text) == ("success", "Synced acme: nothing new.")
        [(level, text)] = press(client, acme, "sync")
        assert "acme was polled less than 15 seconds ago" in text
        globex.refresh_from_db()
        assert not globex.was_polled

    def test_progress_counts_only_this_workspace(
        self,
        client: Client,
        rows: list[WorkspaceRow],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sync_now, "MAX_WAIT", 0.0)
        released = threading.Event()
        request = RocketChatClient.current_operation

        def wait(own: RocketChatClient) -> Any:
            assert released.wait(30)
            return request(own)

        monkeypatch.setattr(RocketChatClient, "current_operation", wait)
        acme, globex = rows
        assert press(client, acme, "sync") == []
        WorkspaceRow.objects.filter(pk=globex.pk).update(last_polled_at=timezone.now())
        own = reverse("admin:importmonitor_workspace_change", args=[acme.pk])
        assert "Syncing 1 workspace: 0 done." in page(client.get(own)).words
        released.set()
        join_threads()
        assert "Synced 1 of 1 workspaces." in page(client.get(own)).words
