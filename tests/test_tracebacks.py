"""No traceback shows a secret: not its text, its pages, nor its local variables."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from rest_framework.renderers import JSONRenderer

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, load_backend
from importmonitor.api.authentication import TokenAPIView
from importmonitor.checks import check_channels, check_settings
from importmonitor.models import ApiToken
from importmonitor.rocketchat import client as client_module
from importmonitor.rocketchat.client import Client
from importmonitor.sync import sync_workspace
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.remote.servers import Server, echoing, http

pytestmark = pytest.mark.django_db

#: What may be nowhere. The token's beginning: part of it is too much already.
SECRETS = (AUTH_TOKEN[:12], "hush", "MIIBszCC")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUhush\n-----END CERTIFICATE-----\n"
APPRISE = "importmonitor.alerts.channels.AppriseChannel"
EMAIL = "importmonitor.alerts.channels.EmailChannel"


def workspace(**options: Any) -> dict[str, Any]:
    return {
        "URL": "http://127.0.0.1:9",
        "USER_ID": USER_ID,
        "AUTH_TOKEN": AUTH_TOKEN,
        "DEADLINE": 0.5,
    } | options


def valid() -> dict[str, Any]:
    return {
        "WORKSPACES": {"default": workspace(), "other": workspace()},
        "CHANNELS": {
            "hook": {"BACKEND": APPRISE, "URL": "json://me:hush@127.0.0.1:9/hush"},
            "own": {"BACKEND": "tests.test_tracebacks.Failing", "KEYS": {"a": ["hush"]}},
        },
    }


class Failing:
    """A host's own backend, which cannot use its options."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        raise LookupError(f"cannot use {options['KEYS']['a'][0]}")


def failing_source() -> dict[str, Any]:
    raise LookupError(f"the vault refused {'hush'}")


def with_workspace(**options: Any) -> dict[str, Any]:
    return valid() | {"WORKSPACES": {"default": workspace(**options), "other": workspace()}}


def with_channel(**options: Any) -> dict[str, Any]:
    return valid() | {"CHANNELS": {"hook": options}}


#: Settings with a mistake, each with secrets where they belong and where they do not.
INVALID: dict[str, Any] = {
    "the token as all settings": AUTH_TOKEN,
    "a list": [AUTH_TOKEN],
    "bytes": AUTH_TOKEN.encode(),
    "an unknown key": valid() | {AUTH_TOKEN: 1},
    "workspaces as JSON": valid() | {"WORKSPACES": f'{{"default": "{AUTH_TOKEN}"}}'},
    "workspaces as a list": valid() | {"WORKSPACES": [workspace()]},
    "workspaces without alias": valid() | {"WORKSPACES": workspace()},
    "workspaces of a failing callable": valid()
    | {"WORKSPACES": "tests.test_tracebacks.failing_source"},
    "the token as alias": valid() | {"WORKSPACES": {AUTH_TOKEN: workspace()}},
    "the token as workspace": valid() | {"WORKSPACES": {"default": AUTH_TOKEN}},
    "an unknown option": with_workspace(**{AUTH_TOKEN: 1}),
    "the token as URL": with_workspace(URL=AUTH_TOKEN),
    "the token in the URL": with_workspace(URL=f"https://a.example/?token={AUTH_TOKEN}"),
    "a password in the URL": with_workspace(URL="https://me:hush@a.example"),
    "a password in an unreadable URL": with_workspace(URL="https://me:hu/hush@a.example:hush"),
    "the token as user and more": with_workspace(USER_ID=f"{AUTH_TOKEN} {AUTH_TOKEN}"),
    "a token with a line break": with_workspace(AUTH_TOKEN=f"{AUTH_TOKEN}\n{AUTH_TOKEN}"),
    "a token of bytes": with_workspace(AUTH_TOKEN=AUTH_TOKEN.encode()),
    "a token in a list": with_workspace(AUTH_TOKEN=[AUTH_TOKEN]),
    "a token in a set": with_workspace(AUTH_TOKEN={AUTH_TOKEN}),
    "a token in a dict": with_workspace(AUTH_TOKEN={"token": AUTH_TOKEN}),
    "a certificate as CA bundle": with_workspace(CA_BUNDLE=CERTIFICATE),
    "a long text as CA bundle": with_workspace(CA_BUNDLE="hush" * 2_000),
    "the token as CA bundle": with_workspace(CA_BUNDLE=AUTH_TOKEN),
    "a missing CA bundle": with_workspace(CA_BUNDLE="/nowhere/ca.pem"),
    "a CA bundle below a file": with_workspace(CA_BUNDLE=f"{__file__}/ca.pem"),
    "a directory as CA bundle": with_workspace(CA_BUNDLE=str(Path(__file__).parent)),
    "a CA bundle with NUL": with_workspace(CA_BUNDLE="/ca\0.pem"),
    "a CA bundle of surrogates": with_workspace(CA_BUNDLE="/ca\udcff.pem"),
    "a CA bundle of bytes": with_workspace(CA_BUNDLE=CERTIFICATE.encode()),
    "the token as time-out": with_workspace(TIMEOUT=AUTH_TOKEN),
    "the token as switch": with_workspace(ALLOW_HTTP=AUTH_TOKEN),
    "the token as duration": valid() | {"STALLED_AFTER": AUTH_TOKEN},
    "the token as days": valid() | {"KEEP_DAYS": AUTH_TOKEN},
    "the token as cache time": valid() | {"REMEMBER_FOR": AUTH_TOKEN},
    "the token in the base URL": valid() | {"BASE_URL": f"https://{AUTH_TOKEN}@a.example"},
    "a password in the heartbeat's URL": valid()
    | {"HEARTBEAT_URL": "https://me:hush@a.example/hush"},
    "a heartbeat's URL without scheme": valid() | {"HEARTBEAT_URL": "a.example/hush"},
    "channels as a URL": valid() | {"CHANNELS": "json://hush"},
    "a channel as a URL": valid() | {"CHANNELS": {"hook": "json://hush"}},
    "a URL as the name of a channel": valid() | {"CHANNELS": {"json://hush?hush=hush&hush": {}}},
    "events of a URL": with_channel(BACKEND=EMAIL, TO=["a@b.example"], EVENTS=["json://hush"]),
}
#: Mistakes that only the backend of a channel notices.
INVALID_CHANNELS: dict[str, dict[str, Any]] = {
    "a URL as backend": {"BACKEND": "json://hush"},
    "a wrong URL": {"BACKEND": APPRISE, "URL": "json://me:hush@"},
    "a URL without scheme": {"BACKEND": APPRISE, "URL": "hush"},
    "a URL of bytes": {"BACKEND": APPRISE, "URL": b"json://hush"},
    "an option of a URL": {"BACKEND": APPRISE, "json://hush?hush=hush&hush=hush": 1},
    "a failing backend": {"BACKEND": "tests.test_tracebacks.Failing", "KEYS": {"a": ["hush"]}},
    "an address of a URL": {"BACKEND": EMAIL, "TO": ["json://hush"]},
}


