"""The endpoints respond to the same requests as the simulated Rocket.Chat 8 does."""

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
#: The permissions of users, in Rocket.Chat and here.
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
    """Return the headers of each kind of caller, for Rocket.Chat and for importmonitor."""
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor_wrong_tokens": None}}
    callers = {"anonymous": (BLANK, BLANK)}
    for number, (name, permissions) in enumerate(PERMISSIONS.items()):
        there = {"X-User-Id": f"user{number:013}", "X-Auth-Token": f"token{number:038}"}
        workspace.add_user(there["X-User-Id"], there["X-Auth-Token"], permissions)
        callers[name] = (there, credentials(make_user(name, *permissions)))
    there, here = callers["tool"]
    for name, wrong in {
        "with a wrong token": {"X-Auth-Token": "z" * 55},
        "with an empty token": {"X-Auth-Token": ""},
        "with an unknown id": {"X-User-Id": "999999"},
    }.items():
        callers[name] = (there | wrong, here | wrong)
    ids = ({"X-User-Id": headers["X-User-Id"]} for headers in (there, here))
    callers["with another's token"] = tuple(  # type: ignore[assignment] # a pair
        token | user_id for token, user_id in zip(callers["runner"], ids, strict=True)
    )
    for name in ("X-User-Id", "X-Auth-Token"):
        callers[f"with only {name}"] = ({name: there[name]}, {name: here[name]})
    return callers


def sync_simulated(workspace: Workspace) -> None:
    """Poll the simulated workspace now, by its own clock."""
    near: Any = FakeClient(workspace)
    result = sync_workspace("default", client=near, now=workspace.clock.now)
    assert result.ok, result.error


def run_imports(workspace: Workspace, count: int) -> None:
    """Start this number of imports, the last of which is half-way, and poll twice."""
    endings = ("done", "failed", "done-with-errors", "cancelled")
    for index in range(count):
        if index == count // 2:
            sync_simulated(workspace)
        if index:
            workspace.clock.advance(700)
        kind, ending = ("csv", "slack", "slack-users")[index % 3], endings[index % 4]
        workspace.start_import(kind, ending if index < count - 1 else "done", seconds=600)  # type: ignore[arg-type]
    workspace.clock.advance(400)
    sync_simulated(workspace)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("imported", [0, 1, 30])
def test_responses_equal_rocketchats(
    workspace: Workspace, client: Client, callers: Any, endpoint: str, imported: int
) -> None:
    run_imports(workspace, imported)
    for method, suffix, query in REQUESTS:
        for name, (theirs, ours) in callers.items():
            case = f"{name}: {method} {suffix}{query}"
            path = API + endpoint + suffix
            expected = respond(workspace, method, path, query.removeprefix("?"), theirs)
            response = client.generic(method, path + query, headers=ours)
            assert response.status_code == expected.status, case
            if expected.status == 200:
                # Databases do not guarantee the order of a document's keys.
                assert response.json() == json.loads(expected.body), case
            else:
                assert response.content == expected.body, case
            headers = {name.lower(): value for name, value in expected.headers.items()}
            assert _media_type(response["Content-Type"]) == _media_type(headers["content-type"]), (
                case
            )
            assert response.get("Cache-Control") == headers.get("cache-control"), case
            assert not {"Location", "WWW-Authenticate", "Allow", "Retry-After"} & set(
                response.headers
            ), case


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_head_is_get_without_a_body(
    workspace: Workspace, client: Client, callers: Any, endpoint: str
) -> None:
    for imported in (0, 1):
        run_imports(workspace, imported)
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
@pytest.mark.parametrize("name", ["tool", "stranger", "with a wrong token", "anonymous"])
@pytest.mark.parametrize(
    "preflight",
    [
        {"Origin": "https://elsewhere.example.org"},
        {"Access-Control-Request-Method": "GET"},
        {"Origin": "null", "Access-Control-Request-Method": "GET"},
        {"Origin": "", "Access-Control-Request-Headers": "x-auth-token"},
    ],
)
@pytest.mark.thorough(one_in=5)
def test_cors_preflight_is_refused(
    client: Client, callers: Any, endpoint: str, name: str, preflight: dict[str, str]
) -> None:
    """As in Rocket.Chat with its default settings."""
    _, ours = callers[name]
    response = client.options(API + endpoint, headers=ours | preflight)
    assert response.status_code == 405
    assert response.content == responses.NO_CORS
    assert response["Content-Type"] == "text/plain"
    assert not [name for name in response.headers if name.startswith("Access-Control-")]


