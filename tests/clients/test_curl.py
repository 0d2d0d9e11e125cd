"""curl against a live server: status, headers and bytes, as in a shell script."""

import json
import re
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node
from tests.clients.live_server import API, ENDPOINTS, TOO_MANY_REQUESTS, UNKNOWN, USERS, Mirror

pytestmark = node.required

LOGGED_OUT = (
    b'{"success":false,"error":"You must be logged in to do this.",'
    b'"status":"error","message":"You must be logged in to do this."}'
)
FORBIDDEN = (
    b'{"success":false,"error":"User does not have the permissions required for this action '
    b'[error-unauthorized]"}'
)
#: The responses without operations.
WITHOUT_OPERATIONS = {
    "getCurrentImportOperation": (200, b'{"success":true}'),
    "getLatestImportOperations": (200, b"[]"),
    "getImportProgress": (
        400,
        b'{"success":false,"error":"Import Operation Not Found [error-operation-not-found]",'
        b'"errorType":"error-operation-not-found"}',
    ),
    "import.status": (200, b'{"state":"none","success":true}'),
    UNKNOWN: (404, b"404 Not Found"),
}


@dataclass(frozen=True)
class CurlResult:
    """curl's exit status, and the status, headers and body of the response that it printed."""

    exit_status: int
    status: int
    headers: Message
    body: bytes


def curl(url: str, headers: dict[str, str], *options: str) -> CurlResult:
    """Run curl as a script does, and print the headers too."""
    header_options = [
        part for name, value in headers.items() for part in ("-H", f"{name}: {value}")
    ]
    process = subprocess.run(
        # The first option ignores the user's own configuration.
        [
            "curl",
            "--disable",
            "--silent",
            "--show-error",
            "--include",
            *header_options,
            *options,
            url,
        ],
        capture_output=True,
        timeout=300,
        check=False,
    )
    head, _, body = process.stdout.partition(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", first)
    assert status, process.stderr
    return CurlResult(
        process.returncode, int(status[1]), BytesHeaderParser().parsebytes(rest), body
    )


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_responses_without_operations(mirror: Mirror, endpoint: str) -> None:
    result = curl(mirror.url + API + endpoint, mirror.headers("tool"))
    assert (result.status, result.body) == WITHOUT_OPERATIONS[endpoint]
    assert_plain(result)


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_refused_requests(mirror: Mirror, endpoint: str) -> None:
    mirror.run_imports()
    for name, refused in (
        ("with a wrong token", (401, LOGGED_OUT)),
        ("stranger", (403, FORBIDDEN)),
    ):
        result = curl(mirror.url + API + endpoint, mirror.headers(name))
        assert (result.status, result.body) == refused
        assert_plain(result)
    result = curl(mirror.url + API + endpoint, {})
    assert (result.status, result.body) == (401, LOGGED_OUT)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_bytes_are_rocketchats(mirror: Mirror, endpoint: str) -> None:
    mirror.run_imports()
    for name in USERS:
        result = curl(mirror.url + API + endpoint, mirror.headers(name))
        expected = mirror.expected(name, endpoint)
        assert result.status == expected.status
        if isinstance(expected.body, str):
            assert result.body.decode() == expected.body
        else:
            # No database keeps the order of a document's keys; the rest is as in JavaScript.
            decoded = json.loads(result.body)
            assert decoded == expected.body
            assert result.body == json.dumps(decoded, separators=(",", ":")).encode()
        assert_plain(result)


def test_progress_is_equal_byte_for_byte(mirror: Mirror) -> None:
    """No key of it is the document's own, so that their order is Rocket.Chat's too."""
    mirror.run_imports()
    result = curl(mirror.url + API + "getImportProgress", mirror.headers("tool"))
    expected = mirror.expected("tool", "getImportProgress").body
    assert result.body == json.dumps(expected, separators=(",", ":")).encode()


def test_fail_option_sets_exit_status(mirror: Mirror) -> None:
    current = f"{mirror.url}{API}getCurrentImportOperation"
    assert curl(current, mirror.headers("tool"), "--fail").exit_status == 0
    for url, name in (
        (current, "stranger"),
        (current, "with a wrong token"),
        (mirror.url + API + UNKNOWN, "tool"),
    ):
        assert curl(url, mirror.headers(name), "--fail").exit_status == 22


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_too_many_requests(mirror: Mirror, two_requests_per_day: None, endpoint: str) -> None:
    mirror.run_imports()
    results = [curl(mirror.url + API + endpoint, mirror.headers("tool")) for _ in range(3)]
    assert [result.status for result in results] == [200, 200, 429]
    assert [result.headers["X-RateLimit-Limit"] for result in results] == ["2", "2", "2"]
    assert [result.headers["X-RateLimit-Remaining"] for result in results] == ["1", "0", "0"]
    assert len({result.headers["X-RateLimit-Reset"] for result in results}) == 1
    assert re.fullmatch(
        rf'{{"success":false,"error":"{TOO_MANY_REQUESTS}"}}'.encode(),
        results[2].body,
    )
    assert "Retry-After" not in results[2].headers
    assert_plain(results[2])


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_etag_saves_unchanged_bodies(
    mirror: Mirror, tmp_path: Path, settings: Any, endpoint: str
) -> None:
    # Without the cache, so that a change shows at once.
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(0)}
    mirror.run_imports()
    kept, url, headers = tmp_path / "etag", mirror.url + API + endpoint, mirror.headers("tool")
    # The first writes the file and the second reads it: a script in a loop uses them together.
    options = ("--etag-save", str(kept), "--etag-compare", str(kept))
    assert curl(url, headers, *options).status == 200
    second = curl(url, headers, *options)
    assert (second.status, second.body) == (304, b"")
    mirror.run_imports()
    assert curl(url, headers, *options).status == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_head_has_headers_of_get(mirror: Mirror, endpoint: str) -> None:
    mirror.run_imports()
    url, headers = mirror.url + API + endpoint, mirror.headers("tool")
    full, head = curl(url, headers), curl(url, headers, "--head")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "ETag", "Cache-Control", "X-Import-Sync"):
        assert head.headers[name] == full.headers[name]


@pytest.mark.parametrize("ending", ["/", "/more"])
def test_unknown_paths_do_not_redirect(mirror: Mirror, ending: str) -> None:
    url = f"{mirror.url}{API}getCurrentImportOperation{ending}"
    result = curl(url, mirror.headers("tool"), "--location")
    assert (result.status, result.body) == (404, b"404 Not Found")


def assert_plain(result: CurlResult) -> None:
    """Assert the headers of every response, and that none would mislead a browser or proxy."""
    json_or_text = "text/plain" if result.status == 404 else "application/json"
    assert result.headers["Content-Type"].partition(";")[0] == json_or_text
    if result.status != 404:
        assert result.headers["Content-Type"] == "application/json"
        assert result.headers["Cache-Control"] == "no-store"
    for name in ("WWW-Authenticate", "Set-Cookie", "Location"):
        assert name not in result.headers
