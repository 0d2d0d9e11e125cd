"""The pings of a dead-man's switch, at servers on loopback."""

import inspect
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django
import pytest
from django.core.management import call_command
from django.utils import timezone

from importmonitor import conf
from importmonitor.contrib.celery import tasks
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.exceptions import Unauthenticated, Unreachable
from importmonitor.sync import heartbeat
from importmonitor.sync.heartbeat import Heartbeat, report_stored
from importmonitor.sync.poll import SyncResult
from importmonitor.sync.register import register_configured
from simulator.limiter import Limiter
from simulator.workspace import Workspace
from tests.alerts.loopback_servers import HANG, HttpSink, listening
from tests.api.helpers import workspace_at
from tests.conftest import MONDAY, join_threads
from tests.remote.servers import Behaviour, Server, answering, dripping, echoing, http, silent

pytestmark = pytest.mark.django_db

SECRET = "0b7c5d6e-hush"


@pytest.fixture(autouse=True)
def _no_earlier_failures(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(heartbeat, "_failing", set())
    caplog.set_level("WARNING", logger="importmonitor")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that any logger logs, at the lowest level."""
    for name in ("", "importmonitor", "urllib", "http.client", "asyncio"):
        caplog.set_level(1, logger=name)

    def text() -> str:
        lines = [logging.Formatter().format(record) for record in caplog.records]
        return "\n".join([*lines, *(repr(vars(record)) for record in caplog.records)])

    return text


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == heartbeat.__name__]


def use(settings: Any, url: str) -> None:
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "HEARTBEAT_URL": url}


def ping(settings: Any, url: str, *failures: str) -> None:
    """Report a round, and wait for its ping as a command does."""
    use(settings, url)
    pings = Heartbeat()
    pings.report(failures)
    pings.finish()


def sync(*arguments: str) -> int:
    try:
        call_command("sync_import_status", *arguments, verbosity=0)
    except SystemExit as error:
        return int(str(error.code))
    return 0


def pings_of(sink: HttpSink) -> list[tuple[str, str]]:
    """Return the method and path, and the body, of each ping."""
    return [
        (request.line.removesuffix(" HTTP/1.1"), request.body.decode()) for request in sink.requests
    ]


def test_good_round_pings_its_start_and_its_end(rocketchat: Workspace, settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, f"{server.url}/{SECRET}/")
        assert sync() == 0
    assert pings_of(sink) == [(f"GET /{SECRET}/start", ""), (f"GET /{SECRET}", "")]


def test_failed_round_names_the_workspaces(
    rocketchat: Workspace, settings: Any, shared_database: None
) -> None:
    good = dict(settings.IMPORTMONITOR["WORKSPACES"]["default"])
    bad = workspace_at("http://127.0.0.1:9") | {"DEADLINE": 1}
    settings.IMPORTMONITOR = {"WORKSPACES": {"good": good, "bad": bad}}
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, f"{server.url}/{SECRET}?rid=1")
        assert sync() == 1
    assert pings_of(sink) == [
        (f"GET /{SECRET}/start?rid=1", ""),
        (f"POST /{SECRET}/fail?rid=1", "Could not be polled: bad (Unreachable)"),
    ]


def test_body_has_an_end(settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        ping(settings, server.url, *(f"w{number}" for number in range(25)))
    ((_line, body),) = pings_of(sink)
    assert body.endswith("w18, w19 and 5 more")


def test_leased_workspace_does_not_fail_the_round(rocketchat: Workspace, settings: Any) -> None:
    expires_at = timezone.now() + timedelta(minutes=1)
    WorkspaceRow.objects.create(alias="default", holder="another", expires_at=expires_at)
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, server.url)
        assert sync() == 0
    assert pings_of(sink)[-1] == ("GET /", "")


def test_wait_for_the_rate_limit_does_not_fail_the_round(
    rocketchat: Workspace, settings: Any
) -> None:
    rocketchat.limiter = Limiter(0, rocketchat.clock)
    assert sync() == 1
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, f"{server.url}/{SECRET}")
        assert sync() == 0
    assert pings_of(sink)[-1] == (f"GET /{SECRET}", "")


def test_dry_run_pings_nothing(rocketchat: Workspace, settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, server.url)
        assert sync("--dry-run") == 0
    assert sink.requests == []


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (answering(http("", 500)), "HTTP status 500"),
        (answering(http("", 404)), "HTTP status 404"),
        (
            answering(http("", 302, headers={"Location": f"http://127.0.0.1:9/{SECRET}"})),
            "HTTP status 302, and redirects are not followed",
        ),
        (answering(b"SSH-2.0-OpenSSH\r\n"), "BadStatusLine"),
        (echoing(lambda _head: b""), "RemoteDisconnected"),
        (silent, "no response within 0.2 s"),
        (dripping(b"HTTP/1.1 200 OK\r\n", b"X"), "no response within 0.2 s"),
        (dripping(b"", b"H"), "no response within 0.2 s"),
    ],
)
def test_failed_ping_is_logged_once_without_the_address(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    log: Callable[[], str],
    behaviour: Behaviour,
    problem: str,
) -> None:
    if problem.startswith("no response"):
        # The others are not to meet it, however busy the machine is.
        monkeypatch.setattr(heartbeat, "DEADLINE", 0.2)
    with Server(behaviour) as server:
        for _ in range(2):
            ping(settings, f"{server.url}/{SECRET}")
    assert warnings(caplog) == [f"The heartbeat could not be sent to HEARTBEAT_URL: {problem}."]
    assert SECRET not in log()
    assert "127.0.0.1" not in log()


def test_failure_after_a_success_is_logged_again(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sink = HttpSink([500, 500])
    with listening(sink) as server:
        for _ in range(3):
            ping(settings, server.url)
        assert len(warnings(caplog)) == 1
        sink.refusals = [503]
        ping(settings, server.url)
    assert warnings(caplog)[1:] == [
        "The heartbeat could not be sent to HEARTBEAT_URL: HTTP status 503."
    ]


def test_refused_connection_and_unknown_host_are_logged(
    settings: Any, caplog: pytest.LogCaptureFixture, log: Callable[[], str]
) -> None:
    with listening(HttpSink(), refusing=True) as server:
        ping(settings, f"{server.url}/{SECRET}")
    ping(settings, f"https://{SECRET}.invalid/{SECRET}")
    assert [message.rpartition(": ")[2] for message in warnings(caplog)] == [
        "ConnectionRefusedError.",
        "gaierror.",
    ]
    assert SECRET not in log()


def test_failed_pings_do_not_fail_the_command(
    rocketchat: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "START_DEADLINE", 1.0)
    monkeypatch.setattr(heartbeat, "DEADLINE", 1.0)
    rocketchat.start_import("csv")
    sink = HttpSink([HANG, HANG])
    with listening(sink) as server:
        use(settings, server.url)
        assert sync() == 0
    assert WorkspaceRow.objects.get().sync_status == "ok"
    assert len(sink.requests) == 2


def test_name_that_does_not_resolve_in_time_is_not_waited_for(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python cannot interrupt a resolver."""
    monkeypatch.setattr(heartbeat, "START_DEADLINE", 0.1)
    monkeypatch.setattr(heartbeat, "DEADLINE", 0.1)
    released = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_options: released.wait(30))
    ping(settings, f"https://example.org/{SECRET}")
    assert not released.is_set()
    released.set()
    # The deadline of the ping, or that of all of them, whichever thread is faster.
    (warning,) = warnings(caplog)
    assert warning.startswith("The heartbeat could not be sent to HEARTBEAT_URL: ")
    join_threads()


