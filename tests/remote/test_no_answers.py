"""Every answer that is no answer: told apart, in time, in words that help, without the token."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from pytest_django import Settings

from importmonitor.models import ImportOperation, StatusTransition, SyncPeriod
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    RateLimited,
    RocketChatError,
    Unreachable,
)
from importmonitor.sync.poll import sync_workspace
from tests.remote.failing_responses import (
    CHAT,
    FAKED,
    GOOD,
    PATH,
    TOKEN,
    TOKEN_PART,
    TOO_MANY,
    USER_ID,
    Case,
    faked,
)
from tests.remote.failing_servers import BOMB, ECHOED, MUCH, REDIRECTING_BOMB, SERVED
from tests.remote.servers import (
    MIB,
    Server,
    silent,
)

CASES = [pytest.param(case, id=case.name) for case in (*FAKED, *ECHOED, *SERVED)]


def assert_no_token(text: str) -> None:
    assert TOKEN_PART not in text


def assert_worth_reading(message: str, case: Case, url: str) -> None:
    assert message.startswith("default: ")
    assert f"GET {url}{PATH} " in message
    for words in case.told:
        assert words in message
    for words in case.not_told:
        assert words not in message
    # One line of text, also for a terminal, and for a database that takes no NUL.
    assert message.isprintable()
    assert len(message) < 1_000


@pytest.mark.parametrize("case", CASES)
def test_client(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with case.place() as url:
        workspace = WorkspaceConfig(
            "default", url, USER_ID, TOKEN, timeout=case.timeout, deadline=case.deadline
        )
        began = time.monotonic()
        with Client(workspace) as client, pytest.raises(RocketChatError) as caught:
            client.current_operation()
        took = time.monotonic() - began
    error = caught.value
    assert type(error) is case.kind, error
    assert_worth_reading(str(error), case, url)
    assert took < case.deadline + 1
    # A chained exception would bring the frames of requests along, and the headers in them.
    assert error.__context__ is None
    assert error.__cause__ is None
    for name, value in case.attributes.items():
        assert getattr(error, name) == value
    assert_no_token(repr(error) + repr(vars(error)))
    assert_no_token(repr(workspace))
    assert_no_token(caplog.text)


def rows() -> list[Any]:
    return [
        list(ImportOperation.objects.order_by("pk").values()),
        list(StatusTransition.objects.order_by("pk").values()),
    ]


@pytest.mark.thorough(one_in=8)
@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES)
def test_command(case: Case, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    def configure(url: str) -> None:
        options = {
            "URL": url,
            "USER_ID": USER_ID,
            "AUTH_TOKEN": TOKEN,
            "TIMEOUT": case.timeout,
            "DEADLINE": case.deadline,
            "ALLOW_HTTP": True,
        }
        settings.IMPORTMONITOR = {"WORKSPACES": {"default": options}}

    configure(CHAT)
    with faked(GOOD)():
        assert sync_workspace("default").ok
    stored = rows()
    assert all(stored)

    caplog.set_level("DEBUG")
    stdout, stderr = StringIO(), StringIO()
    with case.place() as url:
        configure(url)
        with pytest.raises(SystemExit) as exit_:
            call_command("sync_import_status", stdout=stdout, stderr=stderr)
    assert exit_.value.code == 1
    kind = case.kind.__name__
    assert stdout.getvalue() == f"default: sync failed ({kind})\n"
    (line,) = stderr.getvalue().splitlines()
    assert line.startswith(f"{kind}: ")
    assert_worth_reading(line.removeprefix(f"{kind}: "), case, url)
    assert_no_token(line)
    assert_no_token(caplog.text)

    assert rows() == stored
    good, bad = SyncPeriod.objects.order_by("pk")
    assert (good.outcome, good.polls) == (SyncPeriod.OK, 1)
    assert (bad.outcome, bad.polls) == (kind, 1)
    assert f"{kind}: {bad.message}" == line


def test_a_redirect_with_a_gzip_bomb() -> None:
    """requests reads the body of a redirect by itself, whether it is to be followed or not."""
    with Server(REDIRECTING_BOMB) as server:
        workspace = WorkspaceConfig("default", server.url, USER_ID, TOKEN, timeout=1, deadline=1)
        began = time.monotonic()
        with Client(workspace) as client, pytest.raises(RocketChatError) as caught:
            client.current_operation()
    assert time.monotonic() - began < workspace.deadline + 1
    assert type(caught.value) in {NotRocketChat, BadAnswer}
    assert "302" in str(caught.value)


# When a workspace that limits calls may be asked again.

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def reset_header(moment: datetime) -> dict[str, str]:
    return {"X-RateLimit-Reset": str(round(moment.timestamp() * 1000))}


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        pytest.param("", reset_header(NOW + timedelta(seconds=17.5)), 17.5, id="header"),
        pytest.param(TOO_MANY.format(42), {}, 42, id="text"),
        pytest.param(
            TOO_MANY.format(42), reset_header(NOW + timedelta(seconds=17)), 17, id="header first"
        ),
        pytest.param("Slow down", {}, 60, id="neither"),
        pytest.param("", reset_header(NOW - timedelta(hours=1)), 60, id="a clock behind"),
        pytest.param("", reset_header(NOW + timedelta(hours=1)), 60, id="a clock ahead"),
        pytest.param(
            TOO_MANY.format(9), reset_header(NOW - timedelta(1)), 9, id="a clock behind, text"
        ),
        pytest.param("", {"X-RateLimit-Reset": "soon"}, 60, id="no number"),
        pytest.param("", {"X-RateLimit-Reset": "9" * 400}, 60, id="a long number"),
        pytest.param(TOO_MANY.format(999_999), {}, 600, id="too long to wait"),
    ],
)
def test_rate_limit_ends(body: str, headers: dict[str, str], seconds: float) -> None:
    answer = {"success": False, "error": body}
    with (
        mock.patch("importmonitor.rocketchat.client.datetime", mock.Mock(now=lambda _zone: NOW)),
        faked(answer, 429, headers=headers)() as url,
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
        pytest.raises(RateLimited) as caught,
    ):
        client.current_operation()
    until = NOW + timedelta(seconds=seconds)
    assert caught.value.until == until
    assert f"asked again after {until:%H:%M:%S} UTC" in str(caught.value)


# What requests raises without calling it a RequestException.


@pytest.mark.parametrize("host", ["chat..example.org", "a" * 64 + ".example.org"])
def test_a_host_that_cannot_be(host: str) -> None:
    url = f"https://{host}"
    with (
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
        pytest.raises(RocketChatError) as caught,
    ):
        client.current_operation()
    assert f"default: GET {url}{PATH} " in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("variable", [None, "REQUESTS_CA_BUNDLE"])
def test_a_ca_bundle_that_is_gone(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "gone.pem")
    if variable:
        monkeypatch.setenv(variable, gone)
    bundle = None if variable else gone
    with (
        Client(WorkspaceConfig("default", CHAT, USER_ID, TOKEN, ca_bundle=bundle)) as client,
        pytest.raises(RocketChatError) as caught,
    ):
        client.current_operation()
    assert gone in str(caught.value)
    assert caught.value.__context__ is None


def test_a_ca_bundle_that_is_none(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates, one hopes")
    with (
        Server(silent, scheme="https") as server,
        Client(
            WorkspaceConfig("default", server.url, USER_ID, TOKEN, ca_bundle=str(bundle))
        ) as client,
        pytest.raises(Unreachable, match="CA_BUNDLE"),
    ):
        client.current_operation()


@contextmanager
def full_server() -> Iterator[int]:
    """Give the port of a server whose queue is full, so that connecting to it takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for sock in waiting:
                sock.close()


