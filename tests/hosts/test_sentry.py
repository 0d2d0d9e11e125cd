"""Hosts that report to Sentry, local variables and all: no event has a secret."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import pytest

from tests.hosts.project import run, use_settings
from tests.hosts.servers import need

pytestmark = [pytest.mark.long, need(package="sentry_sdk")]

PASSWORD = "hush-Jx3vQ9mTzP4w"
#: Where the process ends, or a bug shows, while a workspace is polled: from outside to inside.
PLACES = (
    "requests.Session.request",
    "requests.adapters.HTTPAdapter.send",
    "requests.models.Response.iter_content",
    "urllib3.connectionpool.HTTPConnectionPool.urlopen",
    "urllib3.connectionpool.HTTPConnectionPool._make_request",
    "http.client.HTTPConnection.putheader",
    "http.client.HTTPConnection.send",
    "http.client.HTTPConnection.getresponse",
    "importmonitor.rocketchat.client.Client._failure",
    "importmonitor.rocketchat.responses.error_for",
    "importmonitor.rocketchat.client.parse_rate_limit",
    "importmonitor.rocketchat.client.parse_operation",
    "importmonitor.sync.poll.store_result",
)


class Bug(Exception):
    """What no code expects."""


class Events:
    """Sentry's events, as they would be sent."""

    def __init__(self, *, pii: bool) -> None:
        """Initialize Sentry as a host does that wants to know everything."""
        import sentry_sdk
        from sentry_sdk.integrations.django import DjangoIntegration
        from sentry_sdk.integrations.logging import LoggingIntegration
        from sentry_sdk.transport import Transport
        from sentry_sdk.utils import iter_event_frames

        def forget_tests(event: Any, _hint: Any) -> Any:
            for frame in iter_event_frames(event):
                if frame["module"].startswith("tests."):
                    frame.pop("vars", None)
            return event

        envelopes: list[str] = []

        class FakeTransport(Transport):
            def capture_envelope(self, envelope: Any) -> None:
                envelopes.append(envelope.serialize().decode())

        self.envelopes = envelopes
        self.capture: Callable[[BaseException], object] = sentry_sdk.capture_exception
        sentry_sdk.init(
            dsn="http://key@127.0.0.1:9/1",
            transport=FakeTransport,
            include_local_variables=True,
            attach_stacktrace=True,
            send_default_pii=pii,
            before_send=forget_tests,
            traces_sample_rate=1.0,
            integrations=[
                DjangoIntegration(cache_spans=True),
                LoggingIntegration(event_level=logging.WARNING),
            ],
        )

    @contextmanager
    def without(self, *secrets: str) -> Iterator[None]:
        """Expect an event in this block, and in no event one of these secrets."""
        from tests.remote.test_redaction import reveals

        self.envelopes.clear()
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - also the end of the process
            self.capture(error)
        assert any('"stacktrace"' in envelope for envelope in self.envelopes), "there is no event"
        for envelope in self.envelopes:
            for secret in secrets:
                lines = [json.loads(line) for line in envelope.splitlines()]
                assert not reveals(envelope, secret), list(find(lines, secret))


def find(value: Any, secret: str, path: str = "") -> Iterator[str]:
    """Yield where a secret is in an event."""
    from tests.remote.test_redaction import reveals

    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from find(item, secret, f"{path}.{key}")
    elif isinstance(value, str) and reveals(value, secret):
        yield f"{path}: {value[:200]}"


@contextmanager
def raising(place: str, error: BaseException) -> Iterator[None]:
    with mock.patch(place, side_effect=error):
        yield


