import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator import kinds
from simulator.clock import Clock, to_milliseconds
from simulator.kinds import coarse_state
from simulator.wire import Answer, answer
from simulator.workspace import Workspace

Make = Callable[..., Workspace]
Ask = Callable[..., Answer]
Get = Callable[..., Any]

USER = "adminadminadmin01"
TOKEN = "the-token"
NAMES = ["getCurrentImportOperation", "getLatestImportOperations", "getImportProgress"]
LOGGED_OUT = "You must be logged in to do this."
WHOLE_401 = {"success": False, "error": LOGGED_OUT, "status": "error", "message": LOGGED_OUT}
FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"


def test_bodies_when_nothing_was_ever_imported(workspace: Workspace, ask: Ask, get: Get) -> None:
    assert ask(workspace, "getCurrentImportOperation").body == b'{"success":true}'
    assert ask(workspace, "getLatestImportOperations").body == b"[]"
    assert get(workspace, "import.status") == {"state": "none", "success": True}
    assert ask(workspace, "getImportProgress").status == 400
    assert get(workspace, "getImportProgress")["errorType"] == "error-operation-not-found"


def test_bodies_when_something_was(workspace: Workspace, clock: Clock, ask: Ask, get: Get) -> None:
    workspace.start_import("csv")
    clock.advance(600)
    operation = workspace.current()
    assert operation is not None
    current = get(workspace, "getCurrentImportOperation")
    assert current == {"operation": operation, "success": True}
    assert get(workspace, "getLatestImportOperations") == [operation]
    total = operation["count"]["total"]
    assert get(workspace, "getImportProgress") == {
        "key": "csv",
        "name": "CSV",
        "step": "importer_done",
        "count": {"completed": total, "total": total, "error": 0},
        "success": True,
    }
    assert get(workspace, "import.status") == {
        "state": "done",
        "operation": operation,
        "success": True,
    }
    headers = ask(workspace, "getCurrentImportOperation").headers
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
def test_the_coarse_state(
    workspace: Workspace, get: Get, status: object, valid: bool, state: str | None
) -> None:
    assert coarse_state(status, valid) == state
    workspace.put_operation({"_id": "x", "ts": 1, "status": status, "valid": valid})
    body = get(workspace, "import.status")
    assert body.get("state") == state
    assert ("state" in body) == (state is not None)


@pytest.mark.parametrize(("era", "version"), [(5, "5.4.9"), (7, "7.13.2"), (8, "8.0.1")])
def test_anybody_may_know_the_version(make: Make, era: int, version: str) -> None:
    answered = answer(make(era=era, rate_limit=1), "GET", "/api/info")
    assert json.loads(answered.body) == {"version": version, "success": True}


@pytest.mark.parametrize("name", [*NAMES, "import.status"])
@pytest.mark.parametrize(
    "headers", [{}, {"X-User-Id": USER}, {"X-User-Id": USER, "X-Auth-Token": "?"}]
)
def test_bad_credentials(make: Make, get: Get, ask: Ask, name: str, headers: Any) -> None:
    for era in (7, 8):
        assert ask(make(era=era), name, headers=headers).status == 401
        assert get(make(era=era), name, headers=headers) == WHOLE_401
    assert get(make(era=6), name, headers=headers) == {"status": "error", "message": LOGGED_OUT}


def test_header_names_come_in_any_case(workspace: Workspace, ask: Ask) -> None:
    headers = {"x-user-id": USER, "X-AUTH-TOKEN": TOKEN}
    assert ask(workspace, NAMES[0], headers=headers).status == 200


@pytest.mark.parametrize(
    ("era", "status", "body"),
    [
        (5, 400, {"success": False, "error": "[not_authorized]", "errorType": "not_authorized"}),
        (6, 403, {"success": False, "error": FORBIDDEN}),
        (7, 403, {"success": False, "error": FORBIDDEN}),
        (8, 403, {"success": False, "error": FORBIDDEN}),
    ],
)
def test_a_missing_permission(
    make: Make, ask: Ask, get: Get, era: int, status: int, body: Any
) -> None:
    workspace = make(era=era)
    workspace.add_user(USER, TOKEN, {"run-import"})
    assert ask(workspace, "getCurrentImportOperation").status == 200
    assert ask(workspace, "getLatestImportOperations").status == status
    assert get(workspace, "getLatestImportOperations") == body
    workspace.add_user(USER, TOKEN, {"view-import-operations"})
    assert ask(workspace, "getCurrentImportOperation").status == status
    assert ask(workspace, "getLatestImportOperations").status == 200


def test_a_second_factor_is_wanted(workspace: Workspace, ask: Ask, get: Get) -> None:
    workspace.add_user(USER, TOKEN, two_factor=True)
    assert ask(workspace, NAMES[0]).status == 400
    assert get(workspace, NAMES[0]) == {
        "success": False,
        "error": "TOTP Required [totp-required]",
        "errorType": "totp-required",
        "details": {"method": "totp"},
    }


@pytest.mark.parametrize(
    ("era", "kind"), [(5, "invalid-params"), (7, "invalid-params"), (8, "error-invalid-params")]
)
def test_unknown_query_parameters(make: Make, ask: Ask, get: Get, era: int, kind: str) -> None:
    workspace = make(era=era)
    for query in ("_=123", "x", "count=20&offset=0"):
        assert ask(workspace, NAMES[0], query=query).status == 400
    assert get(workspace, NAMES[0], query="_=1") == {
        "success": False,
        "errorType": kind,
        "error": "must NOT have additional properties",
    }
    assert ask(workspace, NAMES[0], query="").status == 200
    if era > 5:
        assert ask(workspace, "import.status", query="_=1").status == 200


