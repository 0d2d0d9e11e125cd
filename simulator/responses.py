"""Rocket.Chat's HTTP responses, from 5.x to 8.x."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from simulator.eras import Era
from simulator.kinds import FINISHED, USER_SELECTION, coarse_state
from simulator.workspace import (
    BYPASS_RATE_LIMIT,
    RUN_IMPORT,
    VIEW_IMPORT_OPERATIONS,
    User,
    Workspace,
)

PREFIX = "/api/v1/"

_LOGGED_OUT = "You must be logged in to do this."
_FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"
_TOO_MANY = (
    "Error, too many requests. Please slow down. You must wait {} seconds before trying this "
    "endpoint again. [error-too-many-requests]"
)
_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n"
    "<body><h1>{title}</h1></body>\n</html>\n"
)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response without the headers that depend on the connection."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def respond(
    workspace: Workspace,
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    client_ip: str = "127.0.0.1",
) -> Response:
    """Return the response of the workspace's Rocket.Chat to one request.

    Args:
        workspace: the workspace.
        method: `GET`, or another one.
        path: the path from the workspace's root, beginning with a slash.
        query: the query string, undecoded.
        headers: the request's headers, in any case.
        client_ip: the address that the rate limit counts by.
    """
    lower_headers = {name.lower(): value for name, value in (headers or {}).items()}
    response = _respond(workspace, method, path, query, lower_headers, client_ip)
    workspace.count_request(path, response.status)
    return response


def _respond(
    workspace: Workspace,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    client_ip: str,
) -> Response:
    if workspace.outage is not None:
        return _page(workspace.outage, "The server is temporarily unavailable")
    if not path.startswith("/api/"):
        # Any other path is Rocket.Chat's web page, whose routing is done in the browser.
        return _page(200, "Rocket.Chat")
    if path == "/api/info" and method == "GET":
        return _json(200, {"version": workspace.era.version, "success": True})
    endpoint = _ENDPOINTS.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
    if endpoint is None or workspace.era.is_before(endpoint.since) or method != "GET":
        return _not_found(workspace, wrong_method=method != "GET")
    user = _user(workspace, headers)
    limits: Mapping[str, str] = {}
    if workspace.limiter is not None and not _has_permission(user, BYPASS_RATE_LIMIT):
        verdict = workspace.limiter.take(client_ip, path, workspace.server_time())
        limits = verdict.headers
        if not verdict.allowed:
            return _json(429, _failure(_TOO_MANY.format(verdict.wait)), limits)
    error = _error(workspace, endpoint, user, query)
    status, body = error if error is not None else endpoint.body(workspace, query)
    return _json(status, body, limits)


def _error(
    workspace: Workspace, endpoint: "_Endpoint", user: User | None, query: str
) -> tuple[int, Any] | None:
    """Return the error for a request, if any, in the order of Rocket.Chat's checks."""
    era = workspace.era
    if user is None:
        logged_out = {"status": "error", "message": _LOGGED_OUT}
        return 401, (
            {**_failure(_LOGGED_OUT), **logged_out} if not era.is_before(Era.V7) else logged_out
        )
    if endpoint.strict and parse_qsl(query, keep_blank_values=True):
        kind = "invalid-params" if era.is_before(Era.V8) else "error-invalid-params"
        error = "must NOT have additional properties"
        return 400, {"success": False, "errorType": kind, "error": error}
    if endpoint.permission and not _has_permission(user, endpoint.permission):
        if era is Era.V5:
            return 400, _failure("[not_authorized]", errorType="not_authorized")
        return 403, _failure(_FORBIDDEN)
    if user.two_factor:
        return 400, _failure(
            "TOTP Required [totp-required]", errorType="totp-required", details={"method": "totp"}
        )
    return None


def _user(workspace: Workspace, headers: Mapping[str, str]) -> User | None:
    user = workspace.users.get(headers.get("x-user-id", ""))
    if user is None or headers.get("x-auth-token") != user.token:
        return None
    return user


def _has_permission(user: User | None, permission: str) -> bool:
    return user is not None and permission in user.permissions


def _current(workspace: Workspace, _query: str) -> tuple[int, Any]:
    operation = workspace.current()
    # The key is absent, never null, when nothing was ever imported.
    fields = {} if operation is None else {"operation": operation}
    return 200, {**fields, "success": True}


