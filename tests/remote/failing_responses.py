"""Responses that are errors, each with the error and the message that they stand for."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from unittest import mock

import responses

from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    PermissionMissing,
    RateLimited,
    RocketChatError,
    TwoFactorRequired,
    Unauthenticated,
    Unreachable,
)
from tests.remote.helpers import TOKEN, USER_ID
from tests.remote.servers import (
    Behaviour,
    Server,
    answering,
    http,
    silent,
)

PATH = "/api/v1/getCurrentImportOperation"
CHAT = "https://chat.example.org"
#: Enough of the token to count as a leak.
TOKEN_PART = TOKEN[:12]

GOOD = {
    "operation": {
        "_id": "7PbvsnKJD9ZAqw38C",
        "type": "CSV",
        "importerKey": "csv",
        "ts": 1635337234169,
        "status": "importer_importing_messages",
        "valid": True,
        "user": USER_ID,
        "_updatedAt": "2021-10-27T12:20:34.184Z",
        "count": {"total": 135, "completed": 35},
    },
    "success": True,
}
PAGE = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>{}</body></html>"
NGINX = PAGE.format("<h1>nginx is <b>here</b></h1><script>let us = 'hide';</script>")

Serve = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class Case:
    """A failure, and its error.

    `serve` is a context manager that yields the workspace's URL. The message has to contain
    `words` beside the workspace and the request, the last of them advice, and none of
    `forbidden`.
    """

    name: str
    kind: type[RocketChatError]
    words: tuple[str, ...]
    serve: Serve
    timeout: float = 30
    deadline: float = 60
    forbidden: tuple[str, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)


def faked(
    body: bytes | str | Mapping[str, object] | list[object],
    status: int = 200,
    content_type: str = "application/json",
    *,
    url: str = CHAT,
    headers: Mapping[str, str] | None = None,
) -> Serve:
    """Respond without a network."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)

    @contextmanager
    def serve() -> Iterator[str]:
        with responses.RequestsMock() as mocked:
            mocked.get(
                url + PATH,
                body=content,
                status=status,
                content_type=content_type,
                headers=dict(headers or {}),
            )
            yield url

    return serve


def served(behaviour: Behaviour, *, scheme: str | None = None) -> Serve:
    """Respond over a real socket."""

    @contextmanager
    def serve() -> Iterator[str]:
        with Server(behaviour, scheme=scheme) as server:
            yield server.url

    return serve


@contextmanager
def refused() -> Iterator[str]:
    with Server(silent, listening=False) as server:
        yield server.url


@contextmanager
def unknown_name() -> Iterator[str]:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with mock.patch.object(socket, "getaddrinfo", side_effect=error):
        yield "http://nonexistent.invalid"


@contextmanager
def redirected_elsewhere() -> Iterator[str]:
    """Yield the URL of a server that redirects to another, which must get no request."""
    with Server(answering(http(json.dumps(GOOD)))) as other:
        location = f"{other.url}{PATH}"
        with Server(answering(http(status=302, headers={"Location": location}))) as server:
            yield server.url
        assert other.connections == 0


JSON = "200 application/json"
ADVICE = "Check that the URL is Rocket.Chat's"
DOWN = "Rocket.Chat, or the proxy in front of it, is down or starting."
CREDENTIALS = "Check USER_ID and AUTH_TOKEN"
NO_PERMISSION = "Grant the permission run-import to a role of the token's user"
SLOW_DOWN = "api-bypass-rate-limit"
IS_IT_UP = "Is the server up and reachable from here?"
RUN_IMPORT: Mapping[str, object] = {"permission": "run-import"}
LOGGED_OUT = "You must be logged in to do this."
FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"
TOO_MANY = (
    "Error, too many requests. Please slow down. You must wait {} seconds before trying this "
    "endpoint again. [error-too-many-requests]"
)


def page(status: int, kind: type[RocketChatError], advice: str) -> Case:
    words = (f"{status} text/html", "nginx is here", advice)
    serve = faked(NGINX, status, "text/html; charset=utf-8")
    return Case(f"HTML with {status}", kind, words, serve, forbidden=("<", "hide"))


def bad_json(name: str, body: bytes | str, *words: str) -> Case:
    return Case(name, BadAnswer, (JSON, *words, ADVICE), faked(body))


def refusal(
    name: str,
    status: int,
    body: dict[str, object],
    kind: type[RocketChatError],
    advice: str,
    attributes: Mapping[str, object] | None = None,
) -> Case:
    excerpt = str(body.get("error") or body["message"])[:60]
    words = (f"{status} application/json", excerpt, advice)
    return Case(name, kind, words, faked(body, status), attributes=attributes or {})


