"""curl against a live server: status, headers and bytes, as a shell script gets them."""

import json
import re
import subprocess
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

import pytest

from tests.clients import node
from tests.clients.live_server import API, ENDPOINTS, PEOPLE, TOO_MANY, UNKNOWN, House

pytestmark = node.needed

LOGGED_OUT = (
    b'{"success":false,"error":"You must be logged in to do this.",'
    b'"status":"error","message":"You must be logged in to do this."}'
)
FORBIDDEN = (
    b'{"success":false,"error":"User does not have the permissions required for this action '
    b'[error-unauthorized]"}'
)
#: The answers where nothing was ever imported.
NOTHING = {
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
class Got:
    """What curl printed: the status, headers and body of an answer; and its exit status."""

    exit_status: int
    status: int
    headers: Message
    body: bytes


def curl(url: str, headers: dict[str, str], *options: str) -> Got:
    """Run curl as a script would, and show the headers too."""
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        # The first option keeps a user's own configuration out.
        ["curl", "--disable", "--silent", "--show-error", "--include", *given, *options, url],
        capture_output=True,
        timeout=60,
        check=False,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", first)
    assert status, done.stderr
    return Got(done.returncode, int(status[1]), BytesHeaderParser().parsebytes(rest), body)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_where_nothing_was_imported(house: House, endpoint: str) -> None:
    got = curl(house.url + API + endpoint, house.headers("tool"))
    assert (got.status, got.body) == NOTHING[endpoint]
    assert_plain(got)


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_refusals(house: House, endpoint: str) -> None:
    house.import_something()
    for name, refused in (
        ("with a wrong token", (401, LOGGED_OUT)),
        ("stranger", (403, FORBIDDEN)),
    ):
        got = curl(house.url + API + endpoint, house.headers(name))
        assert (got.status, got.body) == refused
        assert_plain(got)
    got = curl(house.url + API + endpoint, {})
    assert (got.status, got.body) == (401, LOGGED_OUT)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_bytes_of_rocketchat(house: House, endpoint: str) -> None:
    house.import_something()
    for name in PEOPLE:
        got = curl(house.url + API + endpoint, house.headers(name))
        expected = house.expected(name, endpoint)
        assert got.status == expected.status
        if isinstance(expected.body, str):
            assert got.body.decode() == expected.body
        else:
            # No database promises the order of a document's keys; all else is as JavaScript has it.
            found = json.loads(got.body)
            assert found == expected.body
            assert got.body == json.dumps(found, separators=(",", ":")).encode()
        assert_plain(got)


def test_the_progress_byte_for_byte(house: House) -> None:
    """Where no key is the document's own, their order is Rocket.Chat's too."""
    house.import_something()
    got = curl(house.url + API + "getImportProgress", house.headers("tool"))
    expected = house.expected("tool", "getImportProgress").body
    assert got.body == json.dumps(expected, separators=(",", ":")).encode()


def test_a_script_can_rely_on_the_exit_status(house: House) -> None:
    current = f"{house.url}{API}getCurrentImportOperation"
    assert curl(current, house.headers("tool"), "--fail").exit_status == 0
    for url, name in (
        (current, "stranger"),
        (current, "with a wrong token"),
        (house.url + API + UNKNOWN, "tool"),
    ):
        assert curl(url, house.headers(name), "--fail").exit_status == 22


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_too_many_calls(house: House, two_a_day: None, endpoint: str) -> None:
    house.import_something()
    got = [curl(house.url + API + endpoint, house.headers("tool")) for _ in range(3)]
    assert [each.status for each in got] == [200, 200, 429]
    assert [each.headers["X-RateLimit-Limit"] for each in got] == ["2", "2", "2"]
    assert [each.headers["X-RateLimit-Remaining"] for each in got] == ["1", "0", "0"]
    assert len({each.headers["X-RateLimit-Reset"] for each in got}) == 1
    assert re.fullmatch(
        rf'{{"success":false,"error":"{TOO_MANY}"}}'.encode(),
        got[2].body,
    )
    assert "Retry-After" not in got[2].headers
    assert_plain(got[2])


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_only_what_is_new(house: House, tmp_path: Path, endpoint: str) -> None:
    house.import_something()
    kept, url, headers = tmp_path / "etag", house.url + API + endpoint, house.headers("tool")
    # curl writes the one and reads the other: together they are what a script in a loop does.
    options = ("--etag-save", str(kept), "--etag-compare", str(kept))
    assert curl(url, headers, *options).status == 200
    again = curl(url, headers, *options)
    assert (again.status, again.body) == (304, b"")
    house.import_something()
    assert curl(url, headers, *options).status == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_head(house: House, endpoint: str) -> None:
    house.import_something()
    url, headers = house.url + API + endpoint, house.headers("tool")
    full, head = curl(url, headers), curl(url, headers, "--head")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "ETag", "Cache-Control", "X-Import-Sync"):
        assert head.headers[name] == full.headers[name]


@pytest.mark.parametrize("ending", ["/", "/more"])
def test_nothing_leads_elsewhere(house: House, ending: str) -> None:
    url = f"{house.url}{API}getCurrentImportOperation{ending}"
    got = curl(url, house.headers("tool"), "--location")
    assert (got.status, got.body) == (404, b"404 Not Found")


def assert_plain(got: Got) -> None:
    """Assert what holds for every answer, and what a browser or a proxy would misunderstand."""
    json_or_text = "text/plain" if got.status == 404 else "application/json"
    assert got.headers["Content-Type"].partition(";")[0] == json_or_text
    if got.status != 404:
        assert got.headers["Content-Type"] == "application/json"
        assert got.headers["Cache-Control"] == "no-store"
    for name in ("WWW-Authenticate", "Set-Cookie", "Location"):
        assert name not in got.headers