def test_proxy_of_the_environment_is_not_used_for_loopback(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, sink = HttpSink(), HttpSink()
    with listening(proxy) as proxy_server, listening(sink) as server:
        monkeypatch.setenv("http_proxy", proxy_server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        ping(settings, f"{server.url}/{SECRET}")
        assert (len(sink.requests), len(proxy.requests)) == (1, 0)
        ping(settings, f"http://hc.example.org/{SECRET}")
        assert [request.line for request in proxy.requests] == [
            f"GET http://hc.example.org/{SECRET} HTTP/1.1"
        ]


def test_no_local_variable_shows_the_address(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def request(*_args: Any) -> int:
        frame = inspect.currentframe()
        while frame := frame and frame.f_back:
            shown.append(repr(frame.f_locals))
        return 200

    monkeypatch.setattr(heartbeat, "_request", request)
    ping(settings, f"https://example.org/{SECRET}", "default")
    assert any("seconds" in text for text in shown)
    assert SECRET not in "".join(shown)
    assert SECRET not in repr(conf.get_options())


class Clock:
    """A clock that only the test moves."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The failures of each round that is reported, without sending anything."""
    reports: list[list[str]] = []
    monkeypatch.setattr(Heartbeat, "report", lambda _self, failures: reports.append(failures))
    return reports


def note(pings: Heartbeat, alias: str, error: Any = None, skipped: str | None = None) -> None:
    pings.note(alias, SyncResult(alias, MONDAY, error=error, skipped=skipped), 2)


def test_watch_pings_when_all_workspaces_were_polled(reports: list[list[str]]) -> None:
    clock = Clock()
    pings = Heartbeat(clock)
    note(pings, "a")
    assert reports == []
    note(pings, "b", skipped="leased")
    assert reports == [[]]


def test_watch_pings_at_most_once_a_minute(reports: list[list[str]]) -> None:
    clock = Clock()
    pings = Heartbeat(clock)
    for seconds in range(0, 200, 5):
        clock.seconds = 1000.0 + seconds
        for alias in "ab":
            note(pings, alias)
    assert len(reports) == 4


def test_round_ends_although_another_process_polls_the_rest(reports: list[list[str]]) -> None:
    clock = Clock()
    pings = Heartbeat(clock)
    for seconds in range(0, 900, 50):
        clock.seconds = 1000.0 + seconds
        note(pings, "a")
    assert reports == [[]]


def test_last_poll_of_a_workspace_decides(reports: list[list[str]]) -> None:
    clock = Clock()
    pings = Heartbeat(clock)
    note(pings, "a", Unreachable("down"))
    note(pings, "b", Unauthenticated("401"))
    clock.seconds += 61
    note(pings, "a", Unreachable("down"))
    note(pings, "a")
    pings.note("b", None, 2)
    assert reports == [["a (Unreachable)", "b (Unauthenticated)"], ["b"]]


def test_watch_sends_pings(rocketchat: Workspace, settings: Any, shared_database: None) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, f"{server.url}/{SECRET}")
        assert sync("--watch", "--until-finished") == 0
    assert pings_of(sink) == [(f"GET /{SECRET}/start", ""), (f"GET /{SECRET}", "")]


@pytest.fixture
def two_workspaces(settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {alias: workspace_at(f"https://{alias}.example.org") for alias in "ab"},
        "HEARTBEAT_URL": "https://hc.example.org/hush",
    }


def poll_row(alias: str, status: str = "ok", minutes: float = 1.0, **values: Any) -> None:
    at = timezone.now() - timedelta(minutes=minutes)
    row = {"sync_status": status, "last_polled_at": at, **values}
    WorkspaceRow.objects.update_or_create(alias=alias, defaults=row)


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({}, []),
        ({"status": "empty"}, []),
        ({"status": "Unreachable"}, ["b"]),
        # Its worker no longer polls it.
        ({"minutes": 3}, ["b"]),
        ({"status": "RateLimited", "not_before": timezone.now() + timedelta(hours=1)}, []),
    ],
)
def test_round_of_tasks_is_judged_by_what_is_stored(
    two_workspaces: None, reports: list[list[str]], values: dict[str, Any], failures: list[str]
) -> None:
    every = timedelta(minutes=1)
    register_configured()
    report_stored(every)
    assert reports == []
    poll_row("a")
    report_stored(every)
    poll_row("b", **values)
    poll_row("removed", "Unreachable", is_configured=False)
    report_stored(every)
    assert reports == [["b"], failures]