def test_writing_endpoints_are_404(workspace: Workspace, client: Client, callers: Any) -> None:
    """`getImportFileData` is a GET that reopens a finished import."""
    run_imports(workspace, 1)
    _, ours = callers["tool"]
    for name in ("getImportFileData", "startImport", "import.clear", "import.run", "import.new"):
        for method in ("GET", "POST"):
            response = client.generic(method, API + name, headers=ours)
            assert (response.status_code, response.content) == (404, b"404 Not Found")


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("iso_ts", [False, True])
@pytest.mark.parametrize("kind", ["csv", "slack", "pending-avatars", "omnichannel_contact"])
@pytest.mark.parametrize("ending", ["done", "failed", "done-with-errors"])
def test_operation_equals_rocketchats_at_every_moment(
    workspace: Workspace, client: Client, callers: Any, kind: str, iso_ts: bool, ending: Any
) -> None:
    workspace.iso_ts = iso_ts
    theirs, ours = callers["tool"]
    workspace.start_import(kind, ending, seconds=100)
    for moment in range(7):
        if moment == 6:
            workspace.restart()
        sync_simulated(workspace)
        for endpoint in ENDPOINTS:
            expected = respond(workspace, "GET", API + endpoint, "", theirs)
            response = client.get(API + endpoint, headers=ours)
            assert response.json() == json.loads(expected.body), (moment, endpoint)
        workspace.clock.advance(25)


@pytest.mark.parametrize("valid", [True, False])
def test_state_equals_rocketchats_for_every_step(
    workspace: Workspace, callers: Any, valid: bool
) -> None:
    theirs, _ = callers["tool"]
    for number, step in enumerate((*STEPS, "importer_dancing", "")):
        document = {"_id": f"{number:024}", "ts": 1_700_000_000_000 + number, "status": step}
        document |= {"valid": valid, "_updatedAt": "2026-01-05T09:00:00.000Z"}
        workspace.put_operation(document)
        expected = respond(workspace, "GET", API + "import.status", "", theirs)
        assert responses.status(document) == json.loads(expected.body), step


class ListClient:
    """A client of a workspace with these documents, the first of which is current."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self._operations = [parse_operation(document) for document in documents]

    def current_operation(self) -> Operation:
        return self._operations[0]

    def latest_operations(self) -> list[Operation]:
        return self._operations


def finished_import(number: int, **changes: Any) -> dict[str, Any]:
    """Return a finished import; a greater number started later."""
    started = f"2026-03-25T{number // 60:02}:{number % 60:02}:00.000Z"
    done = {"_id": f"{number:024}", "ts": started, "status": "importer_done", "valid": False}
    return {**RUNNING, **done, "_updatedAt": started, **changes}


def latest_after_sync(
    client: Client, headers: dict[str, str], documents: Sequence[dict[str, Any]]
) -> Any:
    """Sync a workspace with this list, and return the list that the endpoint sends."""
    remote: Any = ListClient(documents)
    assert sync_workspace("default", client=remote, now=lambda: NOON).ok
    response = client.get(API + "getLatestImportOperations", headers=headers)
    assert response.status_code == 200
    return response.json()


def test_latest_operations_are_the_last_updated(client: Client, callers: Any) -> None:
    _, headers = callers["viewer"]
    # 7 and 40 are coprime: every import has another time, in no order.
    documents = [
        finished_import(number, _updatedAt=f"2026-03-25T09:{number * 7 % 40:02}:00.000Z")
        for number in reversed(range(40))
    ]
    latest = latest_after_sync(client, headers, documents)
    newest = sorted(documents, key=lambda document: str(document["_updatedAt"]), reverse=True)
    assert latest == newest[:20]
    # An older one is updated.
    newest[-1]["_updatedAt"] = "2026-03-25T10:00:00.000Z"
    documents.insert(0, finished_import(50))
    assert [document["_id"] for document in latest_after_sync(client, headers, documents)[:3]] == [
        newest[-1]["_id"],
        newest[0]["_id"],
        newest[1]["_id"],
    ]


@pytest.mark.parametrize("updated_at", [None, "soon", {}])
def test_operations_without_update_time_come_last(
    client: Client, callers: Any, updated_at: object
) -> None:
    _, headers = callers["viewer"]
    updated = [finished_import(number) for number in range(18)]
    others = [finished_import(number, _updatedAt=updated_at) for number in range(20, 25)]
    for document in others:
        if updated_at is None:
            del document["_updatedAt"]
    latest = latest_after_sync(client, headers, [others[-1], *updated, *others[:-1]])
    assert latest == [*reversed(updated), others[4], others[3]]


def test_list_is_empty_after_operations_disappear(
    workspace: Workspace, client: Client, callers: Any
) -> None:
    run_imports(workspace, 3)
    empty: Any = FakeClient(None)
    assert sync_workspace("default", client=empty).ok
    assert client.get(API + ENDPOINTS[1], headers=callers["tool"][1]).content == b"[]"


def _comparable(headers: Any) -> dict[str, str]:
    """Return the headers that two consecutive requests have in common."""
    # The counts' presence only: a minute may end between the two.
    comparable = {
        name: "" if name.startswith("X-RateLimit-") else headers[name] for name in headers
    }
    if "ETag" not in comparable:
        # Django's test client removes the body before its length is computed.
        comparable.pop("Content-Length", None)
    return comparable


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0]