def test_the_order_of_refusals(make: Make, ask: Ask) -> None:
    workspace = make(rate_limit=1)
    nobody: dict[str, str] = {}
    assert ask(workspace, NAMES[0], headers=nobody, query="_=1").status == 401
    assert ask(workspace, NAMES[0], headers=nobody, query="_=1").status == 429
    workspace.add_user(USER, TOKEN, (), two_factor=True)
    assert ask(workspace, NAMES[1], query="_=1").status == 400
    assert ask(workspace, NAMES[2]).status == 403


def test_the_rate_limit(make: Make, clock: Clock, ask: Ask, get: Get) -> None:
    workspace = make(rate_limit=10)
    reset = str(to_milliseconds(clock.now()) + 60_000)
    for call in range(10):
        headers = ask(workspace, NAMES[0]).headers
        assert headers["X-RateLimit-Limit"] == "10"
        assert headers["X-RateLimit-Remaining"] == str(9 - call)
        assert headers["X-RateLimit-Reset"] == reset
        clock.advance(2)
    refused = ask(workspace, NAMES[0])
    assert refused.status == 429
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in refused.headers
    error = (
        "Error, too many requests. Please slow down. You must wait 40 seconds before trying this "
        "endpoint again. [error-too-many-requests]"
    )
    assert get(workspace, NAMES[0]) == {"success": False, "error": error}
    assert ask(workspace, NAMES[1]).status == 200
    assert ask(workspace, NAMES[0], client_ip="192.0.2.7").status == 200
    clock.advance(40)
    assert ask(workspace, NAMES[0]).headers["X-RateLimit-Remaining"] == "9"


def test_some_are_exempt_from_the_rate_limit(make: Make, ask: Ask) -> None:
    workspace = make(rate_limit=1)
    workspace.add_user(USER, TOKEN, {"run-import", "api-bypass-rate-limit"})
    answers = [ask(workspace, NAMES[0]) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 200]
    assert not any(name.startswith("X-RateLimit") for name in answers[0].headers)


def test_the_rate_limit_goes_by_real_time_unless_told(clock: Clock, ask: Ask) -> None:
    workspace = Workspace(clock, rate_limit=1)
    workspace.add_user(USER, TOKEN)
    assert ask(workspace, NAMES[0]).status == 200
    clock.advance(3600)
    assert ask(workspace, NAMES[0]).status == 429


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
def test_unknown_paths_and_wrong_methods(make: Make, method: str, path: str, status: int) -> None:
    new = answer(make(era=8), method, path)
    assert (new.status, new.body) == (404, b"404 Not Found")
    assert new.headers["Content-Type"].startswith("text/plain")
    old = answer(make(era=7), method, path)
    assert old.status == status
    assert old.headers["Content-Type"].startswith("text/html")


def test_import_status_came_in_6(make: Make, ask: Ask) -> None:
    assert ask(make(era=5), "import.status").status == 404
    assert ask(make(era=6), "import.status").status == 200


def test_other_paths_are_the_web_page(workspace: Workspace) -> None:
    page = answer(workspace, "GET", "/home/api/v1/getCurrentImportOperation")
    assert page.status == 200
    assert page.body.startswith(b"<!DOCTYPE html>")


def test_a_proxy_answers_during_an_outage(workspace: Workspace, ask: Ask) -> None:
    workspace.outage = 502
    assert ask(workspace, NAMES[0]).status == 502
    assert ask(workspace, NAMES[0]).body.startswith(b"<!DOCTYPE html>")
    workspace.outage = None
    assert ask(workspace, NAMES[0]).status == 200
    path = "/api/v1/getCurrentImportOperation"
    assert workspace.requests == {(path, 502): 2, (path, 200): 1}


def test_the_endpoint_never_to_call_writes(workspace: Workspace, clock: Clock, get: Get) -> None:
    assert get(workspace, "getImportFileData")["success"] is False
    workspace.start_import("csv")
    assert get(workspace, "getImportFileData") == {"waiting": True, "success": True}
    clock.advance(600)
    assert get(workspace, "getImportFileData")["name"] == "CSV"
    assert get(workspace, "import.status")["state"] == "ready"
    assert workspace.log[-1].event == "prepared"


def test_bodies_are_utf_8_with_lone_surrogates_escaped(workspace: Workspace, ask: Ask) -> None:
    workspace.put_operation({"_id": "x", "type": "Zoë \ud83d \U0001f600 \x00", "count": None})
    body = ask(workspace, "getCurrentImportOperation").body
    assert "Zoë \\ud83d \U0001f600 \\u0000".encode() in body
    assert json.loads(body)["operation"]["type"] == "Zoë \ud83d \U0001f600 \x00"
    assert json.loads(ask(workspace, "getImportProgress").body)["count"]["total"] == 0


def test_an_interrupted_import_looks_hung_and_is_in_error(
    workspace: Workspace, clock: Clock, get: Get
) -> None:
    workspace.start_import("csv", "failed", step="importer_importing_messages")
    clock.advance(350)
    workspace.restart()
    body = get(workspace, "import.status")
    assert body["operation"]["status"] not in kinds.FINISHED
    assert body["state"] == "error"
