"""A secret that comes back is in no message and in no stored document, in whatever form."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command

from importmonitor.models import Alert, ImportOperation, SyncPeriod, Workspace
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.config import WorkspaceConfig
from importmonitor.rocketchat.exceptions import BadAnswer, RocketChatError
from importmonitor.rocketchat.redaction import redact, redact_json
from importmonitor.sync import sync_workspace
from tests.conftest import configure
from tests.remote.helpers import NO_OPERATION, TOKEN, USER_ID
from tests.remote.servers import Server, answering, echoing, http

SHORT = "s3cret-token"


def each(form: str) -> Callable[[str], str]:
    """Encode each character by a format of its number."""
    return lambda text: "".join(form.format(ord(char)) for char in text)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


#: Texts by which a token can be read.
FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "in a text": lambda token: f"X-Auth-Token: {token}, wrong",
    "upper case": str.upper,
    "JSON escapes": each("\\u{:04x}"),
    "upper-case JSON escapes": each("\\u{:04X}"),
    "twice in JSON": lambda token: json.dumps(json.dumps(each("\\u{:04x}")(token))),
    "JavaScript escapes": each("\\x{:02x}"),
    "octal escapes": each("\\{:03o}"),
    "one escape": lambda token: f"\\u{ord(token[0]):04x}{token[1:]}",
    "a backslash in between": lambda token: f"{token[:5]}\\{token[5:]}",
    "HTML entities": each("&#{};"),
    "hexadecimal HTML entities": each("&#x{:X};"),
    "one HTML entity": lambda token: f"{token[:5]}&#{ord(token[5])};{token[6:]}",
    "percent-encoded": each("%{:02x}"),
    "upper-case percent-encoded": each("%{:02X}"),
    "percent-encoded twice": each("%25{:02x}"),
    "quoted-printable": each("={:02X}"),
    "base64": encoded,
    "base64 after a name": lambda token: encoded(f"monitor:{token}"),
    "base64 in another alignment": lambda token: f"Basic x{encoded(f'ab{token}')}",
    "URL-safe base64 in a URL": lambda token: quote(
        base64.urlsafe_b64encode(f"a?b:{token}".encode())
    ),
    "base64 in lines": lambda token: base64.encodebytes(f"{'x' * 50}{token}".encode()).decode(),
    "hexadecimal": lambda token: token.encode().hex(),
    "split by a tag": lambda token: f"{token[:6]}<b class='x'>{token[6:]}</b>",
    "split by many tags": "<br/>".join,
    "split by a line break": lambda token: f"{token[:6]}\r\n  {token[6:]}",
    "split by spaces": " ".join,
    "split by NUL": "\0".join,
    "split by zero-width spaces": "\u200b".join,
    "split by entities": "&nbsp;".join,
    "split by encoded line breaks": "%0A".join,
}


def reveals(text: str, token: str) -> bool:
    """Return whether a text contains a token in a form, or as much of it as counts."""
    forms = (form(token) for form in FORMS.values())
    return token[:8] in text or any(form in text for form in forms)


@pytest.mark.parametrize("token", [TOKEN, SHORT, TOKEN[:16], "to.ken"], ids=len)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_redacted(form: str, token: str) -> None:
    text = f"before {FORMS[form](token)} after"
    assert not reveals(redact(text, [token]), token)
    document = {"file": text, "a": [{"b": text}], text: text}
    assert not reveals(repr(redact_json(document, (token,))), token)


@pytest.mark.parametrize("start", range(0, len(TOKEN) - 8, 7))
def test_part_of_a_token_is_redacted_in_messages(start: int) -> None:
    part = TOKEN[start : start + 12]
    assert part not in redact(f"before {part}", [TOKEN])


def test_other_text_stays() -> None:
    text = "import of 2026 (final) — 100 %\n<b>token</b> &amp; 1Dd4 =3D \\u0041 " + "x" * 100
    assert redact(text, [TOKEN, SHORT]) == text
    document = {"file": text, "count": {"total": 5}, "list": [None, True, 1.5]}
    assert redact_json(document, (TOKEN,)) == document


def test_text_around_a_token_stays() -> None:
    assert redact(f"token {TOKEN} refused", [TOKEN]) == "token [hidden] refused"


@pytest.mark.thorough(one_in=9)
@pytest.mark.parametrize("token", [TOKEN, SHORT], ids=len)
@pytest.mark.parametrize("form", FORMS)
def test_error_message_contains_no_token(form: str, token: str) -> None:
    text = FORMS[form](token)
    error = json.dumps({"success": False, "error": text})
    page = f"<html><title>Login</title>{'<i>' * 40}{text}</html>"
    responses = [
        http(error, 400),
        http(text, 200, "text/plain"),
        http(page, 403, "text/html"),
        # It would be cut in the middle of the token.
        http(f"<html>{'<i>' * 1358}{text}</html>", 200, "text/html"),
        http(f"{'x' * 190}{text}", 200, "text/plain"),
    ]
    if text.isprintable() and text.isascii():
        responses.append(http("", 302, headers={"Location": f"https://a.example/?{text}"}))
        responses.append(http("", 200, f"text/{text}"))
    for response in responses:
        with (
            Server(answering(response)) as server,
            Client(WorkspaceConfig("default", server.url, USER_ID, token)) as client,
            pytest.raises(RocketChatError) as caught,
        ):
            client.current_operation()
        assert not reveals(str(caught.value), token), str(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize("token", [TOKEN, SHORT], ids=len)
def test_stored_documents_contain_no_token(settings: Any, token: str) -> None:
    texts = [form(token) for form in FORMS.values()]
    document = {
        "_id": "7PbvsnKJD9ZAqw38C",
        "type": texts[0],
        "importerKey": "csv",
        "status": "importer_importing_users",
        "valid": True,
        "user": token,
        "file": f"1635337234169_{texts[0]}.zip",
        "contentType": token,
        "count": {"total": 5, token: texts},
        "notes": texts,
        token: 1,
    }

    def echo(head: str) -> bytes:
        assert token in head
        body = json.dumps({"operation": document, "success": True})
        # As JSON escapes of the document itself.
        return http(body.replace(token, each("\\u{:04X}")(token)))

    with Server(echoing(echo)) as server:
        configure(settings, server.url, AUTH_TOKEN=token)
        assert sync_workspace("default").ok
    operation = ImportOperation.objects.get()
    assert (operation.remote_id, operation.count_total) == ("7PbvsnKJD9ZAqw38C", 5)
    assert operation.type == operation.content_type == "[hidden]"
    assert operation.file == "1635337234169_[hidden].zip"
    for model in (ImportOperation, Workspace, SyncPeriod, Alert):
        assert not reveals(repr(list(model.objects.values())), token)


def test_unchanged_body_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle polls compare the raw bodies."""
    body = http(json.dumps({"operation": {"_id": "a", "file": TOKEN}, "success": True}))
    with (
        Server(answering(body, body, NO_OPERATION)) as server,
        Client(WorkspaceConfig("default", server.url, USER_ID, TOKEN)) as client,
    ):
        first = client.current_operation()
        assert first is not None
        assert first.file == "[hidden]"
        monkeypatch.setattr("importmonitor.rocketchat.client.redact_json", None)
        assert client.current_operation() is first


