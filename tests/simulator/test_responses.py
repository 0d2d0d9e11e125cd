"""The HTTP responses of every version, by endpoint and user."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from simulator import kinds
from simulator.clock import Clock, to_milliseconds
from simulator.kinds import coarse_state
from simulator.responses import Response, respond
from simulator.workspace import Workspace

MakeWorkspace = Callable[..., Workspace]
Request = Callable[..., Response]
GetJson = Callable[..., Any]

USER = "adminadminadmin01"
TOKEN = "the-token"
NAMES = ["getCurrentImportOperation", "getLatestImportOperations", "getImportProgress"]
LOGGED_OUT = "You must be logged in to do this."
LOGGED_OUT_BODY = {"success": False, "error": LOGGED_OUT, "status": "error", "message": LOGGED_OUT}
FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"


def test_bodies_without_operations(
    workspace: Workspace, request_endpoint: Request, get_json: GetJson
) -> None:
    assert request_endpoint(workspace, "getCurrentImportOperation").body == b'{"success":true}'
    assert request_endpoint(workspace, "getLatestImportOperations").body == b"[]"
    assert get_json(workspace, "import.status") == {"state": "none", "success": True}
    assert request_endpoint(workspace, "getImportProgress").status == 400
    assert get_json(workspace, "getImportProgress")["errorType"] == "error-operation-not-found"


def test_bodies_with_operation(
    workspace: Workspace, clock: Clock, request_endpoint: Request, get_json: GetJson
) -> None:
    workspace.start_import("csv")
    clock.advance(600)
    operation = workspace.current()
    assert operation is not None
    current = get_json(workspace, "getCurrentImportOperation")
    assert current == {"operation": operation, "success": True}
    assert get_json(workspace, "getLatestImportOperations") == [operation]
    count = operation["count"]
    assert get_json(workspace, "getImportProgress") == {
        "key": "csv",
        "name": "CSV",
        "step": "importer_done",
        "count": {key: count[key] for key in ("completed", "total", "error")},
        "success": True,
    }
    assert get_json(workspace, "import.status") == {
        "state": "done",
        "operation": operation,
        "success": True,
    }
    headers = request_endpoint(workspace, "getCurrentImportOperation").headers
    assert headers == {"Content-Type": "application/json", "Cache-Control": "no-store"}


@pytest.mark.parametrize(
    ("status", "valid", "state"),
    [
        ("importer_new", True, "new"),
        ("importer_uploading", True, "loading"),
        ("importer_downloading_file", True, "loading"),
        ("importer_preparing_contacts", True, "loading"),
        ("importer_user_selection", True, "ready"),
        ("importer_importing_files", True, "importing"),
        ("importer_finishing", True, "importing"),
        ("importer_done", True, "done"),
        ("importer_done", False, "done"),
        ("importer_import_failed", True, "error"),
        ("importer_import_cancelled", True, "canceled"),
        ("importer_importing_users", False, "error"),
        ("importer_user_selection", False, "error"),
        ("importer_importing_emoji", True, None),
        (["?"], True, None),
    ],
)
def test_import_status_has_coarse_state(
    workspace: Workspace, get_json: GetJson, status: object, valid: bool, state: str | None
) -> None:
    assert coarse_state(status, valid) == state
    workspace.put_operation({"_id": "x", "ts": 1, "status": status, "valid": valid})
    body = get_json(workspace, "import.status")
    assert body.get("state") == state
    assert ("state" in body) == (state is not None)


@pytest.mark.parametrize(("era", "version"), [("5", "5.4.9"), ("6.2", "6.2.5"), ("8", "8.0.1")])
def test_version_needs_no_credentials(
    make_workspace: MakeWorkspace, era: str, version: str
) -> None:
    response = respond(make_workspace(era=era, rate_limit=1), "GET", "/api/info")
    assert json.loads(response.body) == {"version": version, "success": True}


@pytest.mark.parametrize("name", [*NAMES, "import.status"])
@pytest.mark.parametrize(
    "headers", [{}, {"X-User-Id": USER}, {"X-User-Id": USER, "X-Auth-Token": "?"}]
)
def test_bad_credentials_are_401(
    make_workspace: MakeWorkspace,
    get_json: GetJson,
    request_endpoint: Request,
    name: str,
    headers: Any,
) -> None:
    for era in ("7", "8"):
        assert request_endpoint(make_workspace(era=era), name, headers=headers).status == 401
        assert get_json(make_workspace(era=era), name, headers=headers) == LOGGED_OUT_BODY
    assert get_json(make_workspace(era="6.14"), name, headers=headers) == {
        "status": "error",
        "message": LOGGED_OUT,
    }


def test_header_names_are_case_insensitive(workspace: Workspace, request_endpoint: Request) -> None:
    headers = {"x-user-id": USER, "X-AUTH-TOKEN": TOKEN}
    assert request_endpoint(workspace, NAMES[0], headers=headers).status == 200


@pytest.mark.parametrize(
    ("era", "status", "body"),
    [
        ("5", 400, {"success": False, "error": "[not_authorized]", "errorType": "not_authorized"}),
        ("6.14", 403, {"success": False, "error": FORBIDDEN}),
        ("7", 403, {"success": False, "error": FORBIDDEN}),
        ("8", 403, {"success": False, "error": FORBIDDEN}),
    ],
)
def test_missing_permission_is_refused(
    make_workspace: MakeWorkspace,
    request_endpoint: Request,
    get_json: GetJson,
    era: str,
    status: int,
    body: Any,
) -> None:
    workspace = make_workspace(era=era)
    workspace.add_user(USER, TOKEN, {"run-import"})
    assert request_endpoint(workspace, "getCurrentImportOperation").status == 200
    assert request_endpoint(workspace, "getLatestImportOperations").status == status
    assert get_json(workspace, "getLatestImportOperations") == body
    workspace.add_user(USER, TOKEN, {"view-import-operations"})
    assert request_endpoint(workspace, "getCurrentImportOperation").status == status
    assert request_endpoint(workspace, "getLatestImportOperations").status == 200


def test_second_factor_is_required(
    workspace: Workspace, request_endpoint: Request, get_json: GetJson
) -> None:
    workspace.add_user(USER, TOKEN, two_factor=True)
    assert request_endpoint(workspace, NAMES[0]).status == 400
    assert get_json(workspace, NAMES[0]) == {
        "success": False,
        "error": "TOTP Required [totp-required]",
        "errorType": "totp-required",
        "details": {"method": "totp"},
    }


@pytest.mark.parametrize(
    ("era", "kind"),
    [("5", "invalid-params"), ("7", "invalid-params"), ("8", "error-invalid-params")],
)
def test_unknown_query_parameters_are_400(
    make_workspace: MakeWorkspace, request_endpoint: Request, get_json: GetJson, era: str, kind: str
) -> None:
    workspace = make_workspace(era=era)
    for query in ("_=123", "x", "count=20&offset=0"):
        assert request_endpoint(workspace, NAMES[0], query=query).status == 400
    assert get_json(workspace, NAMES[0], query="_=1") == {
        "success": False,
        "errorType": kind,
        "error": "must NOT have additional properties",
    }
    assert request_endpoint(workspace, NAMES[0], query="").status == 200
    if era != "5":
        assert request_endpoint(workspace, "import.status", query="_=1").status == 200


def test_order_of_checks(make_workspace: MakeWorkspace, request_endpoint: Request) -> None:
    workspace = make_workspace(rate_limit=1)
    no_headers: dict[str, str] = {}
    assert request_endpoint(workspace, NAMES[0], headers=no_headers, query="_=1").status == 401
    assert request_endpoint(workspace, NAMES[0], headers=no_headers, query="_=1").status == 429
    workspace.add_user(USER, TOKEN, (), two_factor=True)
    assert request_endpoint(workspace, NAMES[1], query="_=1").status == 400
    assert request_endpoint(workspace, NAMES[2]).status == 403


def test_rate_limit_counts_per_endpoint_and_address(
    make_workspace: MakeWorkspace, clock: Clock, request_endpoint: Request, get_json: GetJson
) -> None:
    workspace = make_workspace(rate_limit=10)
    reset = str(to_milliseconds(clock.now()) + 60_000)
    for call in range(10):
        headers = request_endpoint(workspace, NAMES[0]).headers
        assert headers["X-RateLimit-Limit"] == "10"
        assert headers["X-RateLimit-Remaining"] == str(9 - call)
        assert headers["X-RateLimit-Reset"] == reset
        clock.advance(2)
    response = request_endpoint(workspace, NAMES[0])
    assert response.status == 429
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in response.headers
    error = (
        "Error, too many requests. Please slow down. You must wait 40 seconds before trying this "
        "endpoint again. [error-too-many-requests]"
    )
    assert get_json(workspace, NAMES[0]) == {"success": False, "error": error}
    assert request_endpoint(workspace, NAMES[1]).status == 200
    assert request_endpoint(workspace, NAMES[0], client_ip="192.0.2.7").status == 200
    clock.advance(40)
    assert request_endpoint(workspace, NAMES[0]).headers["X-RateLimit-Remaining"] == "9"


def test_permission_exempts_from_rate_limit(
    make_workspace: MakeWorkspace, request_endpoint: Request
) -> None:
    workspace = make_workspace(rate_limit=1)
    workspace.add_user(USER, TOKEN, {"run-import", "api-bypass-rate-limit"})
    responses = [request_endpoint(workspace, NAMES[0]) for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 200]
    assert not any(name.startswith("X-RateLimit") for name in responses[0].headers)


def test_rate_limit_is_in_real_time_by_default(clock: Clock, request_endpoint: Request) -> None:
    workspace = Workspace(clock, rate_limit=1)
    workspace.add_user(USER, TOKEN)
    assert request_endpoint(workspace, NAMES[0]).status == 200
    clock.advance(3600)
    assert request_endpoint(workspace, NAMES[0]).status == 429


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/getCurrentImportOperation/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/", 404),
        ("GET", "/api/", 404),
        ("POST", "/api/v1/getCurrentImportOperation", 405),
    ],
)
def test_unknown_paths_and_wrong_methods_are_not_found(
    make_workspace: MakeWorkspace, method: str, path: str, status: int
) -> None:
    new = respond(make_workspace(era="8"), method, path)
    assert (new.status, new.body) == (404, b"404 Not Found")
    assert new.headers["Content-Type"].startswith("text/plain")
    old = respond(make_workspace(era="7"), method, path)
    assert old.status == status
    assert old.headers["Content-Type"].startswith("text/html")


def test_import_status_exists_since_6_3(
    make_workspace: MakeWorkspace, request_endpoint: Request
) -> None:
    for era in ("5", "6.2"):
        assert request_endpoint(make_workspace(era=era), "import.status").status == 404
    assert request_endpoint(make_workspace(era="6.14"), "import.status").status == 200


def test_other_paths_are_web_page(workspace: Workspace) -> None:
    page = respond(workspace, "GET", "/home/api/v1/getCurrentImportOperation")
    assert page.status == 200
    assert page.body.startswith(b"<!DOCTYPE html>")


def test_proxy_responds_during_outage(workspace: Workspace, request_endpoint: Request) -> None:
    workspace.outage = 502
    assert request_endpoint(workspace, NAMES[0]).status == 502
    assert request_endpoint(workspace, NAMES[0]).body.startswith(b"<!DOCTYPE html>")
    workspace.outage = None
    assert request_endpoint(workspace, NAMES[0]).status == 200
    path = "/api/v1/getCurrentImportOperation"
    assert workspace.requests == {(path, 502): 2, (path, 200): 1}


def test_import_file_data_writes(workspace: Workspace, clock: Clock, get_json: GetJson) -> None:
    assert get_json(workspace, "getImportFileData")["success"] is False
    workspace.start_import("csv")
    assert get_json(workspace, "getImportFileData") == {"waiting": True, "success": True}
    clock.advance(600)
    assert get_json(workspace, "getImportFileData")["name"] == "CSV"
    assert get_json(workspace, "import.status")["state"] == "ready"
    assert workspace.log[-1].event == "prepared"


def test_bodies_are_utf_8_with_lone_surrogates_escaped(
    workspace: Workspace, request_endpoint: Request
) -> None:
    workspace.put_operation({"_id": "x", "type": "Zoë \ud83d \U0001f600 \x00", "count": None})
    body = request_endpoint(workspace, "getCurrentImportOperation").body
    assert "Zoë \\ud83d \U0001f600 \\u0000".encode() in body
    assert json.loads(body)["operation"]["type"] == "Zoë \ud83d \U0001f600 \x00"
    assert json.loads(request_endpoint(workspace, "getImportProgress").body)["count"]["total"] == 0


def test_interrupted_import_keeps_status_and_is_in_error(
    workspace: Workspace, clock: Clock, get_json: GetJson
) -> None:
    workspace.start_import("csv", "failed", step="importer_importing_messages")
    clock.advance(350)
    workspace.restart()
    body = get_json(workspace, "import.status")
    assert body["operation"]["status"] not in kinds.FINISHED
    assert body["state"] == "error"


def test_users_info_has_the_names_of_people(workspace: Workspace) -> None:
    def get(query: str) -> tuple[int, Any]:
        headers = {"X-User-Id": USER, "X-Auth-Token": TOKEN}
        response = respond(workspace, "GET", "/api/v1/users.info", query, headers)
        return response.status, json.loads(response.body)

    workspace.users[USER] = replace(workspace.users[USER], permissions=frozenset())
    workspace.people["a b&c"] = ("abc", None)
    status, body = get("userId=qW4eRt8yKpLs2dFgh")
    assert status == 200
    assert body["success"] is True
    names = {key: body["user"][key] for key in ("_id", "username", "name")}
    assert names == {"_id": "qW4eRt8yKpLs2dFgh", "username": "mei", "name": "Mei Lin"}
    assert get("userId=a%20b%26c")[1]["user"].get("name", "none") == "none"
    assert get("userId=unknown") == (400, {"success": False, "error": "User not found."})
    assert get("")[0] == 400
    assert respond(workspace, "GET", "/api/v1/users.info", "userId=x").status == 401