def frames(error: BaseException) -> Iterator[TracebackType]:
    """Yield the frames of an error and of those in its context, without those of the tests."""
    pending: list[BaseException | None] = [error]
    while pending:
        if (current := pending.pop()) is None:
            continue
        pending += [current.__cause__, current.__context__]
        frame = current.__traceback__
        while frame is not None:
            if not frame.tb_frame.f_code.co_filename.startswith(str(Path(__file__).parent)):
                yield frame
            frame = frame.tb_next


def all_values(value: object, depth: int = 5) -> Iterator[object]:
    """Yield a value and what is in it."""
    yield value
    if depth and isinstance(value, dict):
        for key, item in value.items():
            yield from all_values(key, depth - 1)
            yield from all_values(item, depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from all_values(item, depth - 1)


def renderings(error: BaseException, settings: Any, *, with_pages: bool) -> Iterator[str]:
    """Yield an error as text with all local variables, and as Django's pages and mails."""
    kind, trace = type(error), error.__traceback__
    # The frames of the test itself hold the settings.
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    captured = traceback.TracebackException(kind, error, trace, capture_locals=True)
    yield "".join(captured.format())
    settings.IMPORTMONITOR = {}
    for debug in (True, False) if with_pages else ():
        settings.DEBUG = debug
        reporter = ExceptionReporter(RequestFactory().get("/"), kind, error, trace)
        yield reporter.get_traceback_html()
        yield reporter.get_traceback_text()
    for frame in frames(error):
        for name, value in frame.tb_frame.f_locals.items():
            for item in all_values(value):
                yield f"{name} in {frame.tb_frame.f_code.co_qualname}: {item!r}"


def assert_hidden(error: BaseException, settings: Any, *, with_pages: bool = True) -> None:
    for text in renderings(error, settings, with_pages=with_pages):
        for secret in SECRETS:
            assert secret not in text.replace(__file__, ""), text[:2_000]


def run_command(name: str, **options: Any) -> Callable[[], object]:
    return lambda: call_command(name, **options)


def check() -> list[checks.CheckMessage]:
    return [*check_settings(app_configs=None), *check_channels(app_configs=None)]


ENTRIES: dict[str, Callable[[], object]] = {
    "get_config": conf.get_config,
    "get_workspace": lambda: conf.get_workspace("default"),
    "an unknown workspace": lambda: conf.get_workspace("unknown"),
    "sync_workspace": lambda: sync_workspace("default"),
    "sync of an unknown workspace": lambda: sync_workspace("unknown"),
    "sync_import_status": run_command("sync_import_status"),
    "check_rocketchat": run_command("check_rocketchat"),
    "send_test_alert": run_command("send_test_alert"),
    "prune_import_history": run_command("prune_import_history"),
    "check": check,
}


@pytest.mark.thorough(one_in=7)
@pytest.mark.parametrize("name", INVALID)
def test_invalid_settings_show_no_secret(settings: Any, name: str) -> None:
    for entry_name, entry in ENTRIES.items():
        settings.IMPORTMONITOR = INVALID[name]
        try:
            entry()
        except (ImproperlyConfigured, CommandError, conf.UnknownWorkspace, SystemExit) as error:
            # A page takes long, and shows the same variables.
            assert_hidden(error, settings, with_pages=entry_name == "get_workspace")
    settings.IMPORTMONITOR = INVALID[name]
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.get_config()
    assert str(caught.value).isprintable() or "\n" in str(caught.value)
    assert (messages := str(check()))
    assert not any(secret in messages for secret in SECRETS)


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("name", INVALID_CHANNELS)
def test_invalid_channel_shows_no_secret(settings: Any, name: str) -> None:
    settings.IMPORTMONITOR = valid() | {"CHANNELS": {"ops": INVALID_CHANNELS[name]}}
    with pytest.raises(Misconfigured) as caught:
        load_backend(conf.get_options().channels["ops"])
    assert_hidden(caught.value, settings)


def test_unknown_workspace_shows_no_secret(settings: Any) -> None:
    settings.IMPORTMONITOR = valid()
    with pytest.raises(conf.UnknownWorkspace, match="Configured: default, other") as caught:
        sync_workspace("unknown")
    assert_hidden(caught.value, settings)


class Bug(Exception):
    """What no code expects."""


def request() -> object:
    with Client(conf.get_workspace("default")) as client:
        return client.current_operation()


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    ("place", "entry"),
    [
        ("importmonitor.conf.workspaces.ALIAS", conf.get_config),
        ("importmonitor.conf.workspaces.WorkspaceConfig", conf.get_config),
        ("importmonitor.conf.workspaces.WorkspaceConfig", ENTRIES["get_workspace"]),
        ("importmonitor.conf.workspaces._check_credential", ENTRIES["sync_import_status"]),
        ("importmonitor.conf.workspaces._check_ca_bundle", ENTRIES["sync_workspace"]),
        ("importmonitor.conf.workspaces.urlsplit", ENTRIES["check_rocketchat"]),
        ("importmonitor.conf.channels.ChannelConfig", ENTRIES["get_config"]),
        ("importmonitor.conf.channels.DOTTED_PATH", conf.get_options),
        ("importmonitor.conf.options.Options", conf.get_options),
        ("importmonitor.conf.Config", ENTRIES["get_config"]),
        ("importmonitor.conf.read_options", conf.find_problems),
        ("importmonitor.checks.checks.Error", ENTRIES["check"]),
        ("importmonitor.rocketchat.client._Session", request),
        ("importmonitor.rocketchat.client.proxy_for", request),
        ("importmonitor.rocketchat.client.ApiResponse", request),
        ("importmonitor.rocketchat.client.parse_rate_limit", request),
        ("importmonitor.rocketchat.responses.error_for", request),
        ("importmonitor.rocketchat.client.parse_operation", ENTRIES["sync_workspace"]),
        ("importmonitor.rocketchat.client.json.loads", ENTRIES["sync_workspace"]),
        ("importmonitor.sync.poll.store_result", ENTRIES["sync_workspace"]),
        ("urllib3.connectionpool.HTTPConnectionPool._make_request", request),
    ],
)
def test_bug_shows_no_secret(
    settings: Any, monkeypatch: pytest.MonkeyPatch, place: str, entry: Callable[[], object]
) -> None:
    """Raised from within, with every frame above it in the traceback."""

    class Raising:
        def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
            raise Bug

        fullmatch = __call__

    with Server(echoing(lambda head: http(f'{{"operation": {{"a": "{head[:20]}"}}}}'))) as server:
        settings.IMPORTMONITOR = with_workspace(URL=server.url)
        monkeypatch.setattr(client_module, "MAX_ATTEMPTS", 1)
        monkeypatch.setattr(place, Raising())
        with pytest.raises(Bug) as caught:
            entry()
        monkeypatch.undo()
    assert_hidden(caught.value, settings)


@pytest.mark.parametrize("headers", ["X-Auth-Token", "Authorization"])
def test_bug_shows_no_api_token(
    settings: Any, monkeypatch: pytest.MonkeyPatch, rf: RequestFactory, headers: str
) -> None:
    """Nor the text of one that a client sent: what raises is mostly the database."""
    user = User.objects.create_user("reader")
    _token, text = ApiToken.objects.issue(user)
    values = {"X-User-Id": str(user.pk), "X-Auth-Token": str(text)}
    if headers == "Authorization":
        values = {"Authorization": f"Bearer {text}"}
    request = rf.get("/", headers=values)

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise Bug

    monkeypatch.setattr("importmonitor.models.tokens.columns", fail)
    with pytest.raises(Bug) as caught:
        TokenAPIView.as_view(renderer_classes=[JSONRenderer])(request)
    monkeypatch.undo()
    for rendering in renderings(caught.value, settings, with_pages=True):
        assert text not in rendering
