"""Which e-mails a mail program keeps together, by the headers that a mail server gets."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from importmonitor.alerts import outbox
from importmonitor.alerts.drafts import draft_test_alert, draft_workspace_alert
from importmonitor.alerts.groups import render_group
from importmonitor.alerts.messages import render_message
from importmonitor.alerts.threads import thread_headers
from importmonitor.choices import Event
from importmonitor.models import Alert, ImportOperation, Workspace
from simulator.clock import Clock
from tests.alerts.helpers import configure_channels, deliver
from tests.alerts.helpers import sync_documents as sync
from tests.alerts.loopback_servers import Mail, SmtpSink, configure_mail, listening
from tests.alerts.test_messages import RUNNING as DOCUMENT
from tests.api.helpers import NOON

RUNNING = {**DOCUMENT, "ts": NOON.isoformat()}
DONE = RUNNING | {"status": "importer_done", "count": {"total": 10, "completed": 10}}
EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}


@pytest.fixture(autouse=True)
def _channel(settings: Any) -> None:
    configure_channels(settings, {"ops": EMAIL})


def mails_of(settings: Any, *documents: Mapping[str, Any] | None) -> list[Mail]:
    """Return the e-mails that a mail server gets while these documents are polled."""
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        sync(NOON, None, *documents)
    return sink.mails


def thread_of(mail: Mail) -> str:
    """Return the id of an e-mail's thread, which its two headers agree on."""
    thread = mail.message["References"].strip()
    assert mail.message["In-Reply-To"].strip() == thread
    # On one line and as it is: mail programs read no encoded id.
    assert f"In-Reply-To: {thread}\n".encode() in mail.raw.replace(b"\r\n", b"\n")
    return str(thread)


@pytest.mark.django_db
def test_emails_about_one_import_are_one_thread(settings: Any) -> None:
    other = {**RUNNING, "_id": "65f8a1c2e4b0d9a7c3f1e206"}
    mails = mails_of(settings, RUNNING, DONE, other)
    events = [mail.message["X-Importmonitor-Event"] for mail in mails]
    assert events == ["import.started", "import.finished", "import.started"]
    started, finished, other_started = map(thread_of, mails)
    assert started == finished != other_started
    ids = {mail.message["Message-ID"].strip() for mail in mails}
    assert len(ids) == 3
    assert not ids & {started, other_started}


@pytest.mark.django_db
def test_sites_with_the_same_rows_share_no_thread(settings: Any) -> None:
    threads = set()
    for site in ("one", "another"):
        settings.SECRET_KEY = site
        threads.add(thread_of(mails_of(settings, RUNNING)[0]))
        Alert.objects.all().delete()
        ImportOperation.objects.all().delete()
    assert len(threads) == 2


def outage(event: Event, workspace: str = "acme", hours: int = 0) -> dict[str, Any]:
    """Return the body of an alert about an outage that began some hours after noon."""
    since = NOON + timedelta(hours=hours)
    draft = draft_workspace_alert(
        event,
        Workspace(alias=workspace),
        at=NOON,
        since=since,
        outcome="Unreachable",
        message="no answer",
    )
    return draft.body


def test_emails_about_one_outage_are_one_thread() -> None:
    unreachable = thread_headers(outage(Event.UNREACHABLE))
    assert unreachable == thread_headers(outage(Event.RECOVERED))
    assert unreachable != thread_headers(outage(Event.UNREACHABLE, hours=1))
    assert unreachable != thread_headers(outage(Event.UNREACHABLE, "globex"))


def test_outages_of_one_incident_are_one_thread() -> None:
    incident = {"incident": {"id": 1, "since": NOON.isoformat()}}
    first = thread_headers(outage(Event.UNREACHABLE) | incident)
    assert first == thread_headers(outage(Event.RECOVERED, hours=3) | incident)


@pytest.mark.django_db
def test_outage_of_many_workspaces_joins_their_threads(clock: Clock, settings: Any) -> None:
    names = [f"workspace-{number:02}" for number in range(14)]
    bodies = [outage(Event.UNREACHABLE, name) for name in names]
    sink = SmtpSink()
    with listening(sink) as server:
        configure_mail(settings, server.port)
        now = clock.now()
        draft = draft_workspace_alert(
            Event.UNREACHABLE, Workspace(), at=now, since=now, outcome="Unreachable", message=""
        )
        outbox.write(
            [
                replace(draft, workspace=name, key=body["idempotency_key"], body=body)
                for name, body in zip(names, bodies, strict=True)
            ],
            now,
        )
        assert deliver(clock) == 14
    (mail,) = sink.mails
    references = mail.message["References"].split()
    assert references == [thread_headers(body)["References"] for body in bodies]
    assert b"=?" not in mail.raw.partition(b"\n\n")[0].partition(b"References:")[2]
    assert max(map(len, mail.raw.splitlines())) <= 998
    recovered = [render_message(outage(Event.RECOVERED, name)) for name in names]
    assert thread_headers(render_group(recovered[::-1]).body)["References"].split() == references


def test_header_of_a_large_outage_is_limited() -> None:
    messages = [render_message(outage(Event.UNREACHABLE, f"w{number}")) for number in range(500)]
    headers = thread_headers(render_group(messages).body)
    assert len(headers["References"]) < 2000


def test_test_alert_and_group_of_imports_have_no_thread() -> None:
    test = draft_test_alert("default", at=NOON, key="key").body
    assert thread_headers(test) == {}
    body = outage(Event.UNREACHABLE) | {"sync": None, "alerts": [test]}
    assert thread_headers(body) == {}
