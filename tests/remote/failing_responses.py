"""The ways not to answer, each with what is to be said of it."""

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
from tests.remote.servers import (
    Behaviour,
    Server,
    answering,
    http,
    silent,
)

PATH = "/api/v1/getCurrentImportOperation"
CHAT = "https://chat.example.org"
USER_ID = "d26x6zSkaPSe5gCyy"
TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"
#: Enough of the token to count as having told it.
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

Place = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True)
class Case:
    """A way not to answer, and what is to be said of it.

    `place` is a context manager that gives the workspace's URL; `told` are words that the message
    has to hold beside the workspace and what was asked, the last of them what to do.
    """

    name: str
    kind: type[RocketChatError]
    told: tuple[str, ...]
    place: Place
    timeout: float = 5
    deadline: float = 10
    not_told: tuple[str, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)


def faked(
    body: bytes | str | Mapping[str, object] | list[object],
    status: int = 200,
    content_type: str = "application/json",
    *,
    url: str = CHAT,
    headers: Mapping[str, str] | None = None,
) -> Place:
    """Answer without a network."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)

    @contextmanager
    def place() -> Iterator[str]:
        with responses.RequestsMock() as mocked:
            mocked.get(
                url + PATH,
                body=content,
                status=status,
                content_type=content_type,
                headers=dict(headers or {}),
            )
            yield url

    return place


def served(behaviour: Behaviour, *, scheme: str | None = None) -> Place:
    """Answer over a real socket."""

    @contextmanager
    def place() -> Iterator[str]:
        with Server(behaviour, scheme=scheme) as server:
            yield server.url

    return place


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
    """Give the URL of a server that points to another, which must not hear of it."""
    with Server(answering(http(json.dumps(GOOD)))) as other:
        location = f"{other.url}{PATH}"
        with Server(answering(http(status=302, headers={"Location": location}))) as server:
            yield server.url
        assert other.connections == 0


JSON = "200 application/json"
ADVICE = "Check that the URL is Rocket.Chat's"
DOWN = "Rocket.Chat, or the proxy in front of it, is down or starting."
CREDENTIALS = "Check USER_ID and AUTH_TOKEN"
NO_PERMISSION = "Give a role of the token's user the permission run-import"
SLOW_DOWN = "api-bypass-rate-limit"
IS_IT_UP = "Is the server up, and can it be reached from here?"
RUN_IMPORT: Mapping[str, object] = {"permission": "run-import"}
LOGGED_OUT = "You must be logged in to do this."
FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"
TOO_MANY = (
    "Error, too many requests. Please slow down. You must wait {} seconds before trying this "
    "endpoint again. [error-too-many-requests]"
)


def page(status: int, kind: type[RocketChatError], advice: str) -> Case:
    told = (f"{status} text/html", "nginx is here", advice)
    place = faked(NGINX, status, "text/html; charset=utf-8")
    return Case(f"HTML with {status}", kind, told, place, not_told=("<", "hide"))


def bad_json(name: str, body: bytes | str, *told: str) -> Case:
    return Case(name, BadAnswer, (JSON, *told, ADVICE), faked(body))


def refusal(
    name: str,
    status: int,
    body: dict[str, object],
    kind: type[RocketChatError],
    advice: str,
    attributes: Mapping[str, object] | None = None,
) -> Case:
    words = str(body.get("error") or body["message"])
    told = (f"{status} application/json", words[:60], advice)
    return Case(name, kind, told, faked(body, status), attributes=attributes or {})


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
        "HTML that is not called so",
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
        ("405 without a type, empty", "Set the URL to the workspace's own address"),
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
        "429 without a word",
        RateLimited,
        ("429 text/plain", "Slow down", SLOW_DOWN),
        faked("Slow down", 429, "text/plain"),
    ),
    bad_json("truncated JSON", json.dumps(GOOD)[:-20], "7PbvsnKJD9ZAqw38C", "it is not JSON"),
    bad_json("text", "pong", "'pong'", "it is not JSON"),
    bad_json("not UTF-8", b'{"operation": "caf\xe9"}', "caf", "it is not UTF-8"),
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
        # Python's own words are for programmers: they advise to call a function of `sys`.
        not_told=("set_int_max_str_digits",),
    ),
    bad_json("NaN", '{"operation": {"_id": NaN}}', "NaN", "it is not JSON (NaN is not JSON)"),
    bad_json("Infinity", '{"operation": -Infinity}', "it is not JSON (-Infinity is not JSON)"),
    bad_json("an empty body", "", "it is empty"),
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
        (f"points to '{CHAT}{PATH}'", f"set its URL to {CHAT}"),
        faked(
            "<html>Moved</html>",
            301,
            "text/html",
            headers={"Location": CHAT.replace("//", "//somebody:hush@") + PATH},
        ),
    ),
]
