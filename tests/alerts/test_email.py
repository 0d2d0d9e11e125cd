"""E-mail, to a server on loopback that accepts or refuses it."""

import smtplib
import socket
import time
from typing import Any

import pytest
from django.core.mail.utils import DNS_NAME

from simulator.clock import Clock
from tests.alerts.helpers import BASE_URL, configure_channels, deliver, get_alert, write_alerts
from tests.alerts.helpers import sync_documents as sync
from tests.alerts.loopback_servers import HANG, HANG_UP, SmtpSink, configure_mail, listening
from tests.api import helpers
from tests.api.helpers import NOON

pytestmark = pytest.mark.django_db

RUNNING = {**helpers.RUNNING, "ts": NOON.isoformat()}

EMAIL = {
    "BACKEND": "importmonitor.alerts.channels.EmailChannel",
    "TO": ["ops@example.org", "boss@example.org"],
}
MINUTE = 60.0


@pytest.fixture(autouse=True)
def _channel(settings: Any) -> None:
    configure_channels(settings, {"ops": EMAIL}, BASE_URL=BASE_URL)
    settings.DEFAULT_FROM_EMAIL = "monitor@example.org"


def test_email_has_recipients_headers_and_text(clock: Clock, settings: Any) -> None:
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        assert deliver(clock) == 1
        assert deliver(clock, after=86_400) == 0
    (mail,) = sink.mails
    assert mail.recipients == EMAIL["TO"]
    message = mail.message
    assert message["Subject"] == "[importmonitor] default: Workspace unreachable"
    assert message["From"] == "monitor@example.org"
    assert message["To"] == "ops@example.org, boss@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Importmonitor-Event"] == "workspace.unreachable"
    assert message["Message-ID"].strip().startswith("<importmonitor.")
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert "Workspace unreachable" in mail.html
    assert list(filter(None, mail.text.splitlines())) == [
        "Since: 2026-01-05 09:00:00 UTC",
        "no answer",
        "An import may still be running there; its progress cannot be seen until the workspace "
        "is reachable again.",
        f"{BASE_URL}/admin/importmonitor/workspace/",
    ]


def test_from_option_is_the_sender(clock: Clock, settings: Any) -> None:
    sink = SmtpSink()
    configure_channels(settings, {"ops": EMAIL | {"FROM": "Import monitor <im@example.org>"}})
    with listening(sink) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        deliver(clock)
    assert sink.mails[0].message["From"] == "Import monitor <im@example.org>"


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        ("", "421 too busy", "421"),
        ("", HANG_UP, "The mail server"),
        ("MAIL", "451 greylisted", "451"),
        ("RCPT", "550 no such mailbox", "The mail server"),
        ("DATA", "452 no room", "452"),
        (".", "554 looks like spam", "554"),
        (".", HANG_UP, "The mail server"),
    ],
)
def test_refused_email_is_retried_and_arrives_once(
    clock: Clock, settings: Any, command: str, reply: str, error: str
) -> None:
    # Both recipients are refused: an e-mail that one of them gets counts as delivered.
    sink = SmtpSink([(command, reply)] * (2 if command == "RCPT" else 1))
    with listening(sink) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        assert deliver(clock) == 0
        assert error in get_alert().last_error
        assert sink.mails == []
        assert deliver(clock, after=2 * MINUTE) == 1
        assert deliver(clock, after=86_400) == 0
    assert len(sink.mails) == 1
    assert (get_alert().attempts, get_alert().last_error) == (2, "")
    assert len({mail.message["Message-ID"] for mail in sink.offered}) == 1


def test_connection_is_closed_after_refused_login(clock: Clock, settings: Any) -> None:
    sink = SmtpSink([("AUTH", "535 wrong")])
    with listening(sink) as server:
        configure_mail(settings, server.port, user="monitor", password="wrong")
        write_alerts(clock, "first")
        assert deliver(clock) == 0
        server.wait_until_hung_up()
    assert sink.commands[-1].upper() == "QUIT"


def test_refused_connection_is_a_failed_attempt(clock: Clock, settings: Any) -> None:
    sink = SmtpSink()
    with listening(sink, refusing=True) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first")
        assert deliver(clock) == 0
        assert get_alert().last_error == "The mail server could not be reached: Connection refused."
        server.listen()
        assert deliver(clock, after=2 * MINUTE) == 1
    assert len(sink.mails) == 1


