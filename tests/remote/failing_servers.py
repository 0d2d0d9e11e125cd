"""Failures that need a server: echoed tokens, and slow, large or truncated responses."""

import json

from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    Unreachable,
)
from tests.remote.failing_responses import (
    ADVICE,
    DOWN,
    IS_IT_UP,
    JSON,
    PAGE,
    PATH,
    Case,
    Serve,
    redirected_elsewhere,
    refused,
    served,
    unknown_name,
)
from tests.remote.helpers import TOKEN
from tests.remote.servers import (
    MIB,
    Connection,
    answering,
    dripping,
    echoing,
    flooding,
    gzip_bomb,
    http,
    resetting,
    silent,
)


def echo_json(head: str) -> bytes:
    return http(json.dumps({"success": False, "error": head}), 400)


def echo_page(head: str) -> bytes:
    return http(PAGE.format(f"<pre>{head}</pre>"), content_type="text/html")


def echo_error_page(head: str) -> bytes:
    return http(PAGE.format(head.replace("\r\n", "<br>")), 502, content_type="text/html")


def echo_location(head: str) -> bytes:
    return http(status=302, headers={"Location": f"https://example.org{PATH}?token={TOKEN}"})


def echo_type(head: str) -> bytes:
    return http("hello", content_type=f"text/{TOKEN}")


def echo_across_the_excerpt(head: str) -> bytes:
    """Return the token where the excerpt is cut."""
    return http("x" * 185 + TOKEN, content_type="text/plain")


def echo_first(head: str) -> bytes:
    """Return the request's headers in place of the status line."""
    return "\r\n".join(reversed(head.split("\r\n"))).encode() + b"\r\n\r\n"


