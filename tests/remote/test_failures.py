"""Every failure is the right error, in time, with a helpful message and without the token."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from pytest_django import Settings

from importmonitor.choices import OK
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
    TOKEN_PART,
    TOO_MANY,
    Case,
    faked,
)
from tests.remote.failing_servers import ECHOED, REDIRECTING_BOMB, SERVED
from tests.remote.helpers import MARGIN, TOKEN, USER_ID
from tests.remote.servers import Server, silent

CASES = [pytest.param(case, id=case.name) for case in (*FAKED, *ECHOED, *SERVED)]


def assert_no_token(text: str) -> None:
    assert TOKEN_PART not in text


def assert_helpful(message: str, case: Case, url: str) -> None:
    assert message.startswith("default: ")
    assert f"GET {url}{PATH} " in message
    for words in case.words:
        assert words in message
    for words in case.forbidden:
        assert words not in message
    # One line, also on a terminal, and without NUL, which databases reject.
    assert message.isprintable()
    assert len(message) < 1_000


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("case", CASES)
def test_client_raises_helpful_error(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with case.serve() as url:
        workspace = WorkspaceConfig(
            "default", url, USER_ID, TOKEN, timeout=case.timeout, deadline=case.deadline
        )
        started_at = time.monotonic()
        with Client(workspace) as client, pytest.raises(RocketChatError) as caught:
            client.current_operation()
        elapsed = time.monotonic() - started_at
    error = caught.value
    assert type(error) is case.kind, error
    assert_helpful(str(error), case, url)
    assert elapsed < case.deadline + MARGIN
    # A chained exception would carry the frames of requests, and the headers in them.
    assert error.__context__ is None
    assert error.__cause__ is None
    for name, value in case.attributes.items():
        assert getattr(error, name) == value
    assert_no_token(repr(error) + repr(vars(error)))
    assert_no_token(repr(workspace))
    assert_no_token(caplog.text)


def stored_rows() -> list[Any]:
    return [
        list(ImportOperation.objects.order_by("pk").values()),
        list(StatusTransition.objects.order_by("pk").values()),
    ]


@pytest.mark.thorough(one_in=20)
@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES)
def test_command_reports_error_and_changes_no_operation(
    case: Case, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
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
    stored = stored_rows()
    assert all(stored)

    caplog.set_level("DEBUG")
    stdout, stderr = StringIO(), StringIO()
    with case.serve() as url:
        configure(url)
        with pytest.raises(SystemExit) as exit_:
            call_command("sync_import_status", stdout=stdout, stderr=stderr)
    assert exit_.value.code == 1
    kind = case.kind.__name__
    assert stdout.getvalue() == f"default: sync failed ({kind})\n"
    (line,) = stderr.getvalue().splitlines()
    assert line.startswith(f"{kind}: ")
    assert_helpful(line.removeprefix(f"{kind}: "), case, url)
    assert_no_token(line)
    assert_no_token(caplog.text)

    assert stored_rows() == stored
    good, bad = SyncPeriod.objects.order_by("pk")
    assert (good.outcome, good.polls) == (OK, 1)
    assert (bad.outcome, bad.polls) == (kind, 1)
    assert f"{kind}: {bad.message}" == line


def test_body_of_redirect_is_limited() -> None:
    """requests reads the whole body of a redirect, even if it does not follow redirects."""
    with Server(REDIRECTING_BOMB) as server:
        workspace = WorkspaceConfig("default", server.url, USER_ID, TOKEN, timeout=1, deadline=1)
        started_at = time.monotonic()
        with Client(workspace) as client, pytest.raises(RocketChatError) as caught:
            client.current_operation()
    assert time.monotonic() - started_at < workspace.deadline + MARGIN
    assert type(caught.value) in {NotRocketChat, BadAnswer}
    assert "302" in str(caught.value)


# When the next request to a rate-limited workspace is allowed.

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def reset_header(moment: datetime) -> dict[str, str]:
    return {"X-RateLimit-Reset": str(round(moment.timestamp() * 1000))}


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        pytest.param("", reset_header(NOW + timedelta(seconds=17.5)), 17.5, id="header"),
        pytest.param(TOO_MANY.format(42), {}, 42, id="text"),
        pytest.param(
            TOO_MANY.format(18),
            reset_header(NOW + timedelta(seconds=17.2)),
            17.2,
            id="header with its fractions",
        ),
        *(
            pytest.param(
                TOO_MANY.format(12),
                {
                    **reset_header(NOW + timedelta(seconds=ahead + 11.5)),
                    "Date": http_date(NOW + timedelta(seconds=date_ahead)),
                },
                seconds,
                id=f"a clock {ahead} s ahead, Date {date_ahead} s",
            )
            for ahead in (120, 300, 540, -120)
            # A proxy passes Rocket.Chat's Date or replaces it with its own.
            for date_ahead, seconds in ((ahead, 11.5), (0, 12))
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
        pytest.param("Slow down", {"Retry-After": " 90 "}, 90, id="a firewall"),
        pytest.param("Slow down", {"Retry-After": "3600"}, 3600, id="an hour of a firewall"),
        pytest.param(TOO_MANY.format(12), {"Retry-After": "90"}, 12, id="text before a firewall"),
        pytest.param("", {"Retry-After": "86401"}, 86_400, id="more than a day"),
        pytest.param("", {"Retry-After": "9" * 5_000}, 86_400, id="more than Python reads"),
        pytest.param("", {"Retry-After": "0" * 20 + "90"}, 90, id="leading zeros"),
        pytest.param(
            "",
            {"Retry-After": http_date(NOW + timedelta(hours=1))},
            3600,
            id="a date of a firewall",
        ),
        pytest.param(
            "",
            {
                "Retry-After": http_date(NOW + timedelta(hours=3)),
                "Date": http_date(NOW + timedelta(hours=2)),
            },
            3600,
            id="a date on its own clock",
        ),
        pytest.param(
            "", {"Retry-After": http_date(NOW - timedelta(hours=1))}, 60, id="a date in the past"
        ),
        pytest.param("", {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400, id="a far date"),
        pytest.param(
            "", {"Retry-After": f"Fri, 31 Dec 9999 23:59:59 +{'9' * 21}"}, 60, id="no date"
        ),
        *(
            pytest.param("", {"Retry-After": value}, 60, id=f"{value or 'nothing'} as a time")
            for value in ("", "NaN", "inf", "1e9", "0x10", "1.5", "soon")
        ),
        pytest.param("", {"Retry-After": "0"}, 60, id="no time"),
        pytest.param("", {"Retry-After": "-5"}, 60, id="a negative time"),
        pytest.param("", {"Retry-After": "\u0661\u0662"}, 60, id="no ASCII digits"),
    ],
)
def test_rate_limited_until(body: str, headers: dict[str, str], seconds: float) -> None:
    document = {"success": False, "error": body}
    with (
        mock.patch("importmonitor.rocketchat.client.datetime", mock.Mock(now=lambda _zone: NOW)),
        faked(document, 429, headers=headers)() as url,
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
        pytest.raises(RateLimited) as caught,
    ):
        client.current_operation()
    until = NOW + timedelta(seconds=seconds)
    assert caught.value.until == until
    assert f"allowed after {until:%H:%M:%S} UTC" in str(caught.value)


RATE_LIMIT = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "9"}


@pytest.mark.parametrize("reset", ["1767225600000", "9" * 15, "9" * 5_000, "-1", "NaN"])
@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 2026 00:00:00 +999999999999999999999",
        "Mon, 01 Jan 2026 00:00:00 +9999",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0100 00:00:00 +2359",
        "9" * 5_000,
    ],
)
def test_no_date_makes_a_good_response_fail(date: str, reset: str) -> None:
    headers = {"Date": date, "X-RateLimit-Reset": reset, **RATE_LIMIT}
    with (
        faked(GOOD, headers=headers)() as url,
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
    ):
        assert client.current_operation() is not None
        assert client.clock_offset is None
    with (
        faked({"success": False, "error": "no"}, 429, headers=headers)() as url,
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
        pytest.raises(RateLimited),
    ):
        client.current_operation()


# Exceptions that requests does not wrap in a RequestException.


@pytest.mark.parametrize("error", [TypeError, OverflowError, AttributeError, KeyError])
def test_errors_of_other_types_are_of_a_kind_too(error: type[Exception]) -> None:
    with (
        mock.patch("requests.adapters.HTTPAdapter.send", side_effect=error("odd")),
        Client(WorkspaceConfig("default", CHAT, USER_ID, TOKEN)) as client,
        pytest.raises(Unreachable, match="odd") as caught,
    ):
        client.current_operation()
    assert caught.value.__context__ is None


def test_time_limit_of_celery_passes() -> None:
    class SoftTimeLimitExceeded(Exception):
        """As Celery raises it, in whatever code runs at that moment."""

    with (
        mock.patch("requests.adapters.HTTPAdapter.send", side_effect=SoftTimeLimitExceeded),
        Client(WorkspaceConfig("default", CHAT, USER_ID, TOKEN)) as client,
        pytest.raises(SoftTimeLimitExceeded),
    ):
        client.current_operation()


@pytest.mark.parametrize(
    "url", [r"http://evil.example\.localhost", "http://chat.example.org:99999", "chat", ""]
)
def test_impossible_url_is_an_error(url: str) -> None:
    with (
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
        pytest.raises(Unreachable, match="the URL cannot be used"),
    ):
        client.current_operation()


@pytest.mark.parametrize("host", ["chat..example.org", "a" * 64 + ".example.org"])
def test_impossible_host_is_an_error(host: str) -> None:
    url = f"https://{host}"
    with (
        Client(WorkspaceConfig("default", url, USER_ID, TOKEN)) as client,
        pytest.raises(RocketChatError) as caught,
    ):
        client.current_operation()
    assert f"default: GET {url}{PATH} " in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("variable", [None, "REQUESTS_CA_BUNDLE"])
def test_missing_ca_bundle_is_named(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "missing.pem")
    if variable:
        monkeypatch.setenv(variable, missing)
    bundle = None if variable else missing
    with (
        Client(WorkspaceConfig("default", CHAT, USER_ID, TOKEN, ca_bundle=bundle)) as client,
        pytest.raises(RocketChatError) as caught,
    ):
        client.current_operation()
    assert missing in str(caught.value)
    assert caught.value.__context__ is None


def test_invalid_ca_bundle_is_an_error(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("not a certificate")
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
    """Yield the port of a server whose queue is full, so that connecting to it never succeeds."""
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
def test_deadline_holds_with_many_addresses() -> None:
    with full_server() as port:
        address = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))
        workspace = WorkspaceConfig(
            "default", "http://many.invalid", USER_ID, TOKEN, timeout=0.3, deadline=0.4
        )
        started_at = time.monotonic()
        with (
            mock.patch.object(socket, "getaddrinfo", return_value=[address] * 60),
            Client(workspace) as client,
            pytest.raises(Unreachable),
        ):
            client.current_operation()
    assert time.monotonic() - started_at < workspace.deadline + MARGIN
