"""Channels that never end, redirect, refuse some recipients, or would read text as markup."""

from collections.abc import Callable
from typing import Any

import pytest

from importmonitor.alerts import outbox
from importmonitor.alerts.plain_text import defuse
from simulator.clock import Clock
from tests.alerts.helpers import configure_channels, deliver, get_alert, write_alerts
from tests.alerts.helpers import sync_documents as sync
from tests.alerts.loopback_servers import HttpSink, SmtpSink, configure_mail, listening
from tests.api import helpers
from tests.api.helpers import NOON
from tests.remote.servers import Connection, Server

pytestmark = pytest.mark.django_db

RUNNING = {**helpers.RUNNING, "ts": NOON.isoformat()}
APPRISE = "importmonitor.alerts.channels.AppriseChannel"
EMAIL = "importmonitor.alerts.channels.EmailChannel"
MINUTE = 60.0

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


def repeat(start: bytes, line: bytes, pause: float = 0.0) -> Callable[[Connection], None]:
    """Return a server that sends a line again and again until the client hangs up."""

    def serve(connection: Connection) -> None:
        if start.startswith(b"HTTP"):
            connection.read_head()
        connection.send(start)
        while connection.pause(pause):
            connection.send(line)

    return serve


def answer(head: str) -> Callable[[Connection], None]:
    """Return a server that answers each request with a head, and hangs up."""

    def serve(connection: Connection) -> None:
        with connection.sock.makefile("rb") as stream:
            size = 0
            while line := stream.readline().strip():
                name, _, value = line.decode().lower().partition(":")
                size = int(value) if name == "content-length" else size
            stream.read(size)
        connection.send(head.encode())

    return serve


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "DELIVERY_DEADLINE", 0.3)


@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.usefixtures("short_deadline")
def test_dripping_webhook_is_given_up_at_the_deadline(
    clock: Clock, settings: Any, method: str
) -> None:
    with Server(repeat(HEAD, b"1\r\nx\r\n", pause=0.02)) as server:
        url = f"json://127.0.0.1:{server.port}/?method={method}"
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        write_alerts(clock, "first")
        assert deliver(clock) == 0
    assert get_alert().last_error == "It was not delivered within 0.3 s."
    assert get_alert().next_attempt_at is not None


def test_webhook_whose_response_has_no_end_is_given_up(clock: Clock, settings: Any) -> None:
    with Server(repeat(HEAD, CHUNK)) as server:
        url = f"json://127.0.0.1:{server.port}/"
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        write_alerts(clock, "first")
        assert deliver(clock) == 0
    assert get_alert().last_error == "json: the response has no end."


@pytest.mark.parametrize(
    ("start", "line"), [(b"", b"220-wait\r\n"), (b"220 yes\r\n", b"250-x\r\n")]
)
def test_mail_server_whose_reply_has_no_end_is_given_up(
    clock: Clock, settings: Any, start: bytes, line: bytes
) -> None:
    configure_channels(settings, {"ops": {"BACKEND": EMAIL, "TO": ["a@example.org"]}})
    with Server(repeat(start, line * 100)) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        assert deliver(clock) == 0
    assert get_alert().last_error.startswith("The mail server")


@pytest.mark.usefixtures("short_deadline")
def test_dripping_mail_server_is_given_up_at_the_deadline(clock: Clock, settings: Any) -> None:
    configure_channels(settings, {"ops": {"BACKEND": EMAIL, "TO": ["a@example.org"]}})
    with Server(repeat(b"220 yes\r\n", b"250-x\r\n", pause=0.02)) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        assert deliver(clock) == 0
    assert get_alert().last_error == "It was not delivered within 0.3 s."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirected_message_is_not_delivered(clock: Clock, settings: Any, status: int) -> None:
    target = HttpSink()
    with listening(target) as elsewhere:
        head = (
            f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\n"
            f"Location: http://me:hush@127.0.0.1:{elsewhere.port}/hush?token=hush\r\n\r\n"
        )
        with Server(answer(head)) as server:
            url = f"json://127.0.0.1:{server.port}/hook"
            configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
            write_alerts(clock, "first")
            assert deliver(clock) == 0
    assert target.requests == []
    error = get_alert().last_error
    assert f"redirected by HTTP status {status}" in error
    assert f"http://127.0.0.1:{elsewhere.port}/" in error
    assert "hush" not in error