def echo_size(head: str) -> bytes:
    """Return the token in place of a chunk's size."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + TOKEN.encode() + b"\r\n\r\n"


def echo_headers(head: str) -> bytes:
    """Return the request's headers among the response's, after a line that ends the parsing."""
    return (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nnot a header\r\n"
        + head.partition("\r\n")[2].encode()
        + b"\r\n\r\nnothing here"
    )


def bad_request(connection: Connection) -> None:
    """Respond as a plain web server does to what it does not understand."""
    connection.sock.recv(65_536)
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def resetting_within(connection: Connection) -> None:
    connection.read_head()
    connection.send(http("{", length=9))
    # The response has to arrive before the reset, which would discard it.
    connection.pause(0.1)
    connection.reset()


ECHOED = [
    Case(f"the request in {name}", kind, words, served(echoing(respond)))
    for name, respond, kind, words in (
        ("JSON", echo_json, BadAnswer, ("400 application/json", "its log may say why")),
        ("a page", echo_page, NotRocketChat, ("200 text/html", "GET /api", "Set the URL")),
        ("an error page", echo_error_page, Unreachable, ("502 text/html", "GET /api", DOWN)),
        ("a location", echo_location, NotRocketChat, ("302", "https://example.org", "URL")),
        ("a type", echo_type, BadAnswer, ("200 text/", "hello", ADVICE)),
        ("a cut text", echo_across_the_excerpt, BadAnswer, ("200 text/plain", "xxxx", ADVICE)),
        ("the first line", echo_first, Unreachable, ("Is the URL right?",)),
        ("a chunk", echo_size, Unreachable, ("Does a proxy in front of it truncate or alter",)),
        ("the headers", echo_headers, NotRocketChat, ("404", "Set the URL")),
    )
]

FLOOD = flooding(http(length=64 * MIB), 64 * MIB)
BOMB = answering(http(gzip_bomb(), headers={"Content-Encoding": "gzip"}))
REDIRECTING_BOMB = answering(
    http(gzip_bomb(), 302, headers={"Content-Encoding": "gzip", "Location": "/login"})
)


def silence(name: str, serve: Serve) -> Case:
    words = ("no data for 0.2 s", IS_IT_UP)
    return Case(name, Unreachable, words, serve, timeout=0.2)


def slow(name: str, serve: Serve) -> Case:
    words = ("within the deadline of 0.3 s", "DEADLINE too short")
    return Case(name, Unreachable, words, serve, timeout=0.3, deadline=0.3)


SERVED = [
    Case(
        "a truncated body",
        Unreachable,
        ("Does a proxy in front of it truncate or alter responses?",),
        served(answering(http('{"operation": {', length=1_000))),
    ),
    Case("a reset", Unreachable, ("reset", "Is the URL right?"), served(resetting)),
    Case(
        "a reset within the body",
        Unreachable,
        ("reset", "Does a proxy"),
        served(resetting_within),
    ),
    Case("no response", Unreachable, ("without response", IS_IT_UP), served(answering(b""))),
    Case(
        "no HTTP", Unreachable, ("SSH-2.0", IS_IT_UP), served(answering(b"SSH-2.0-OpenSSH_9\r\n"))
    ),
    Case("refused", Unreachable, ("refused", IS_IT_UP), refused),
    Case("an unknown name", Unreachable, ("Name or service not known", IS_IT_UP), unknown_name),
    Case(
        "a redirect to another host",
        NotRocketChat,
        ("302 application/json", "set its URL to http://127.0.0.1:"),
        redirected_elsewhere,
    ),
    Case(
        "a redirect without a location",
        NotRocketChat,
        ("302", "names no location"),
        served(answering(http(status=302))),
    ),
    Case(
        "a redirect to an invalid URL",
        NotRocketChat,
        ("302", "http://[bad", "Redirects are not followed"),
        served(answering(http(status=302, headers={"Location": "http://[bad/"}))),
    ),
    Case(
        "a redirect that is not UTF-8",
        NotRocketChat,
        ("302", "Redirects are not followed"),
        served(answering(http(status=302, headers={"Location": "https://example.org/\xff\x9b"}))),
    ),
    Case(
        "a redirect with a control character",
        NotRocketChat,
        ("302", "Redirects are not followed"),
        served(answering(http(status=302, headers={"Location": f"https://a/\0b{PATH}"}))),
    ),
    Case(
        "64 MiB",
        BadAnswer,
        (JSON, "longer than 8 MiB", ADVICE),
        served(FLOOD),
        forbidden=("empty",),
    ),
    Case(
        "millions of empty objects",
        BadAnswer,
        (JSON, "more than 500,000 values", ADVICE),
        served(answering(http(b'{"operation":[' + b"{}," * 2_000_000 + b"{}]}"))),
    ),
    Case(
        "a long page with 502",
        Unreachable,
        ("502", "text/html", "is down or starting"),
        served(answering(http(b"<p>" + b"x" * 9_000_000, status=502, content_type="text/html"))),
    ),
    Case(
        "a page whose tags are slow to remove",
        NotRocketChat,
        ("200 text/html", "Set the URL"),
        served(answering(http(b"<!--" * 40_000, content_type="text/html"))),
        timeout=1,
        deadline=1,
    ),
    Case(
        "a gzip bomb",
        BadAnswer,
        (JSON, "longer than 8 MiB", ADVICE),
        served(BOMB),
        forbidden=("empty",),
    ),
    Case(
        "no gzip",
        BadAnswer,
        ("cannot be decompressed", "Check the proxy in front of Rocket.Chat."),
        served(answering(http("hello", headers={"Content-Encoding": "gzip"}))),
    ),
    Case(
        "a content type with control characters",
        BadAnswer,
        ("200 text/", "hello", ADVICE),
        served(answering(http("hello", content_type="text/\0\x1b[2J\x9bplain"))),
    ),
    Case(
        "an endless content type",
        BadAnswer,
        ("200 text/xxx", "hello", ADVICE),
        served(answering(http("hello", content_type="text/" + "x" * 60_000))),
    ),
    Case(
        "an endless status line",
        Unreachable,
        (IS_IT_UP,),
        served(answering(b"x" * 60_000 + b"\r\n\r\n")),
    ),
    Case(
        "a negative chunk",
        Unreachable,
        ("Does a proxy in front",),
        served(
            answering(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"
            )
        ),
    ),
    Case(
        "two lengths",
        Unreachable,
        ("Content-Length", "Does a proxy in front"),
        served(answering(http("hello", headers={"content-length": "7"}))),
    ),
    Case(
        "a thousand headers",
        Unreachable,
        ("headers", IS_IT_UP),
        served(answering(http("{}", headers={f"X-{number}": "" for number in range(1_000)}))),
    ),
    Case(
        "a plain server for https",
        Unreachable,
        ("TLS: ", "is it an http:// address"),
        served(bad_request, scheme="https"),
    ),
    silence("silence", served(silent)),
    silence("silence for https", served(silent, scheme="https")),
    slow("a body that drips", served(dripping(http("{", length=1_000), b" "))),
    slow("a status line that drips", served(dripping(b"HTTP/1.1 200 ", b"O"))),
    slow("headers that drip", served(dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"))),
]
