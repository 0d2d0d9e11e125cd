"""No secret is in messages, rows, logs or exceptions."""

import base64
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, Undelivered, load_backend
from importmonitor.alerts.messages import Message
from importmonitor.models import Alert
from simulator.clock import Clock
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import (
    PolledWorkspace,
    configure_channels,
    deliver,
    get_alert,
    write_alerts,
)
from tests.alerts.loopback_servers import HANG, HttpSink, SmtpSink, configure_mail, listening
from tests.conftest import AUTH_TOKEN, configure
from tests.remote.servers import Server, echoing, http

pytestmark = pytest.mark.django_db

APPRISE = "importmonitor.alerts.channels.AppriseChannel"
EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
MINUTE = 60.0
PASSWORD = "hush-password"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that any logger logs, at the lowest level."""
    names = ["", "importmonitor", "apprise", "urllib3", "urllib3.connectionpool", "django"]
    for name in names:
        caplog.set_level(1, logger=name)

    def text() -> str:
        lines = [logging.Formatter().format(record) for record in caplog.records]
        return "\n".join([*lines, *(repr(vars(record)) for record in caplog.records)])

    return text


def rows() -> str:
    return repr(list(Alert.objects.values()))


def reveals(secret: str, text: str) -> bool:
    return secret in text or base64.b64encode(secret.encode()).decode() in text


@pytest.mark.parametrize("refusal", [500, HANG, "refused", None])
def test_apprise_url_stays_secret(
    clock: Clock, settings: Any, log: Callable[[], str], refusal: int | str | None
) -> None:
    sink = HttpSink([refusal] if refusal in (500, HANG) else [])
    with listening(sink, refusing=refusal == "refused") as server:
        url = (
            f"json://me:hush-password@127.0.0.1:{server.port}/hush-path"
            "?+X-Token=hush-header&-key=hush-query"
        )
        if refusal == HANG:
            url += "&rto=0.1"
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        write_alerts(clock, "first")
        assert deliver(clock) == (refusal is None)
    assert "hush" not in rows()
    assert "hush" not in log()
    assert not any(b"hush" in request.body for request in sink.requests)


@pytest.mark.parametrize(
    "url",
    [
        "slack://hush/",
        "json://:hush@",
        "nosuchservice://hush@hush/hush?hush",
        "tgram://hush",
        "mailto://hush:hush@",
        "pagerduty://hush",
    ],
)
def test_invalid_apprise_url_stays_secret(settings: Any, log: Callable[[], str], url: str) -> None:
    configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
    with pytest.raises(Misconfigured) as caught:
        load_backend(conf.get_options().channels["ops"])
    assert "hush" not in "".join(traceback.format_exception(caught.value, chain=True)).replace(
        url, ""
    )
    assert "hush" not in log()


def test_logs_of_other_code_are_not_captured(
    clock: Clock, settings: Any, log: Callable[[], str]
) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        url = f"json://127.0.0.1:{server.port}/hush-path"
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        write_alerts(clock, "first")
        deliver(clock)
    logging.getLogger("apprise").warning("the host's own")
    logging.getLogger("urllib3.connectionpool").debug("another call")
    assert "the host's own" in log()
    assert "another call" in log()


@pytest.mark.parametrize("code", ["535", "454"])
def test_mail_password_stays_secret(
    clock: Clock, settings: Any, log: Callable[[], str], code: str
) -> None:
    """The server quotes it here."""
    sink = SmtpSink([("AUTH", f"{code} monitor:{PASSWORD} is refused")])
    configure_channels(settings, {"ops": EMAIL})
    with listening(sink) as server:
        configure_mail(settings, server.port, user="monitor", password=PASSWORD)
        write_alerts(clock, "first", "second")
        assert deliver(clock) == 0
        refused = Alert.objects.get(key="first").last_error
        assert deliver(clock, after=2 * MINUTE) == 2
    assert code in refused
    assert not reveals(PASSWORD, refused + rows() + log())
    assert any(command.startswith("AUTH") for command in sink.commands)
    assert not any(reveals(PASSWORD, mail.raw.decode()) for mail in sink.mails)


def test_exception_of_a_channel_contains_no_secret(clock: Clock, settings: Any) -> None:
    sink = SmtpSink([("AUTH", f"535 {PASSWORD} is refused")])
    configure_channels(settings, {"ops": EMAIL})
    write_alerts(clock, "first")
    body = get_alert().body
    with listening(sink) as server:
        configure_mail(settings, server.port, user="monitor", password=PASSWORD)
        with pytest.raises(Undelivered) as caught:
            load_backend(conf.get_options().channels["ops"]).send(Message("title", "text", body))
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_unencodable_mail_password_stays_secret(
    clock: Clock, settings: Any, log: Callable[[], str]
) -> None:
    configure_channels(settings, {"ops": EMAIL})
    with listening(SmtpSink()) as server:
        configure_mail(settings, server.port, user="monitor", password="hush-pässwörd")
        write_alerts(clock, "first")
        assert deliver(clock) == 0
    assert "UnicodeEncodeError" in get_alert().last_error
    assert "hush" not in rows() + log()


@pytest.mark.parametrize("status", [200, 401, 503])
def test_auth_token_echoed_by_the_server_stays_secret(
    workspace: Any, settings: Any, recorder: Recorder, log: Callable[[], str], status: int
) -> None:
    def echo_token(head: str) -> bytes:
        return http(f"refused: {head.partition('X-Auth-Token: ')[2]}", status, "text/plain")

    with Server(echoing(echo_token)) as server:
        configure(settings, server.url)
        configure_channels(settings, {"ops": recording()})
        polled = PolledWorkspace(workspace)
        polled.poll()
        polled.poll(after=600)
    assert recorder.events == ["workspace.unreachable"]
    (message,) = recorder.messages
    assert AUTH_TOKEN not in f"{message}" + rows() + log()
    assert "[hidden]" in message.text


def test_channel_repr_omits_its_options(settings: Any) -> None:
    options = {"BACKEND": APPRISE, "URL": "json://127.0.0.1/hush"}
    configure_channels(settings, {"ops": options, "own": recording("own", PASSWORD="hush")})
    assert "hush" not in repr(conf.get_options())