def _latest(workspace: Workspace, _query: str) -> tuple[int, Any]:
    return 200, workspace.latest()


def _progress(workspace: Workspace, _query: str) -> tuple[int, Any]:
    operation = workspace.current()
    if operation is None:
        return _operation_not_found()
    count = operation.get("count")
    counters = count if isinstance(count, dict) else {}
    return 200, {
        "key": operation.get("importerKey"),
        "name": operation.get("type"),
        "step": operation.get("status"),
        "count": {key: counters.get(key, 0) for key in ("completed", "total", "error")},
        "success": True,
    }


def _status(workspace: Workspace, _query: str) -> tuple[int, Any]:
    operation = workspace.current()
    if operation is None:
        return 200, {"state": "none", "success": True}
    state = coarse_state(operation.get("status"), operation.get("valid"))
    # JSON.stringify omits what is undefined, as the state of an unknown step is.
    fields = {} if state is None else {"state": state}
    return 200, {**fields, "operation": operation, "success": True}


def _file_data(workspace: Workspace, _query: str) -> tuple[int, Any]:
    """The GET that writes: it opens the prepare page."""
    operation = workspace.current()
    if operation is None:
        return _operation_not_found()
    if operation.get("status") in FINISHED:
        workspace.prepare(operation["_id"])
    elif operation.get("status") != USER_SELECTION:
        return 200, {"waiting": True, "success": True}
    return 200, {
        "name": operation.get("type"),
        "users": [],
        "channels": [],
        "message_count": 0,
        "success": True,
    }


def _user_info(workspace: Workspace, query: str) -> tuple[int, Any]:
    """What every user can see of another: without roles, e-mail addresses and so on."""
    user_id = dict(parse_qsl(query)).get("userId")
    if user_id is None:
        kind = "invalid-params" if workspace.era.is_before(Era.V8) else "error-invalid-params"
        error = "must have required property 'userId'"
        return 400, {"success": False, "errorType": kind, "error": error}
    if user_id not in workspace.people:
        return 400, _failure("User not found.")
    username, name = workspace.people[user_id]
    names = {} if name is None else {"name": name}
    return 200, {
        "user": {
            "_id": user_id,
            "type": "user",
            "status": "offline",
            "active": True,
            **names,
            "utcOffset": 0,
            "username": username,
        },
        "success": True,
    }


def _operation_not_found() -> tuple[int, Any]:
    kind = "error-operation-not-found"
    return 400, _failure(f"Import Operation Not Found [{kind}]", errorType=kind)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    body: Callable[[Workspace, str], tuple[int, Any]]
    permission: str | None = RUN_IMPORT
    strict: bool = True
    since: Era = Era.V5


_ENDPOINTS: Mapping[str, _Endpoint] = {
    "getCurrentImportOperation": _Endpoint(_current),
    "getLatestImportOperations": _Endpoint(_latest, VIEW_IMPORT_OPERATIONS),
    "getImportProgress": _Endpoint(_progress),
    "getImportFileData": _Endpoint(_file_data),
    "import.status": _Endpoint(_status, strict=False, since=Era.V6_14),
    "users.info": _Endpoint(_user_info, permission=None, strict=False),
}


def _failure(error: str, **more: object) -> dict[str, object]:
    return {"success": False, "error": error, **more}


def _not_found(workspace: Workspace, wrong_method: bool) -> Response:
    if not workspace.era.is_before(Era.V8):
        return Response(404, {"Content-Type": "text/plain;charset=UTF-8"}, b"404 Not Found")
    return _page(405, "Method Not Allowed") if wrong_method else _page(404, "Not Found")


def _page(status: int, title: str) -> Response:
    body = _PAGE.format(title=title).encode()
    return Response(status, {"Content-Type": "text/html; charset=utf-8"}, body)


def _json(status: int, body: object, limits: Mapping[str, str] | None = None) -> Response:
    # As JavaScript does it: no spaces, UTF-8, and lone surrogates, which UTF-8 lacks, escaped.
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    text = re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
    # Rocket.Chat sends no charset with the responses of its API.
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **(limits or {})}
    return Response(status, headers, text.encode())