def test_round_of_celery_reports_the_round_before(
    rocketchat: Workspace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.sync_workspace, "apply_async", lambda *_args, **_options: None)
    sink = HttpSink()
    with listening(sink) as server:
        use(settings, f"{server.url}/{SECRET}")
        tasks.sync_workspaces.apply()
        assert sink.requests == []
        tasks.sync_workspace.apply(args=("default",))
        tasks.sync_workspaces.apply()
    assert pings_of(sink) == [(f"GET /{SECRET}", "")]


@pytest.mark.skipif(django.VERSION < (6, 0), reason="new in Django 6.0")
def test_round_of_django_tasks_reports_the_round_before(
    rocketchat: Workspace, settings: Any
) -> None:
    from importmonitor.contrib.tasks import sync_workspaces

    sink = HttpSink()
    with listening(sink) as server:
        use(settings, f"{server.url}/{SECRET}")
        sync_workspaces.enqueue()
        assert sink.requests == []
        rocketchat.outage = 502
        sync_workspaces.enqueue()
        sync_workspaces.enqueue()
    assert pings_of(sink) == [
        (f"GET /{SECRET}", ""),
        (f"POST /{SECRET}/fail", "Could not be polled: default"),
    ]


def test_round_of_tasks_without_a_heartbeat_queries_nothing(
    settings: Any, django_assert_num_queries: Any
) -> None:
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    with django_assert_num_queries(0):
        report_stored()
