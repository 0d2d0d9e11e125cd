"""No secret is in a message, in a row, in the log, or in what is raised."""

import base64
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, Undelivered, backend
from importmonitor.alerts.messages import Message
from importmonitor.models import Alert
from simulator.clock import Clock
from tests.alerts.backends import Post, recording
from tests.alerts.helpers import Watched, alert, configure_channels, deliver, put_down
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
    """Everything that is logged, at the finest level, by whomever."""
    names = ["", "importmonitor", "apprise", "urllib3", "urllib3.connectionpool", "django"]
    for name in names:
        caplog.set_level(1, logger=name)

    def read() -> str:
        shown = [logging.Formatter().format(record) for record in caplog.records]
        return "\n".join([*shown, *(repr(vars(record)) for record in caplog.records)])

    return read


def rows() -> str:
    return repr(list(Alert.objects.values()))


def is_told(secret: str, text: str) -> bool:
    return secret in text or base64.b64encode(secret.encode()).decode() in text


@pytest.mark.parametrize("refusal", [500, HANG, "refused", None])
def test_an_apprise_url_is_told_to_nobody(
    clock: Clock, settings: Any, log: Callable[[], str], refusal: int | str | None
) -> None:
    sink = HttpSink([refusal] if refusal in (500, HANG) else [])
    with listening(sink, refusing=refusal == "refused") as server:
        url = (
            f"json://me:hush-password@127.0.0.1:{server.port}/hush-path"
            "?+X-Token=hush-header&-key=hush-query&rto=0.1"
        )
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        put_down(clock, "first")
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
def test_an_apprise_url_that_cannot_be_read_is_told_to_nobody(
    settings: Any, log: Callable[[], str], url: str
) -> None:
    configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
    with pytest.raises(Misconfigured) as caught:
        backend(conf.options().channels["ops"])
    assert "hush" not in "".join(traceback.format_exception(caught.value, chain=True)).replace(
        url, ""
    )
    assert "hush" not in log()


def test_what_others_log_is_left_to_them(
    clock: Clock, settings: Any, log: Callable[[], str]
) -> None:
    sink = HttpSink()
    with listening(sink) as server:
        url = f"json://127.0.0.1:{server.port}/hush-path"
        configure_channels(settings, {"ops": {"BACKEND": APPRISE, "URL": url}})
        put_down(clock, "first")
        deliver(clock)
    logging.getLogger("apprise").warning("the host's own")
    logging.getLogger("urllib3.connectionpool").debug("somebody's call")
    assert "the host's own" in log()
    assert "somebody's call" in log()


@pytest.mark.parametrize("code", ["535", "454"])
def test_the_password_of_the_mail_server_is_told_to_nobody(
    clock: Clock, settings: Any, log: Callable[[], str], code: str
) -> None:
    """Not even where the server repeats it."""
    sink = SmtpSink([("AUTH", f"{code} monitor:{PASSWORD} is refused")])
    configure_channels(settings, {"ops": EMAIL})
    with listening(sink) as server:
        configure_mail(settings, server.port, user="monitor", password=PASSWORD)
        put_down(clock, "first", "second")
        assert deliver(clock) == 0
        refused = Alert.objects.get(key="first").last_error
        assert deliver(clock, after=2 * MINUTE) == 2
    assert code in refused
    assert not is_told(PASSWORD, refused + rows() + log())
    assert any(each.startswith("AUTH") for each in sink.said)
    assert not any(is_told(PASSWORD, mail.raw.decode()) for mail in sink.mails)


def test_what_a_channel_raises_holds_no_secret(clock: Clock, settings: Any) -> None:
    sink = SmtpSink([("AUTH", f"535 {PASSWORD} is refused")])
    configure_channels(settings, {"ops": EMAIL})
    put_down(clock, "first")
    body = alert().body
    with listening(sink) as server:
        configure_mail(settings, server.port, user="monitor", password=PASSWORD)
        with pytest.raises(Undelivered) as caught:
            backend(conf.options().channels["ops"]).send(Message("title", "text", body))
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown


def test_a_password_that_smtp_cannot_carry_is_told_to_nobody(
    clock: Clock, settings: Any, log: Callable[[], str]
) -> None:
    configure_channels(settings, {"ops": EMAIL})
    with listening(SmtpSink()) as server:
        configure_mail(settings, server.port, user="monitor", password="hush-pässwörd")
        put_down(clock, "first")
        assert deliver(clock) == 0
    assert "UnicodeEncodeError" in alert().last_error
    assert "hush" not in rows() + log()


@pytest.mark.parametrize("status", [200, 401, 503])
def test_the_token_is_told_to_nobody_even_if_a_server_sends_it_back(
    workspace: Any, settings: Any, post: Post, log: Callable[[], str], status: int
) -> None:

    def sent_back(head: str) -> bytes:
        return http(f"refused: {head.partition('X-Auth-Token: ')[2]}", status, "text/plain")

    with Server(echoing(sent_back)) as server:
        configure(settings, server.url)
        configure_channels(settings, {"ops": recording()})
        watched = Watched(workspace)
        watched.poll()
        watched.poll(after=600)
    assert post.events == ["workspace.unreachable"]
    (message,) = post.messages
    assert AUTH_TOKEN not in f"{message}" + rows() + log()
    assert "[hidden]" in message.text


def test_the_options_of_a_channel_are_not_in_its_repr(settings: Any) -> None:
    options = {"BACKEND": APPRISE, "URL": "json://127.0.0.1/hush"}
    configure_channels(settings, {"ops": options, "own": recording("own", PASSWORD="hush")})
    assert "hush" not in repr(conf.options())
