"""E-mail, to a server on loopback that takes it or does not."""

import smtplib
import socket
import time
from typing import Any

import pytest
from django.core.mail.utils import DNS_NAME

from simulator.clock import Clock
from tests.alerts.helpers import BASE_URL, alert, configure_channels, deliver, put_down
from tests.alerts.helpers import sync_documents as sync
from tests.alerts.loopback_servers import HANG, LEAVE, SmtpSink, configure_mail, listening
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


def test_a_mail_arrives(clock: Clock, settings: Any) -> None:
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        put_down(clock, "first")
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
    assert message.get_content_type() == "text/plain"
    assert mail.text.splitlines() == [
        "Since: 2026-01-05 09:00:00 UTC",
        "no answer",
        "That says nothing about an import that runs there: nobody can see it from here.",
        f"{BASE_URL}/admin/importmonitor/importoperation/",
    ]


def test_a_sender_of_its_own(clock: Clock, settings: Any) -> None:
    sink = SmtpSink()
    configure_channels(settings, {"ops": EMAIL | {"FROM": "Import monitor <im@example.org>"}})
    with listening(sink) as server:
        configure_mail(settings, server.port)
        put_down(clock, "first")
        deliver(clock)
    assert sink.mails[0].message["From"] == "Import monitor <im@example.org>"


@pytest.mark.parametrize(
    ("command", "answer", "told"),
    [
        ("", "421 too busy", "421"),
        ("", LEAVE, "The mail server"),
        ("MAIL", "451 greylisted", "451"),
        ("RCPT", "550 no such mailbox", "The mail server"),
        ("DATA", "452 no room", "452"),
        (".", "554 looks like spam", "554"),
        (".", LEAVE, "The mail server"),
    ],
)
def test_a_refused_mail_is_sent_again_and_arrives_once(
    clock: Clock, settings: Any, command: str, answer: str, told: str
) -> None:
    # Both recipients: a mail that one of them gets counts as delivered.
    sink = SmtpSink([(command, answer)] * (2 if command == "RCPT" else 1))
    with listening(sink) as server:
        configure_mail(settings, server.port)
        put_down(clock, "first")
        assert deliver(clock) == 0
        assert told in alert().last_error
        assert sink.mails == []
        assert deliver(clock, after=2 * MINUTE) == 1
        assert deliver(clock, after=86_400) == 0
    assert len(sink.mails) == 1
    assert (alert().attempts, alert().last_error) == (2, "")
    assert len({mail.message["Message-ID"] for mail in sink.offered}) == 1


def test_a_connection_that_is_refused_after_all_is_closed(clock: Clock, settings: Any) -> None:
    sink = SmtpSink([("AUTH", "535 wrong")])
    with listening(sink) as server:
        configure_mail(settings, server.port, user="monitor", password="wrong")
        put_down(clock, "first")
        assert deliver(clock) == 0
        server.wait_until_hung_up()
    assert sink.said[-1].upper() == "QUIT"


def test_a_refused_connection(clock: Clock, settings: Any) -> None:
    sink = SmtpSink()
    with listening(sink, refusing=True) as server:
        configure_mail(settings, server.port)
        put_down(clock, "first")
        assert deliver(clock) == 0
        assert alert().last_error == "The mail server could not be reached: Connection refused."
        server.listen()
        assert deliver(clock, after=2 * MINUTE) == 1
    assert len(sink.mails) == 1


def test_a_name_that_no_server_has(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    configure_mail(settings, 25)
    monkeypatch.setattr(smtplib.SMTP, "_get_socket", unknown)
    put_down(clock, "first")
    assert deliver(clock) == 0
    assert "Name or service not known" in alert().last_error


@pytest.mark.parametrize("command", ["", "."])
def test_a_server_that_hangs_is_left(clock: Clock, settings: Any, command: str) -> None:
    sink = SmtpSink([(command, HANG)])
    with listening(sink) as server:
        configure_mail(settings, server.port, timeout=0.05)
        put_down(clock, "first")
        began = time.monotonic()
        assert deliver(clock) == 0
        assert time.monotonic() - began < 5
        assert alert().last_error.startswith("The mail server")
        assert deliver(clock, after=2 * MINUTE) == 1
    assert len(sink.mails) == 1


def test_a_server_that_hangs_after_taking_a_mail_has_taken_it(clock: Clock, settings: Any) -> None:
    sink = SmtpSink([("QUIT", HANG)])
    with listening(sink) as server:
        configure_mail(settings, server.port, timeout=0.05)
        put_down(clock, "first")
        assert deliver(clock) == 1
        assert deliver(clock, after=86_400) == 0
    assert len(sink.mails) == 1


def test_without_a_timeout_in_the_settings_there_is_one(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's own default is to wait for ever, and a poll with it."""
    timeouts = []

    def connect(self: smtplib.SMTP, host: str, port: int, timeout: Any) -> None:
        timeouts.append(timeout)
        raise ConnectionRefusedError

    monkeypatch.setattr(smtplib.SMTP, "_get_socket", connect)
    configure_mail(settings, 25, timeout=None)
    put_down(clock, "first")
    deliver(clock)
    (timeout,) = timeouts
    assert isinstance(timeout, int | float)
    assert 0 < timeout <= 20


def test_the_message_id_is_the_same_from_whatever_host(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container has another name each time that it starts."""
    sink = SmtpSink([(".", "451 try again")])
    with listening(sink) as server:
        configure_mail(settings, server.port)
        put_down(clock, "first", "second")
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
def test_no_text_of_an_operation_becomes_a_header(settings: Any, name: str) -> None:
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
    }
    assert mail.message["Subject"].strip().startswith("[importmonitor] default: Import started (")
    assert mail.message.get_content_type() == "text/plain"
    assert "Started by: d26x6zSkaPSe5gCyy" in mail.text.splitlines()
    assert max(map(len, mail.raw.splitlines())) <= 998


def test_a_file_name_arrives_as_it_is(settings: Any) -> None:
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        sync(NOON, None, RUNNING | {"file": "Größe 用户.csv"})
    (mail,) = sink.mails
    assert "Größe 用户.csv" in mail.message["Subject"]
    assert "File: Größe 用户.csv" in mail.text.splitlines()