@pytest.mark.skipif(sys.platform != "linux", reason="fills a queue as Linux counts it")
def test_a_host_of_many_addresses_keeps_the_deadline() -> None:
    with full_server() as port:
        address = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))
        workspace = WorkspaceConfig(
            "default", "http://many.invalid", USER_ID, TOKEN, timeout=0.3, deadline=0.4
        )
        began = time.monotonic()
        with (
            mock.patch.object(socket, "getaddrinfo", return_value=[address] * 6),
            Client(workspace) as client,
            pytest.raises(Unreachable),
        ):
            client.current_operation()
    assert time.monotonic() - began < workspace.deadline + 1


# A whole process: how much memory it takes, and that a stranger's server leaves no traceback.

ROOT = Path(__file__).resolve().parents[2]
#: Runs manage.py and tells the most memory that it had. getrusage would not do: a process
#: inherits the figure from the one that started it, which here is a whole test run.
MEASURED = """
import atexit, runpy, sys
def tell():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            sys.stderr.write(line)
atexit.register(tell)
runpy.run_path("manage.py", run_name="__main__")
"""


def manage(
    database: Path, *arguments: str, urls: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py with one workspace for each of the URLs."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")
    }
    environment |= {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only for tests",
        "DEBUG": "on",
        "DATABASE_URL": f"sqlite:///{database}",
        "LOG_LEVEL": "DEBUG",
        "ROCKETCHAT_WORKSPACES": ",".join(urls),
    }
    # The suite's own settings name a workspace there, which these processes inherit.
    for key in ("URL", "USER_ID", "AUTH_TOKEN"):
        environment.pop(f"ROCKETCHAT_{key}", None)
    for alias, url in urls.items():
        options = {"URL": url, "USER_ID": USER_ID, "AUTH_TOKEN": TOKEN}
        options |= {"TIMEOUT": "5", "DEADLINE": "5"}
        environment |= {f"ROCKETCHAT_{alias.upper()}_{key}": options[key] for key in options}
    return subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_of_a_process(tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    done = manage(database, "migrate", "--verbosity", "0", urls={"chat": CHAT})
    assert done.returncode == 0, done.stderr
    with Server(MUCH) as much, Server(BOMB) as bomb, Server(REDIRECTING_BOMB) as redirecting:
        urls = {"much": much.url, "bomb": bomb.url, "redirecting": redirecting.url}
        done = manage(database, "sync_import_status", urls=urls)
    assert done.returncode == 1, done.stderr
    told = [line.partition(": ") for line in done.stdout.splitlines()]
    assert sorted(alias for alias, _, _ in told) == sorted(urls)
    assert all(text.startswith("sync failed (") for _, _, text in told)
    assert "Traceback" not in done.stderr
    assert_no_token(done.stderr)
    (most,) = [line for line in done.stderr.splitlines() if line.startswith("VmHWM")]
    assert int(most.split()[1]) * 1024 < 200 * MIB