def test_unresolvable_mail_server_is_a_failed_attempt(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    configure_mail(settings, 25)
    monkeypatch.setattr(smtplib.SMTP, "_get_socket", unknown)
    write_alerts(clock, "first")
    assert deliver(clock) == 0
    assert "Name or service not known" in get_alert().last_error


@pytest.mark.parametrize("command", ["", "."])
def test_hanging_mail_server_times_out(clock: Clock, settings: Any, command: str) -> None:
    sink = SmtpSink([(command, HANG)])
    with listening(sink) as server:
        configure_mail(settings, server.port, timeout=0.05)
        write_alerts(clock, "first")
        started = time.monotonic()
        assert deliver(clock) == 0
        assert time.monotonic() - started < 30
        assert get_alert().last_error.startswith("The mail server")
        configure_mail(settings, server.port)
        assert deliver(clock, after=2 * MINUTE) == 1
    assert len(sink.mails) == 1


def test_email_is_delivered_if_server_hangs_after_accepting_it(clock: Clock, settings: Any) -> None:
    sink = SmtpSink([("QUIT", HANG)])
    with listening(sink) as server:
        # All replies before the last have to arrive within this time.
        configure_mail(settings, server.port, timeout=0.5)
        write_alerts(clock, "first")
        assert deliver(clock) == 1
        assert deliver(clock, after=86_400) == 0
    assert len(sink.mails) == 1


def test_mail_connection_has_a_timeout_by_default(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Django's default, a poll would wait for ever."""
    timeouts = []

    def connect(self: smtplib.SMTP, host: str, port: int, timeout: Any) -> None:
        timeouts.append(timeout)
        raise ConnectionRefusedError

    monkeypatch.setattr(smtplib.SMTP, "_get_socket", connect)
    configure_mail(settings, 25, timeout=None)
    write_alerts(clock, "first")
    deliver(clock)
    (timeout,) = timeouts
    assert isinstance(timeout, int | float)
    assert 0 < timeout <= 20


def test_message_id_does_not_depend_on_the_host(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container gets another host name at every start."""
    sink = SmtpSink([(".", "451 try again")])
    with listening(sink) as server:
        configure_mail(settings, server.port)
        write_alerts(clock, "first", "second")
        for number in range(3):
            monkeypatch.setattr(DNS_NAME, "_fqdn", f"pod-{number}", raising=False)
            deliver(clock, after=2 * MINUTE)
    ids = [mail.message["Message-ID"] for mail in sink.offered]
    assert len(ids) == 3
    assert len(set(ids)) == 2


HOSTILE = {
    "line breaks": "CSV\r\nBcc: evil@example.org\r\n\r\n<b>body</b>",
    "other line breaks": "CSV\x0bBcc: evil@example.org\u2028X-A: b\x85X-B: c",
    "unicode": "Nützer 用户 🎉 =?utf-8?q?Bcc=3A?=",
    "long": "long " * 200,
    "one long word": "x" * 2000,
    "NUL and lone surrogate": "a\0b\ud800c",
    "a dot": "\n.\r\n.\r\nQUIT",
    "address": 'evil@example.org, "x" <a@b>;',
}


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize("name", HOSTILE)
def test_text_of_an_operation_adds_no_email_header(settings: Any, name: str) -> None:
    text = HOSTILE[name]
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        document = RUNNING | {"type": text, "file": text}
        sync(NOON, None, document)
    (mail,) = sink.mails
    assert mail.recipients == EMAIL["TO"]
    assert {name.lower() for name in mail.message} <= {
        "content-type",
        "mime-version",
        "content-transfer-encoding",
        "subject",
        "from",
        "to",
        "date",
        "message-id",
        "auto-submitted",
        "x-importmonitor-event",
        "in-reply-to",
        "references",
    }
    assert mail.message["Subject"].strip().startswith("[importmonitor] default: Import started (")
    assert mail.message.get_content_type() == "multipart/alternative"
    assert "Started by: d26x6zSkaPSe5gCyy" in mail.text.splitlines()
    assert max(map(len, mail.raw.splitlines())) <= 998


def test_file_name_with_unicode_arrives_unchanged(settings: Any) -> None:
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        sync(NOON, None, RUNNING | {"file": "Größe 用户.csv"})
    (mail,) = sink.mails
    assert "Größe 用户.csv" in mail.message["Subject"]
    assert "File: Größe 用户.csv" in mail.text.splitlines()
