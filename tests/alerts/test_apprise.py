"""Messages by Apprise, to a server on loopback that accepts or refuses them."""

import runpy
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import responses

import importmonitor
from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, load_backend
from importmonitor.alerts.messages import Message
from importmonitor.checks import check_channels
from importmonitor.models import ImportOperation
from simulator.clock import Clock
from tests.alerts.helpers import BASE_URL, configure_channels, deliver, get_alert, write_alerts
from tests.alerts.helpers import sync_documents as sync
from tests.alerts.loopback_servers import HANG, HttpSink, SmtpSink, listening
from tests.api import helpers
from tests.api.helpers import NOON

pytestmark = pytest.mark.django_db

RUNNING = {**helpers.RUNNING, "ts": NOON.isoformat()}

APPRISE = "importmonitor.alerts.channels.AppriseChannel"
MINUTE = 60.0


def configure_apprise(settings: Any, url: str, **others: Mapping[str, Any]) -> None:
    """Configure a channel with an Apprise URL, and others."""
    channels = {"ops": {"BACKEND": APPRISE, "URL": url}, **others}
    configure_channels(settings, channels, BASE_URL=BASE_URL)


def test_webhook_gets_the_json_form(settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        configure_apprise(settings, f"json://127.0.0.1:{server.port}/hook")
        sync(NOON, None, RUNNING)
    (request,) = sink.requests
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    body = request.json
    row = get_alert()
    assert {key: body[key] for key in row.body} == row.body
    assert body["event"] == "import.started"
    assert body["schema_version"] == 1
    assert body["operation"]["counters"]["total"] == 10
    operation = ImportOperation.objects.get()
    assert body["operation"]["id"] == operation.pk
    page = f"{BASE_URL}/admin/importmonitor/importoperation/{operation.pk}/change/"
    assert body["url"] == page
    assert body["title"] == "default: Import started (CSV, people.csv)"
    assert page in body["message"]
    assert request.headers["idempotency-key"] == body["idempotency_key"] == row.key
    assert datetime.fromisoformat(body["occurred_at"]) == NOON


def test_webhook_scheme_is_case_insensitive(clock: Clock, settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        configure_apprise(settings, f"JSON://127.0.0.1:{server.port}/")
        write_alerts(clock, "first")
        assert deliver(clock) == 1
    assert sink.requests[0].json["idempotency_key"] == "first"
    assert sink.requests[0].headers["idempotency-key"] == "first"


def test_headers_and_parameters_of_the_url_are_sent(clock: Clock, settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        configure_apprise(
            settings, f"json://me:pw@127.0.0.1:{server.port}/?+X-Token=t&:team=ops&-a=b&method=put"
        )
        write_alerts(clock, "first")
        deliver(clock)
    (request,) = sink.requests
    assert request.line == "PUT /?a=b HTTP/1.1"
    assert request.headers["x-token"] == "t"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.json["team"] == "ops"
    assert request.json["workspace"] == "default"


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (500, "json: HTTP status 500."),
        (404, "json: HTTP status 404."),
        (429, "json: HTTP status 429."),
        (HANG, "json: not accepted, or not reachable."),
    ],
)
def test_refused_message_is_retried_and_arrives_once(
    clock: Clock, settings: Any, refusal: int | str, error: str
) -> None:
    sink = HttpSink([refusal])
    with listening(sink) as server:
        url = f"json://127.0.0.1:{server.port}/"
        configure_apprise(settings, f"{url}?rto=0.1" if refusal == HANG else url)
        write_alerts(clock, "first")
        started = time.monotonic()
        assert deliver(clock) == 0
        assert time.monotonic() - started < 30
        assert get_alert().last_error == error
        configure_apprise(settings, url)
        assert deliver(clock, after=2 * MINUTE) == 1
        assert deliver(clock, after=86_400) == 0
    first, second = sink.requests
    assert sink.accepted == [second]
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_refused_connection_is_a_failed_attempt(clock: Clock, settings: Any) -> None:
    sink = HttpSink()
    with listening(sink, refusing=True) as server:
        configure_apprise(settings, f"json://127.0.0.1:{server.port}/")
        write_alerts(clock, "first")
        assert deliver(clock) == 0
        assert get_alert().last_error == "json: not accepted, or not reachable."
        server.listen()
        assert deliver(clock, after=2 * MINUTE) == 1
    assert len(sink.accepted) == 1


def test_messages_of_one_delivery_do_not_mix(clock: Clock, settings: Any) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        configure_apprise(settings, f"json://127.0.0.1:{server.port}/")
        write_alerts(clock, "first", "second")
        assert deliver(clock) == 2
    assert [request.json["idempotency_key"] for request in sink.accepted] == ["first", "second"]
    assert [request.headers["idempotency-key"] for request in sink.accepted] == ["first", "second"]


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    "url",
    [
        "form://127.0.0.1:{port}/hook",
        "xml://127.0.0.1:{port}/hook",
        "gotify://127.0.0.1:{port}/abcdefghijklmno",
        "ntfy://127.0.0.1:{port}/topic",
        "mmost://127.0.0.1:{port}/3ccdd113474722377935511fc85d3dd4",
        "rocket://web/hook@127.0.0.1:{port}/#general",
    ],
    ids=lambda url: url.partition(":")[0],
)
def test_other_services_get_title_and_text(clock: Clock, settings: Any, url: str) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        configure_apprise(settings, url.format(port=server.port))
        write_alerts(clock, "first")
        assert deliver(clock) == 1
    body = sink.requests[-1].body.decode()
    assert "Workspace unreachable" in body.replace("+", " ")
    assert "Since" in body


