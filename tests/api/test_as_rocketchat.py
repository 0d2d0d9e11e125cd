"""The endpoints and a Rocket.Chat 8 are asked the same, and answer the same."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client

from importmonitor.api.rocketchat import responses
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.rocketchat.states import STEPS
from importmonitor.sync.poll import sync_workspace
from simulator.responses import respond
from simulator.workspace import Workspace
from tests.api.helpers import NOON, RUNNING, credentials, make_user
from tests.fake_client import FakeClient

API = "/api/v1/"
ENDPOINTS = (
    "getCurrentImportOperation",
    "getLatestImportOperations",
    "getImportProgress",
    "import.status",
)
#: Who may do what, there and here alike.
PERMISSIONS = {
    "tool": ("run-import", "view-import-operations"),
    "runner": ("run-import",),
    "viewer": ("view-import-operations",),
    "stranger": (),
}
REQUESTS = [
    ("GET", "", ""),
    ("GET", "", "?"),
    ("GET", "", "?_=1"),
    ("GET", "", "?count=&offset"),
    ("GET", "/", ""),
    ("GET", "/", "?_=1"),
    ("GET", "/more", ""),
    ("GET", ".json", ""),
    ("POST", "", ""),
    ("POST", "/", ""),
    ("PUT", "", "?_=1"),
    ("PATCH", "", ""),
    ("DELETE", "", ""),
    ("OPTIONS", "", ""),
    ("OPTIONS", "", "?_=1"),
]
BLANK: dict[str, str] = {}


@pytest.fixture
def callers(
    workspace: Workspace, db: None, settings: Any
) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Return the headers of each kind of caller, for Rocket.Chat and for us."""
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor_wrong_tokens": None}}
    found = {"nobody": (BLANK, BLANK)}
    for number, (name, permissions) in enumerate(PERMISSIONS.items()):
        there = {"X-User-Id": f"user{number:013}", "X-Auth-Token": f"token{number:038}"}
        workspace.add_user(there["X-User-Id"], there["X-Auth-Token"], permissions)
        found[name] = (there, credentials(make_user(name, *permissions)))
    there, here = found["tool"]
    for name, wrong in {
        "with a wrong token": {"X-Auth-Token": "z" * 55},
        "with an empty token": {"X-Auth-Token": ""},
        "with nobody's id": {"X-User-Id": "999999"},
    }.items():
        found[name] = (there | wrong, here | wrong)
    ids, tokens = ({"X-User-Id": each["X-User-Id"]} for each in (there, here)), found["runner"]
    found["with another's token"] = tuple(  # type: ignore[assignment] # of two, as there are two
        each | mine for each, mine in zip(tokens, ids, strict=True)
    )
    for name in ("X-User-Id", "X-Auth-Token"):
        found[f"with no more than {name}"] = ({name: there[name]}, {name: here[name]})
    return found


def catch_up(workspace: Workspace) -> None:
    """Sync what the workspace would answer now, by its own clock."""
    near: Any = FakeClient(workspace)
    result = sync_workspace("default", client=near, now=workspace.clock.now)
    assert result.ok, result.error


def import_some(workspace: Workspace, number: int) -> None:
    """Let so many imports begin, of which the last is half-way; look twice at the workspace."""
    endings = ("done", "failed", "done-with-errors", "cancelled")
    for each in range(number):
        if each == number // 2:
            catch_up(workspace)
        if each:
            workspace.clock.advance(700)
        kind, ending = ("csv", "slack", "slack-users")[each % 3], endings[each % 4]
        workspace.start_import(kind, ending if each < number - 1 else "done", seconds=600)  # type: ignore[arg-type]
    workspace.clock.advance(400)
    catch_up(workspace)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("imported", [0, 1, 30])
def test_the_same_answer(
    workspace: Workspace, client: Client, callers: Any, endpoint: str, imported: int
) -> None:
    import_some(workspace, imported)
    for method, suffix, query in REQUESTS:
        for name, (theirs, ours) in callers.items():
            case = f"{name}: {method} {suffix}{query}"
            path = API + endpoint + suffix
            expected = respond(workspace, method, path, query.removeprefix("?"), theirs)
            found = client.generic(method, path + query, headers=ours)
            assert found.status_code == expected.status, case
            if expected.status == 200:
                # No database promises the order of a document's keys.
                assert found.json() == json.loads(expected.body), case
            else:
                assert found.content == expected.body, case
            headers = {name.lower(): value for name, value in expected.headers.items()}
            assert _media_type(found["Content-Type"]) == _media_type(headers["content-type"]), case
            assert found.get("Cache-Control") == headers.get("cache-control"), case
            assert not {"Location", "WWW-Authenticate", "Allow", "Retry-After"} & set(
                found.headers
            ), case


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_head_is_get_without_a_body(
    workspace: Workspace, client: Client, callers: Any, endpoint: str
) -> None:
    for imported in (0, 1):
        import_some(workspace, imported)
        for method, suffix, query in REQUESTS:
            if method != "GET":
                continue
            for name, (_, ours) in callers.items():
                path = API + endpoint + suffix + query
                got = client.get(path, headers=ours)
                head = client.head(path, headers=ours)
                assert head.content == b"", (name, path)
                assert head.status_code == got.status_code, (name, path)
                assert _comparable(head.headers) == _comparable(got.headers), (name, path)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", ["tool", "stranger", "with a wrong token", "nobody"])