def test_others_use_of_apprise_follows_redirects(clock: Clock, settings: Any) -> None:
    import apprise

    target = HttpSink()
    with listening(target) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/"
        head = f"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
        with Server(answer(head)) as server:
            url = f"json://127.0.0.1:{server.port}/"
            configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
            write_alerts(clock, "first")
            deliver(clock)
            assert target.requests == []
            service: Any = apprise.Apprise.instantiate(url)
            assert service.notify(title="title", body="body")
    assert len(target.requests) == 1


@pytest.mark.parametrize(
    ("reply", "attempts", "error"),
    [
        ("550 no such mailbox", 1, "The mail server refused boss@example.org (550)."),
        ("451 greylisted", 2, ""),
    ],
)
def test_refused_recipient_is_known(
    clock: Clock, settings: Any, reply: str, attempts: int, error: str
) -> None:
    to = ["ops@example.org", "Boss <boss@example.org>"]
    configure_channels(settings, {"ops": {"BACKEND": EMAIL, "TO": to}})
    sink = SmtpSink([("RCPT boss", reply)])
    with listening(sink) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        deliver(clock)
        alert = get_alert()
        assert reply[:3] in alert.last_error
        assert alert.delivered_to == ["ops@example.org"]
        deliver(clock, after=2 * MINUTE)
        deliver(clock, after=86_400)
    alert.refresh_from_db()
    assert alert.delivered_at is not None
    assert alert.attempts == attempts
    assert error.replace("boss@", "Boss <boss@").replace("org (", "org> (") in alert.last_error
    recipients = [mail.recipients for mail in sink.mails]
    assert recipients == [["ops@example.org"], ["boss@example.org"]][:attempts]
    assert {mail.message["To"] for mail in sink.mails} == {
        "ops@example.org, Boss <boss@example.org>"
    }


HOSTILE = (
    "@all @here @everyone <!channel> <@U1> [click](http://evil.example) ![x](http://e.example)"
)


@pytest.mark.parametrize(
    ("scheme", "path"),
    [
        ("mmost", "3ccdd113474722377935511fc85d3dd4"),
        ("ntfy", "topic"),
        ("gotify", "3ccdd113474722377935511fc85d3dd4"),
    ],
)
def test_remote_text_is_text_in_chat_services(settings: Any, scheme: str, path: str) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        url = f"{scheme}://127.0.0.1:{server.port}/{path}"
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        sync(NOON, None, RUNNING | {"file": HOSTILE})
    assert sink.requests
    body = sink.requests[0].body.decode("unicode_escape")
    for live in (
        "@all",
        "@here",
        "@everyone",
        "<!",
        "<@",
        "](http",
        "](",
        "://evil",
        "evil.example",
    ):
        assert live not in body


def test_text_without_markup_stays_as_it_is() -> None:
    text = "Progress: 1,234 of 5,000 (24 %)\nhttps://imports.example.org/admin/"
    assert defuse(text, ["https://imports.example.org/admin/"]) == text


def test_links_after_a_label_stay_and_what_is_before_them_does_not() -> None:
    link = "https://imports.example.org/admin/"
    assert (
        defuse(f"Server log: {link}", ["https://logs.example.org", link]) == f"Server log: {link}"
    )
    text = defuse(f"File: @all evil.example {link}", [link])
    assert text.endswith(f" {link}")
    assert "@all" not in text
    assert "evil.example" not in text