def test_version_contains_no_token() -> None:
    body = http(json.dumps({"version": f"8.{TOKEN}", "success": True}))
    with (
        Server(answering(body)) as server,
        Client(WorkspaceConfig("default", server.url, USER_ID, TOKEN)) as client,
    ):
        assert client.version() == "8.[hidden]"


def test_placeholder_is_no_secret() -> None:
    """A token of fewer characters is part of ordinary words, and none of Rocket.Chat's."""
    assert redact("status of a test", ["t"]) == "status of a test"
    assert redact_json({"status": "test"}, ("t",)) == {"status": "test"}


# The credentials of proxies.

PASSWORD = "pa55-hush"


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:hush/pa55@{}",
        "http://me:hush#pa55@{}",
        "http://me:hush?pa55@{}",
        "http://me:hush@pa55@{}",
        "http://me:12/hush@{}",
        "http://me:12#hush@{}",
        "http://me:12?hush@{}",
        "http://me:hush\\pa55@{}",
        "http://me:hush pa55@{}",
        "http://me:hush[pa55@{}",
        "http://me:hush]pa55@{}",
        "http://me:hush%zzpa55@{}",
        "http://me:hush%2Fpa55@{}",
        "http://me:hush\npa55@{}",
        "http://me:hüsh-hush@{}",
        "http://me:hush\u2100pa55@{}",
        "http://me:hush\u00e9\u4e2dpa55@127.0.0.1:99999",
        "http://me:hush-pa55@127.0.0.1:99999",
        "http://me:hush-pa55@127.0.0.1:hush",
        "http://me:hush-pa55@[::1",
        "http://me:hush-pa55@{}:1:2",
        "http://hush-pa55@127.0.0.1:99999",
        "me:hush-pa55@127.0.0.1:99999",
        "socks5://me:hush-pa55@127.0.0.1:9",
        "pigeon://me:hush-pa55@127.0.0.1:9",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.django_db
def test_password_of_a_proxy_is_nowhere(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    proxy: str,
    scheme: str,
) -> None:
    caplog.set_level("DEBUG")

    def echo(head: str) -> bytes:
        secret = head.partition("Proxy-Authorization: ")[2].partition("\r\n")[0]
        plain = base64.b64decode(secret.partition(" ")[2] + "==").decode("latin-1")
        return http(f"refused: {secret} {plain!r}", 407, "text/plain")

    with Server(echoing(echo)) as server:
        monkeypatch.setenv(f"{scheme}_proxy", proxy.format(f"127.0.0.1:{server.port}"))
        configure(settings, f"{scheme}://chat.example.org", ALLOW_HTTP=True, DEADLINE=1)
        with pytest.raises(SystemExit):
            call_command("sync_import_status")
    out, err = capfd.readouterr()
    stored = repr([list(model.objects.values()) for model in (Workspace, SyncPeriod, Alert)])
    assert "sync failed" in out
    for text in (out, err, stored, caplog.text):
        assert "hush" not in text
        assert "pa55" not in text
        assert encoded("me:hush")[:8] not in text


def test_password_of_a_proxy_is_redacted_in_any_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:a%2Fb%40hush@proxy.example:3128")
    body = f"refused: {encoded('me:a/b@hush')} a/b@hush a%2fb%40hush {'x' * 50}"
    config = WorkspaceConfig("default", "http://127.0.0.1", USER_ID, TOKEN)
    with Server(answering(http(body, 200, "text/plain"))) as server:
        config = WorkspaceConfig("default", server.url, USER_ID, TOKEN)
        with Client(config) as client, pytest.raises(BadAnswer) as caught:
            client.current_operation()
    assert "hush" not in str(caught.value)
    assert encoded("me:a/b")[:8] not in str(caught.value)