@pytest.mark.parametrize(
    "asking",
    [
        {"Origin": "https://elsewhere.example.org"},
        {"Access-Control-Request-Method": "GET"},
        {"Origin": "null", "Access-Control-Request-Method": "GET"},
        {"Origin": "", "Access-Control-Request-Headers": "x-auth-token"},
    ],
)
@pytest.mark.thorough(one_in=5)
def test_a_browser_is_told_that_other_sites_may_not_ask(
    client: Client, callers: Any, endpoint: str, name: str, asking: dict[str, str]
) -> None:
    """As Rocket.Chat does while its setting for that is off, as it is unless somebody turns it."""
    _, ours = callers[name]
    found = client.options(API + endpoint, headers=ours | asking)
    assert found.status_code == 405
    assert found.content == responses.NO_CORS
    assert found["Content-Type"] == "text/plain"
    assert not [each for each in found.headers if each.startswith("Access-Control-")]


def test_what_writes_is_not_there(workspace: Workspace, client: Client, callers: Any) -> None:
    """`getImportFileData` is the GET that sets a finished import back."""
    import_some(workspace, 1)
    _, ours = callers["tool"]
    for name in ("getImportFileData", "startImport", "import.clear", "import.run", "import.new"):
        for method in ("GET", "POST"):
            found = client.generic(method, API + name, headers=ours)
            assert (found.status_code, found.content) == (404, b"404 Not Found")


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("iso_ts", [False, True])
@pytest.mark.parametrize("kind", ["csv", "slack", "pending-avatars", "omnichannel_contact"])
@pytest.mark.parametrize("ending", ["done", "failed", "done-with-errors"])
def test_the_same_operation_at_every_moment(
    workspace: Workspace, client: Client, callers: Any, kind: str, iso_ts: bool, ending: Any
) -> None:
    workspace.iso_ts = iso_ts
    theirs, ours = callers["tool"]
    workspace.start_import(kind, ending, seconds=100)
    for moment in range(7):
        if moment == 6:
            workspace.restart()
        catch_up(workspace)
        for endpoint in ENDPOINTS:
            expected = respond(workspace, "GET", API + endpoint, "", theirs)
            found = client.get(API + endpoint, headers=ours)
            assert found.json() == json.loads(expected.body), (moment, endpoint)
        workspace.clock.advance(25)


@pytest.mark.parametrize("valid", [True, False])
def test_the_same_state_of_every_step(workspace: Workspace, callers: Any, valid: bool) -> None:
    theirs, _ = callers["tool"]
    for number, step in enumerate((*STEPS, "importer_dancing", "")):
        document = {"_id": f"{number:024}", "ts": 1_700_000_000_000 + number, "status": step}
        document |= {"valid": valid, "_updatedAt": "2026-01-05T09:00:00.000Z"}
        workspace.put_operation(document)
        expected = respond(workspace, "GET", API + "import.status", "", theirs)
        assert responses.status(document) == json.loads(expected.body), step


class Listing:
    """A client of a workspace whose list holds these documents, the first of which is current."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self._operations = [parse_operation(each) for each in documents]

    def current_operation(self) -> Operation:
        return self._operations[0]

    def latest_operations(self) -> list[Operation]:
        return self._operations


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    """Return a finished import; of two, that with the greater number began later."""
    started = f"2026-03-25T{number // 60:02}:{number % 60:02}:00.000Z"
    done = {"_id": f"{number:024}", "ts": started, "status": "importer_done", "valid": False}
    return {**RUNNING, **done, "_updatedAt": started, **changes}


def listed(client: Client, headers: dict[str, str], documents: Sequence[dict[str, Any]]) -> Any:
    """Sync a workspace with this list, and return the one that we answer."""
    remote: Any = Listing(documents)
    assert sync_workspace("default", client=remote, now=lambda: NOON).ok
    response = client.get(API + "getLatestImportOperations", headers=headers)
    assert response.status_code == 200
    return response.json()


def test_the_latest_are_those_that_were_touched_last(client: Client, callers: Any) -> None:
    _, headers = callers["viewer"]
    # 7 and 40 have no common divisor: every import has a time of its own, in no order.
    documents = [
        numbered(each, _updatedAt=f"2026-03-25T09:{each * 7 % 40:02}:00.000Z")
        for each in reversed(range(40))
    ]
    found = listed(client, headers, documents)
    newest = sorted(documents, key=lambda each: str(each["_updatedAt"]), reverse=True)
    assert found == newest[:20]
    # One that was not among them is touched.
    newest[-1]["_updatedAt"] = "2026-03-25T10:00:00.000Z"
    documents.insert(0, numbered(50))
    assert [each["_id"] for each in listed(client, headers, documents)[:3]] == [
        newest[-1]["_id"],
        newest[0]["_id"],
        newest[1]["_id"],
    ]


@pytest.mark.parametrize("untold", [None, "soon", {}])
def test_what_tells_no_time_comes_last(client: Client, callers: Any, untold: object) -> None:
    _, headers = callers["viewer"]
    touched = [numbered(each) for each in range(18)]
    others = [numbered(each, _updatedAt=untold) for each in range(20, 25)]
    for each in others:
        if untold is None:
            del each["_updatedAt"]
    found = listed(client, headers, [others[-1], *touched, *others[:-1]])
    assert found == [*reversed(touched), others[4], others[3]]


def test_the_list_of_a_workspace_that_has_lost_its_operations(
    workspace: Workspace, client: Client, callers: Any
) -> None:
    import_some(workspace, 3)
    empty: Any = FakeClient(None)
    assert sync_workspace("default", client=empty).ok
    assert client.get(API + ENDPOINTS[1], headers=callers["tool"][1]).content == b"[]"


def _comparable(headers: Any) -> dict[str, str]:
    """Return the headers that two calls in a row have in common."""
    # Of what is counted, that it is told: a minute may end between the two.
    found = {name: "" if name.startswith("X-RateLimit-") else headers[name] for name in headers}
    if "ETag" not in found:
        # Django's test client has emptied the body before it could be measured.
        found.pop("Content-Length", None)
    return found


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0]
