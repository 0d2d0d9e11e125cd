"""Malformed requests, as bytes on a connection."""

import re
import socket
from typing import Any

import pytest
from django.test import Client

from tests.api.helpers import PATH, RUNNING, credentials, make_user, sync
from tests.api.test_responses import assert_not_found


@pytest.fixture
def raw_client(live_server: Any) -> tuple[Any, bytes]:
    """Return a function that sends bytes to a live server, and valid credentials as headers."""
    headers = credentials(make_user("tool", "run-import"))
    good = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
    sync(RUNNING)

    def send(lines: bytes) -> bytes:
        address = (live_server.thread.host, live_server.thread.port)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(lines)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    return send, good


def test_malformed_requests_get_rocketchats_responses(raw_client: Any) -> None:
    """Errors have Rocket.Chat's form, and none is a 500."""
    send, good = raw_client
    user_id, token = good.splitlines(keepends=True)
    # In the names only: a token can contain the same bytes.
    lower, underscored = (
        re.sub(rb"^X-(User|Auth)-", name, good, flags=re.MULTILINE)
        for name in (rb"x-\1-", rb"X_\1_")
    )
    number, here = user_id.split()[1], PATH.encode()
    for line, headers, expected in [
        (b"GET " + here, good, 200),
        (b"GET " + here, lower, 200),
        (b"GET " + here, b"X-User-Id: \t" + number + b" \r\n" + token, 200),
        (b"GET " + here, good + b"X-A: " + b"x" * 60_000 + b"\r\n", 200),
        (b"GET " + here, good + b"If-None-Match: " + b'"a",' * 9_000 + b"\r\n", 200),
        (b"GET " + here, good + b"If-Modified-Since: \xff\xfe\r\n", 200),
        (b"GET " + here, good + b"Cookie: sessionid=\xff\xfe; csrftoken=1\r\n", 200),
        (b"GET " + here, good + b"X-HTTP-Method-Override: DELETE\r\n", 200),
        (b"GET " + here, good + b"X-Original-URL: /admin/\r\nX-Forwarded-Host: evil\r\n", 200),
        (b"GET " + here, good + b"Range: bytes=0-3\r\n", 200),
        (b"GET " + here, good + b"Content-Length: 0\r\n", 200),
        (b"GET /api/v1/getCurrentImportOperatio%6E", good, 200),
        (b"GET /api/v1/import.status?%ff=%00&" + b"a=1&" * 5_000, good, 200),
        (b"GET " + here + b"?" + b"a=1&" * 5_000, good, 400),
        (b"GET " + here + b"?&", good, 400),
        (b"GET " + here, user_id + good, 401),
        (b"GET " + here, good + good, 401),
        (b"GET " + here, good + b"X-Auth-Token: z\r\n", 401),
        (b"GET " + here, token + b"X-User-Id: +" + number + b"\r\n", 401),
        (b"GET " + here, token + b"X-User-Id: 0" + number + b"\r\n", 401),
        (b"GET " + here, token + b"X-User-Id: " + number + b".0\r\n", 401),
        (b"GET " + here, token + b"X-User-Id: " + "١".encode() + b"\r\n", 401),
        (b"GET " + here, token + b"X-User-Id: " + number + b" " + number + b"\r\n", 401),
        (b"GET " + here, token + b"X-User-Id: " + number + b"\0\r\n", 401),
        (b"GET " + here, user_id + b"X-Auth-Token: " + b"x" * 60_000 + b"\r\n", 401),
        (b"GET " + here, underscored, 401),
        (b"GET " + here, b"Authorization: Basic \xff\xfe\r\n", 401),
        (b"GET " + here, b"Cookie: sessionid=" + b"a" * 32 + b"\r\n", 401),
        (b"POST " + here, good + b"X-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n", 404),
        (b"FR-OB " + here, good, 404),
        (b"GET " + here + b"%00", good, 404),
        (b"GET " + here + b"%0a", good, 404),
        (b"GET /api/v1/./getCurrentImportOperation", good, 404),
        (b"GET /api/v1/x/..%2fgetCurrentImportOperation", good, 404),
        (b"GET /api/v1/%ff%fe", good, 404),
        (b"GET /workspaces/%ff" + here, good, 404),
    ]:
        case = (line[:80], headers[:80])
        raw = send(
            line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + b"\r\n"
        )
        head, _, body = raw.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % expected), (case, head)
        assert b"text/html" not in head, case
        assert (body == b"404 Not Found") == (expected == 404), case
        assert (b'"success":true' in body) == (expected == 200), case


def test_responses_on_one_connection_do_not_mix(raw_client: Any) -> None:
    """A client would take a superfluous body for the start of the next response."""
    send, good = raw_client
    lines = [f"{method} {PATH} HTTP/1.1\r\nHost: localhost\r\n" for method in ("GET", "HEAD")]
    lines += [f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n"]
    lines += [f"GET {PATH}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"]
    raw = send(b"".join(line.encode() + good + b"\r\n" for line in lines))
    assert re.findall(rb"HTTP/1.1 (\d+)", raw) == [b"200", b"200", b"304", b"404"]
    assert raw.count(b'{"operation":') == 1
    assert raw.endswith(b"\r\n\r\n404 Not Found")


def test_alias_of_any_length_is_404(client: Client, headers: dict[str, str], settings: Any) -> None:
    # With it, WhiteNoise would check for a file with the name of the path.
    settings.WHITENOISE_AUTOREFRESH = False
    for alias in ("a" * 256, "a" * 60_000, "%00" * 60_000):
        assert_not_found(client.get(f"/workspaces/{alias}{PATH}", headers=headers))