MARKUP = "<!channel> <img src=http://evil.example/x> [a](http://evil.example)"


def test_file_name_is_not_markup_in_an_email_by_apprise(settings: Any) -> None:
    """Apprise sends HTML unless a text is declared as plain."""
    sink = SmtpSink()
    with listening(sink) as server:
        configure_apprise(
            settings,
            f"mailto://example.org:{server.port}?smtp=127.0.0.1&mode=insecure"
            "&from=monitor@example.org&to=ops@example.org",
        )
        sync(NOON, None, RUNNING | {"file": MARKUP})
    (mail,) = sink.mails
    for part in mail.message.walk():
        if part.get_content_type() == "text/html":
            assert "<img" not in part.get_content()
    assert f"File: {MARKUP}" in mail.text.splitlines()


def test_file_name_mentions_no_channel_in_slack(settings: Any) -> None:
    """The request is intercepted, since tests do not leave loopback."""
    configure_apprise(settings, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/")
    with responses.RequestsMock() as remote:
        remote.post("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
        sync(NOON, None, RUNNING | {"file": MARKUP})
        sent = str(remote.calls[0].request.body)
    assert "<!channel>" not in sent
    assert "&lt;" in sent


def test_channel_without_apprise_says_what_to_install(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[Any]
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    mail = {
        "BACKEND": "importmonitor.alerts.channels.EmailChannel",
        "TO": ["ops@example.org"],
    }
    configure_apprise(settings, "json://127.0.0.1/hush", mail=mail)
    with pytest.raises(Misconfigured, match=r"importmonitor\[apprise\]") as caught:
        load_backend(conf.get_options().channels["ops"])
    assert "hush" not in str(caught.value)
    (error,) = check_channels(app_configs=None)
    assert error.id == "importmonitor.E020"
    assert "'ops'" in error.msg
    assert "importmonitor[apprise]" in error.msg
    write_alerts(clock, "first")
    assert deliver(clock) == 1
    assert "importmonitor[apprise]" in get_alert().last_error
    assert len(mailoutbox) == 1


def test_apprise_and_requests_are_imported_only_when_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Apprise takes longer to import than the rest of a cron command."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setitem(sys.modules, "requests", None)
    package = Path(importmonitor.__file__).parent
    for path in (*sorted((package / "alerts").glob("*.py")), package / "sync" / "alerts.py"):
        runpy.run_path(str(path), run_name="again")


@pytest.mark.parametrize(
    "options",
    [
        {"BACKEND": "tests.alerts.backends.Unloadable", "PASSWORD": "hush"},
        {"BACKEND": "importmonitor.alerts.channels", "URL": "json://hush"},
        {"BACKEND": "importmonitor.alerts.channels._captured_logs", "URL": "json://hush"},
    ],
)
def test_backend_that_raises_on_its_options_is_a_check_error(settings: Any, options: Any) -> None:
    """It does not end every command, `migrate` included, with a traceback."""
    configure_channels(settings, {"ops": options})
    (error,) = check_channels(app_configs=None)
    assert error.id == "importmonitor.E020"
    assert "hush" not in f"{error.msg} {error.hint}"


@pytest.mark.parametrize(
    ("event", "outcome", "severity", "notify_type"),
    [
        ("import.failed", "failed", None, "failure"),
        ("import.stalled", None, None, "warning"),
        ("import.stalled", None, "critical", "failure"),
        ("import.resumed", None, "warning", "info"),
        ("import.finished", "done", "info", "success"),
        ("import.finished", "done_with_errors", "warning", "warning"),
        ("import.finished", "canceled", "info", "info"),
        ("workspace.recovered", None, "critical", "success"),
        ("import.started", None, "info", "info"),
        ("test", None, None, "info"),
    ],
)
def test_type_follows_severity(
    settings: Any, event: str, outcome: str | None, severity: str | None, notify_type: str
) -> None:
    body = {"event": event, "idempotency_key": "key", "severity": severity}
    sink = HttpSink()
    with listening(sink) as server:
        configure_apprise(settings, f"json://127.0.0.1:{server.port}/")
        message = Message("title", "text", body | {"operation": {"outcome": outcome}})
        load_backend(conf.get_options().channels["ops"]).send(message)
    assert sink.requests[0].json["type"] == notify_type