FAKED = [
    page(200, NotRocketChat, "Set the URL to the workspace's own address"),
    page(401, NotRocketChat, "Set the URL to the workspace's own address"),
    page(403, NotRocketChat, "Set the URL to the workspace's own address"),
    page(404, NotRocketChat, "Set the URL to the workspace's own address"),
    page(500, Unreachable, DOWN),
    page(502, Unreachable, DOWN),
    page(503, Unreachable, DOWN),
    page(504, Unreachable, DOWN),
    Case(
        "HTML below a path",
        NotRocketChat,
        ("200 text/html", "nginx is here", f"did you mean {CHAT}?"),
        faked(NGINX, content_type="text/html", url=f"{CHAT}/wiki/chat"),
    ),
    Case(
        "HTML declared as JSON",
        NotRocketChat,
        ("200 application/json", "nginx is here", "Set the URL to the workspace's own address"),
        faked("\n" + NGINX),
    ),
    Case(
        "404 of RC 8",
        NotRocketChat,
        ("404 text/plain", "404 Not Found", "Set the URL to the workspace's own address"),
        faked("404 Not Found", 404, "text/plain"),
    ),
    Case(
        "405",
        NotRocketChat,
        ("405 without a content type, empty body", "Set the URL to the workspace's own address"),
        faked("", 405, ""),
    ),
    Case(
        "500 of JSON",
        Unreachable,
        ("500 application/json", "Internal server error", DOWN),
        faked({"success": False, "error": "Internal server error"}, 500),
    ),
    refusal(
        "401 of RC 7 and 8",
        401,
        {"success": False, "error": LOGGED_OUT, "status": "error", "message": LOGGED_OUT},
        Unauthenticated,
        CREDENTIALS,
    ),
    refusal(
        "401 of RC 5 and 6",
        401,
        {"status": "error", "message": LOGGED_OUT},
        Unauthenticated,
        CREDENTIALS,
    ),
    refusal(
        "403 of RC 6, 7 and 8",
        403,
        {"success": False, "error": FORBIDDEN},
        PermissionMissing,
        NO_PERMISSION,
        RUN_IMPORT,
    ),
    refusal(
        "400 of RC 5 for a permission",
        400,
        {"success": False, "error": "[not_authorized]", "errorType": "not_authorized"},
        PermissionMissing,
        NO_PERMISSION,
        RUN_IMPORT,
    ),
    refusal(
        "400 of RC 8 for parameters",
        400,
        {
            "success": False,
            "errorType": "error-invalid-params",
            "error": "must NOT have additional properties",
        },
        BadAnswer,
        "its log may say why",
    ),
    refusal(
        "400 of RC 5 to 7 for parameters",
        400,
        {
            "success": False,
            "errorType": "invalid-params",
            "error": "must NOT have additional properties",
        },
        BadAnswer,
        "its log may say why",
    ),
    refusal(
        "two-factor",
        400,
        {
            "success": False,
            "error": "TOTP Required [totp-required]",
            "errorType": "totp-required",
            "details": {"method": "totp"},
        },
        TwoFactorRequired,
        "Ignore Two Factor Authentication",
    ),
    refusal("429", 429, {"success": False, "error": TOO_MANY.format(42)}, RateLimited, SLOW_DOWN),
    Case(
        "429 in plain text",
        RateLimited,
        ("429 text/plain", "Slow down", SLOW_DOWN),
        faked("Slow down", 429, "text/plain"),
    ),
    bad_json("truncated JSON", json.dumps(GOOD)[:-20], "7PbvsnKJD9ZAqw38C", "the body is not JSON"),
    bad_json("text", "pong", "'pong'", "the body is not JSON"),
    bad_json("not UTF-8", b'{"operation": "caf\xe9"}', "caf", "the body is not UTF-8"),
    bad_json("a list", "[1, 2]", "'[1, 2]'", "an object was expected, not an array"),
    bad_json("null", "null", "'null'", "an object was expected, not null"),
    bad_json("a number", "42", "'42'", "an object was expected, not a number"),
    bad_json("a string", '"hello"', "hello", "an object was expected, not a string"),
    bad_json("a boolean", "true", "'true'", "an object was expected, not a boolean"),
    bad_json("200,000 brackets", "[" * 200_000 + "]" * 200_000, "[[[[", "nested too deeply"),
    bad_json(
        "200,000 braces",
        '{"operation":' + '{"a":' * 200_000 + "1" + "}" * 200_001,
        "operation",
        "nested too deeply",
    ),
    Case(
        "a 5,000-digit integer",
        BadAnswer,
        (JSON, "11111", "digits", ADVICE),
        faked('{"operation": {"_id": "a", "ts": ' + "1" * 5_000 + "}}"),
        # Python's own message is for programmers: it advises to call a function of `sys`.
        forbidden=("set_int_max_str_digits",),
    ),
    bad_json("NaN", '{"operation": {"_id": NaN}}', "NaN", "the body is not JSON (NaN is not JSON)"),
    bad_json(
        "Infinity", '{"operation": -Infinity}', "the body is not JSON (-Infinity is not JSON)"
    ),
    bad_json("an empty body", "", "the body is empty"),
    bad_json("an empty object", "{}", "'{}'", "neither `operation` nor `success`"),
    bad_json("another API", '{"status": "up"}', "status", "neither `operation` nor `success`"),
    bad_json("a list for an operation", '{"operation": [1]}', "[1]", "not an array"),
    bad_json("a number for an operation", '{"operation": 7, "success": true}', "7", "not a number"),
    refusal(
        "success: false",
        200,
        {"success": False, "error": "Something went wrong"},
        BadAnswer,
        "its log may say why",
    ),
    Case(
        "a redirect to https",
        NotRocketChat,
        ("301 text/html", f"set its URL to {CHAT}"),
        faked(
            "<html>Moved</html>",
            301,
            "text/html",
            url="http://chat.example.org",
            headers={"Location": CHAT + PATH},
        ),
    ),
    Case(
        "a redirect with a password",
        NotRocketChat,
        (f"redirects to '{CHAT}{PATH}'", f"set its URL to {CHAT}"),
        faked(
            "<html>Moved</html>",
            301,
            "text/html",
            headers={"Location": CHAT.replace("//", "//user:hush@") + PATH},
        ),
    ),
]
