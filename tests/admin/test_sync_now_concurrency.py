"""“Sync now” polls in the background: few connections, no poll twice, and a progress that ends."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from importmonitor.admin import sync_now
from importmonitor.choices import EMPTY, OK
from importmonitor.models import ImportOperation
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.client import Client as RocketChatClient
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync import background
from importmonitor.sync.background import MIN_INTERVAL, TIME_LIMIT, BackgroundPoller, get_poller
from importmonitor.sync.lease import RECENT
from importmonitor.sync.poll import SyncResult, poll_workspace
from importmonitor.sync.register import register_configured
from simulator.server import Server
from simulator.workspace import Workspace
from tests.admin.helpers import HISTORY, SYNC, Page, messages, page
from tests.api.helpers import make_user, workspace_at
from tests.conftest import AUTH_TOKEN, USER_ID, join_threads
from tests.remote.helpers import workspace_config

ALIASES = ("acme", "globex", "initech")
CHANNEL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}

pytestmark = pytest.mark.usefixtures("patient_sync")


@pytest.fixture
def client(shared_database: None) -> Client:
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


class HangingServers:
    """Servers that do not respond until `release`, and then cannot be reached."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.most_at_once = 0
        self.has_begun = threading.Semaphore(0)
        self._waiting = 0
        self._lock = threading.Lock()
        self._released = threading.Event()

    def respond(self, alias: str) -> None:
        with self._lock:
            self.calls[alias] += 1
            self._waiting += 1
            self.most_at_once = max(self.most_at_once, self._waiting)
        self.has_begun.release()
        assert self._released.wait(30)
        with self._lock:
            self._waiting -= 1
        raise Unreachable(f"{alias}: no answer")

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def hanging(shared_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingServers]:
    servers = HangingServers()

    def respond(client: RocketChatClient) -> None:
        servers.respond(client.workspace.alias)

    monkeypatch.setattr(RocketChatClient, "current_operation", respond)
    yield servers
    servers.release()
    join_threads()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the workspaces that are to be polled, and poll none."""
    started: list[str] = []

    def start(workspaces: Any) -> list[Any]:
        started.extend(workspace.alias for workspace in workspaces)
        return []

    monkeypatch.setattr(get_poller(), "start", start)
    return started


def use_workspaces(settings: Any, count: int) -> list[str]:
    aliases = [f"w{number:05d}" for number in range(count)]
    settings.IMPORTMONITOR = {
        "WORKSPACES": dict.fromkeys(aliases, workspace_at("http://127.0.0.1:9"))
    }
    register_configured()
    return aliases


def press(client: Client) -> list[tuple[str, str]]:
    response = client.post(SYNC, follow=True)
    assert response.redirect_chain == [(HISTORY, 302)]
    return messages(response)


def history(client: Client) -> Page:
    return page(client.get(HISTORY))


def save_polls(aliases: list[str], status: str = EMPTY, at: datetime | None = None) -> None:
    rows = WorkspaceRow.objects.filter(alias__in=aliases)
    assert rows.update(sync_status=status, last_polled_at=at or timezone.now()) == len(aliases)


def test_workspaces_are_synced_concurrently(
    client: Client, three_workspaces: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_started = threading.Barrier(len(ALIASES))

    def wait_for_all(*args: Any, **kwargs: Any) -> Any:
        all_started.wait(timeout=30)
        return poll_workspace(*args, **kwargs)

    monkeypatch.setattr(background, "poll_workspace", wait_for_all)
    assert press(client) == [("success", f"Synced {alias}.") for alias in ALIASES]
    assert ImportOperation.objects.count() == 3
    assert "Syncing" not in history(client).words


def test_twenty_clicks_are_one_poll_of_each_workspace(
    client: Client, settings: Any, hanging: HangingServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(background, "MIN_INTERVAL", timedelta(hours=1))
    aliases = use_workspaces(settings, 12)
    other = Client()
    other.force_login(make_user("another", "run-import", is_staff=True))
    assert press(client) == []
    assert press(other) == []
    for _ in range(9):
        for session in (client, other):
            assert press(session) == [("info", "A sync is already running.")]
    hanging.release()
    join_threads()
    press(client)
    join_threads()
    assert hanging.calls == dict.fromkeys(aliases, 1)


def test_64_hanging_workspaces_hold_four_connections_and_no_request(
    client: Client, settings: Any, hanging: HangingServers
) -> None:
    aliases = use_workspaces(settings, 64)
    # No server responds before this returns.
    assert press(client) == []
    for _ in range(4):
        assert hanging.has_begun.acquire(timeout=30)
    shown = history(client)
    assert "Syncing 64 workspaces: 0 done." in shown.words
    assert shown.bars == ["0"]
    hanging.release()
    join_threads()
    assert hanging.most_at_once == 4
    assert hanging.calls == dict.fromkeys(aliases, 1)
    shown = history(client)
    assert "Synced 0 of 64 workspaces. 64 failed." in shown.words
    assert shown.bars == []


def test_one_hanging_workspace_holds_the_request_no_longer_than_the_limit(
    client: Client, settings: Any, hanging: HangingServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_workspaces(settings, 1)
    monkeypatch.setattr(sync_now, "MAX_WAIT", 0.01)
    assert press(client) == []
    assert "Syncing 1 workspace: 0 done." in history(client).words
    hanging.release()
    join_threads()
    assert "Synced 0 of 1 workspaces. 1 failed." in history(client).words


@pytest.mark.long
def test_queries_of_a_click_do_not_depend_on_the_number_of_workspaces(
    client: Client, settings: Any, started: list[str]
) -> None:
    counts = []
    for number in (10, 10_000):
        WorkspaceRow.objects.all().delete()
        aliases = use_workspaces(settings, number)
        save_polls(aliases[: number // 2])
        client.logout()
        client.force_login(make_user(f"user{number}", "run-import", is_staff=True))
        started.clear()
        with CaptureQueriesContext(connection) as queries:
            assert client.post(SYNC).status_code == 302
        counts.append(len(queries))
        assert started == aliases[number // 2 :][: background.MAX_WORKSPACES]
    few, many = counts
    assert many <= few


def test_of_many_workspaces_the_longest_unpolled_are_polled(
    client: Client, settings: Any, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "MAX_WORKSPACES", 10)
    monkeypatch.setattr(sync_now, "MAX_COUNT", 20)
    aliases = use_workspaces(settings, 12)
    now = timezone.now()
    for number, alias in enumerate(aliases[:9]):
        save_polls([alias], at=now - timedelta(hours=number))
    press(client)
    assert started == [*aliases[9:], *aliases[2:9][::-1]]
    of_all = "These are the 10 of {} workspaces whose last polls were longest ago."
    shown = history(client)
    assert "Syncing 10 workspaces: 0 done. " + of_all.format("12") in shown.words
    save_polls(aliases[9:])
    # Polls of others, such as those of a watch, are not counted.
    save_polls(aliases[:2])
    assert "Syncing 10 workspaces: 3 done." in history(client).words
    save_polls(aliases[2:9], "Unreachable")
    assert "Synced 3 of 10 workspaces. 7 failed. " + of_all.format("12") in history(client).words
    use_workspaces(settings, 30)
    client.logout()
    client.force_login(make_user("another", "run-import", is_staff=True))
    press(client)
    assert of_all.format("20+") in history(client).words


def test_first_sync_registers_the_first_of_many_workspaces(
    client: Client, settings: Any, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "MAX_WORKSPACES", 10)
    aliases = use_workspaces(settings, 30)
    WorkspaceRow.objects.all().delete()
    press(client)
    assert started == aliases[:10]
    assert WorkspaceRow.objects.count() == 10


def test_mistake_in_one_workspace_does_not_keep_the_others_from_being_polled(
    client: Client, settings: Any, started: list[str]
) -> None:
    aliases = use_workspaces(settings, 3)
    workspaces = settings.IMPORTMONITOR["WORKSPACES"]
    settings.IMPORTMONITOR = {"WORKSPACES": workspaces | {"w00001": {}}}
    [(level, text), *_others] = press(client)
    assert (level, "'w00001' has no URL" in text) == ("error", True)
    assert started == [aliases[0], aliases[2]]


def test_longest_unpolled_workspace_is_polled_first(
    client: Client, settings: Any, started: list[str]
) -> None:
    old, never, older, recent = aliases = use_workspaces(settings, 4)
    now = timezone.now()
    for alias, minutes in ((old, 1), (older, 2), (recent, 0)):
        save_polls([alias], at=now - timedelta(minutes=minutes))
    press(client)
    assert started == [never, older, old]
    assert set(aliases) - set(started) == {recent}


@pytest.mark.parametrize("first_is_done", [True, False], ids=["after", "during"])
def test_workspace_is_polled_by_one_of_two_processes(
    hanging: HangingServers, first_is_done: bool
) -> None:
    workspace = workspace_config("http://127.0.0.1:9")
    [first] = BackgroundPoller().start([workspace])
    assert hanging.has_begun.acquire(timeout=30)
    if first_is_done:
        hanging.release()
        first.result(timeout=30)
    [second] = BackgroundPoller().start([workspace])
    result = second.result(timeout=30)
    assert isinstance(result, SyncResult)
    assert result.skipped == (RECENT if first_is_done else "leased")
    assert hanging.calls == {"default": 1}


def test_progress_is_that_of_all_processes(
    client: Client, settings: Any, started: list[str]
) -> None:
    aliases = use_workspaces(settings, 10)
    save_polls(aliases[:1])
    assert press(client) == []
    assert len(started) == 9
    shown = history(client)
    assert "Syncing 10 workspaces: 1 done." in shown.words
    assert shown.bars == ["1"]
    save_polls(aliases[1:9], "Unreachable")
    assert "Syncing 10 workspaces: 9 done." in history(client).words
    save_polls(aliases[9:], OK)
    shown = history(client)
    assert "Synced 2 of 10 workspaces. 8 failed." in shown.words
    assert "not polled" not in shown.words
    # The next click starts another one.
    with time_machine.travel(timezone.now() + MIN_INTERVAL + timedelta(seconds=1)):
        press(client)
    assert len(started) == 19


def test_progress_ends_without_polls(client: Client, settings: Any, started: list[str]) -> None:
    """The process with the threads may have been restarted."""
    aliases = use_workspaces(settings, 10)
    press(client)
    save_polls(aliases[:3])
    assert "Syncing 10 workspaces: 3 done." in history(client).words
    now = timezone.now()
    with time_machine.travel(now + TIME_LIMIT + timedelta(seconds=1)):
        assert "Synced 3 of 10 workspaces. 7 not polled." in history(client).words
    with time_machine.travel(now + timedelta(minutes=10)):
        assert "10 workspaces" not in history(client).words


def test_progress_does_not_wait_for_rate_limited_workspaces(
    client: Client, settings: Any, started: list[str]
) -> None:
    aliases = use_workspaces(settings, 10)
    press(client)
    save_polls(aliases[1:])
    assert "Syncing" in history(client).words
    soon = timezone.now() + timedelta(hours=1)
    WorkspaceRow.objects.filter(alias=aliases[0]).update(not_before=soon)
    assert "Synced 9 of 10 workspaces. 1 not polled." in history(client).words


def test_only_the_user_who_synced_sees_the_progress(
    client: Client, settings: Any, started: list[str]
) -> None:
    use_workspaces(settings, 10)
    press(client)
    other = Client()
    other.force_login(make_user("another", "run-import", is_staff=True))
    assert "Syncing" not in history(other).words


def test_polls_begin_after_the_transaction_of_the_request(
    client: Client, three_workspaces: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    start, in_transaction = get_poller().start, []

    def record(workspaces: Any) -> Any:
        in_transaction.append(connection.in_atomic_block)
        return start(workspaces)

    monkeypatch.setattr(get_poller(), "start", record)
    response = client.post(SYNC)
    assert (response.status_code, response["Location"]) == (302, HISTORY)
    assert in_transaction == [False]
    join_threads()
    assert ImportOperation.objects.count() == 3
    assert "Synced 3 of 3 workspaces." in history(client).words


@pytest.mark.parametrize("aliases", [ALIASES, ALIASES[:1]], ids=["several", "one"])
def test_database_error_is_a_message_without_secrets(
    client: Client,
    three_workspaces: Workspace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    aliases: tuple[str, ...],
) -> None:
    workspaces = settings.IMPORTMONITOR["WORKSPACES"]
    settings.IMPORTMONITOR = {"WORKSPACES": {alias: workspaces[alias] for alias in aliases}}

    def fail_for_acme(workspace: Any, **kwargs: Any) -> Any:
        if workspace.alias == "acme":
            raise OperationalError("database is locked at postgres://user:secret@host")
        return poll_workspace(workspace, **kwargs)

    monkeypatch.setattr(background, "poll_workspace", fail_for_acme)
    shown = press(client)
    assert len(shown) == len(aliases)
    [(level, text)] = [message for message in shown if "acme" in message[1]]
    assert level == "error"
    assert "OperationalError" in text
    assert "OperationalError" in caplog.text
    assert "secret" not in text + caplog.text
    assert all(level == "success" for level, text in shown if "acme" not in text)


def test_bug_is_logged_and_the_others_are_polled(
    client: Client,
    three_workspaces: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail_for_acme(workspace: Any, **kwargs: Any) -> Any:
        if workspace.alias == "acme":
            raise ZeroDivisionError
        return poll_workspace(workspace, **kwargs)

    monkeypatch.setattr(background, "poll_workspace", fail_for_acme)
    assert [level for level, _ in press(client)] == ["error", "success", "success"]
    assert "A poll of acme failed." in caplog.text


def test_workspaces_that_wait_too_long_are_dropped(
    settings: Any, hanging: HangingServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, workspace = BackgroundPoller(), workspace_config("http://127.0.0.1:9")
    monkeypatch.setattr(background, "TIME_LIMIT", timedelta(seconds=-1))
    [future] = own.start([workspace])
    join_threads()
    assert not future.done()
    assert not hanging.calls
    monkeypatch.setattr(background, "TIME_LIMIT", TIME_LIMIT)
    hanging.release()
    [future] = own.start([workspace])
    assert future.result(timeout=30).workspace == "default"
    assert hanging.calls == {"default": 1}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_of_the_background_thread_is_over_with_the_next_click(
    client: Client, three_workspaces: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_now, "MAX_WAIT", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(background, "Client", None)
        press(client)
        join_threads()
    other = Client()
    other.force_login(make_user("another", "run-import", is_staff=True))
    press(other)
    join_threads()
    assert ImportOperation.objects.count() == 3


def test_alerts_are_delivered_in_the_background(
    client: Client,
    three_workspaces: Workspace,
    settings: Any,
    mailoutbox: list[EmailMessage],
) -> None:
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": CHANNEL}}
    press(client)
    three_workspaces.start_import("csv", seconds=600)
    WorkspaceRow.objects.update(last_polled_at=timezone.now() - MIN_INTERVAL)
    press(client)
    join_threads()
    assert mailoutbox