def poll_in_every_way(pii: str) -> None:
    """Poll workspaces that fail, with bugs, and until the process is killed."""
    events = Events(pii=pii == "with pii")
    use_settings()

    import base64

    from django.conf import settings
    from django.core.management import call_command

    from importmonitor import conf
    from importmonitor.models import Workspace
    from importmonitor.rocketchat import client
    from importmonitor.sync import sync_workspace
    from tests.conftest import AUTH_TOKEN, USER_ID
    from tests.remote.servers import Server, answering, echoing, http

    call_command("migrate", verbosity=0)
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    options = {
        "USER_ID": USER_ID,
        "AUTH_TOKEN": AUTH_TOKEN,
        "TIMEOUT": 1,
        "DEADLINE": 2,
        "HEADERS": {"Authorization": f"Basic {basic}"},
    }
    secrets = (AUTH_TOKEN, PASSWORD, basic)

    def use(url: str) -> None:
        # Polled again, whatever happened before.
        Workspace.objects.all().delete()
        settings.IMPORTMONITOR = {"WORKSPACES": {"default": options | {"URL": url}}}

    good = http('{"success": true, "operation": {"_id": "a"}}', headers={"X-RateLimit-Limit": "9"})
    failing = (
        http("{}", 401),
        http("{}", 429),
        http("", 302, headers={"Location": "https://a.example"}),
        http("<p>Bad gateway", 502, "text/html"),
        http("not JSON"),
        http("cut", length=100),
    )
    for response in failing:
        with Server(answering(response)) as server, events.without(*secrets):
            use(server.url)
            sync_workspace("default")
    with Server(echoing(lambda head: http(head, 400, "text/plain"))) as server:
        use(server.url)
        with events.without(*secrets):
            sync_workspace("default")
    use("http://127.0.0.1:9")
    with events.without(*secrets):
        sync_workspace("default")
    # Whatever raises, and from a poll or a command that uses the client alone.
    for place in PLACES:
        for error in (Bug, SystemExit, KeyboardInterrupt, RecursionError):
            for entry in (sync_workspace, request):
                with Server(answering(good)) as server, mock.patch.object(client, "BACKOFF", 0):
                    use("http://127.0.0.1:9" if "_failure" in place else server.url)
                    if entry is request and "sync" in place:
                        continue
                    with events.without(*secrets), raising(place, error("raised")):
                        entry(conf.get_workspace("default"))
                        # A RecursionError can be a failed poll, of which an event tells already.
                        raise Bug


def request(workspace: Any) -> None:
    from importmonitor.rocketchat.client import Client

    with Client(workspace) as client:
        client.current_operation()


def call_the_api(pii: str) -> None:
    """Call endpoints with a token, with bugs and until the process is killed, by WSGI."""
    events = Events(pii=pii == "with pii")
    use_settings()

    from django.contrib.auth.models import User
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.test import RequestFactory

    from importmonitor.models import ApiToken

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser("tool")
    token = str(ApiToken.objects.issue(user)[1])
    application = WSGIHandler()
    rocketchat = {"X-User-Id": str(user.pk), "X-Auth-Token": token}
    requests = [
        RequestFactory().get(path, headers=headers).environ
        for path, headers in (
            ("/api/v1/getCurrentImportOperation", rocketchat),
            ("/api/import-operations/", rocketchat),
            ("/api/import-operations/", {"Authorization": f"Bearer {token}"}),
        )
    ]
    places = (
        "importmonitor.models.tokens.get_user_model",
        "importmonitor.models.tokens._digest",
        "importmonitor.models.tokens.ApiToken.record_use",
        "importmonitor.api.throttling.caller_key",
        "django.middleware.common.CommonMiddleware.process_request",
    )
    for place in places:
        for error in (Bug, SystemExit):
            for environ in requests:
                # Sentry shows the first ten: in another order than a test's.
                environment = dict(sorted(environ.items()))
                with events.without(token), raising(place, error("raised")):
                    serve(application, environment)


def serve(application: Any, environ: dict[str, Any]) -> None:
    response = application(environ, lambda *_arguments: None)
    with suppress(AttributeError):
        response.close()


@pytest.mark.parametrize("pii", ["with pii", "without pii"])
def test_failed_polls_and_bugs_reveal_no_secret(pii: str) -> None:
    run(poll_in_every_way, pii)


@pytest.mark.parametrize("pii", ["with pii", "without pii"])
def test_failed_requests_reveal_no_token(pii: str) -> None:
    run(call_the_api, pii)


def deliver_until_killed() -> None:
    """End the process while an alert is delivered."""
    events = Events(pii=True)
    use_settings()

    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    channel = {
        "BACKEND": "importmonitor.alerts.channels.AppriseChannel",
        "URL": f"json://me:{PASSWORD}@127.0.0.1:9/",
    }
    settings.IMPORTMONITOR = {"CHANNELS": {"hook": channel}}
    place = "urllib3.connectionpool.HTTPConnectionPool.urlopen"
    with events.without(PASSWORD), raising(place, SystemExit("raised")):
        call_command("send_test_alert")


def test_killed_delivery_reveals_no_password() -> None:
    run(deliver_until_killed)
