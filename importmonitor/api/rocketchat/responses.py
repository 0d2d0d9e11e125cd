"""The bodies, statuses and headers of Rocket.Chat 8's import endpoints.

Rocket.Chat's clients break on the defaults of Django and DRF: `{"detail": …}`, HTML 404 pages,
redirects for a trailing slash, `WWW-Authenticate`. So every response of these endpoints is built
here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions

from importmonitor.api.throttling import Window
from importmonitor.rocketchat.states import ImportState, state_of

JSON = "application/json"
UNAUTHENTICATED = "You must be logged in to do this."
FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"
INVALID_PARAMS = "must NOT have additional properties"
NO_OPERATION = "Import Operation Not Found [error-operation-not-found]"
NOT_SYNCED = "This workspace has not been synced yet [error-import-not-synced]"
TOO_MANY = (
    "Error, too many requests. Please slow down. You must wait {} seconds before trying this "
    "endpoint again. [error-too-many-requests]"
)
INTERNAL_ERROR = "Internal server error"
NOT_FOUND = b"404 Not Found"
#: Rocket.Chat's response to a CORS preflight request; its setting `API_Enable_CORS` is off by
#: default.
NO_CORS = b'CORS not enabled. Go to "Admin > General > REST Api" to enable it.'


class NotSynced(exceptions.APIException):
    """The workspace was never polled, so whether it has an operation is unknown."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE


class NoOperation(exceptions.APIException):
    """Nothing was ever imported, which the endpoint can only report as an error."""

    status_code = HTTPStatus.BAD_REQUEST


def encode(body: Mapping[str, Any] | list[Any]) -> bytes:
    """Encode JSON as Rocket.Chat does."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def response(status: int, body: bytes) -> HttpResponse:
    """Return a JSON response without a charset."""
    return HttpResponse(body, status=status, content_type=JSON)


@login_not_required  # as DRF marks its own views: clients get a 404, no redirect to a page
@csrf_exempt
def not_found(_request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Respond as Rocket.Chat 8 does to an unknown path, a wrong method or a trailing slash."""
    return HttpResponse(NOT_FOUND, status=HTTPStatus.NOT_FOUND, content_type="text/plain")


def options(request: HttpRequest) -> HttpResponse:
    """Respond to OPTIONS: a CORS preflight request, or else a wrong method."""
    if "Origin" in request.headers or "Access-Control-Request-Method" in request.headers:
        return HttpResponse(
            NO_CORS, status=HTTPStatus.METHOD_NOT_ALLOWED, content_type="text/plain"
        )
    return not_found(request)


def refusal(error: exceptions.APIException) -> HttpResponse:
    """Return the response to an error, in Rocket.Chat's form."""
    body: dict[str, Any] = {"success": False}
    status = error.status_code
    match error:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            # Without WWW-Authenticate, which would make a browser prompt for a password.
            status = HTTPStatus.UNAUTHORIZED
            body |= {"error": UNAUTHENTICATED, "status": "error", "message": UNAUTHENTICATED}
        case exceptions.PermissionDenied():
            body["error"] = FORBIDDEN
        case exceptions.ParseError():
            body |= {"errorType": "error-invalid-params", "error": INVALID_PARAMS}
        case exceptions.Throttled():
            wait = getattr(error, "wait", None) or 0
            body["error"] = TOO_MANY.format(max(1, math.ceil(wait)))
        case NoOperation():
            body |= {"error": NO_OPERATION, "errorType": "error-operation-not-found"}
        case NotSynced():
            body["error"] = NOT_SYNCED
        case _:
            # Raised by one of the host's own authenticators.
            body["error"] = str(error)
    return response(status, encode(body))


def internal_error() -> HttpResponse:
    """Return the response to an unexpected exception."""
    body = {"success": False, "error": INTERNAL_ERROR}
    return response(HTTPStatus.INTERNAL_SERVER_ERROR, encode(body))


def format_time(moment: datetime) -> str:
    """Format a time as Rocket.Chat does and its clients expect: `….mmmZ` and nothing else."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def rate_limit_headers(window: Window) -> dict[str, str]:
    """Return the headers about a rate limit."""
    return {
        "X-RateLimit-Limit": str(window.limit),
        "X-RateLimit-Remaining": str(window.remaining),
        # In milliseconds and without Retry-After, as in Rocket.Chat.
        "X-RateLimit-Reset": str(window.resets_at * 1000),
    }


def add_headers(response: HttpResponseBase, headers: Mapping[str, str]) -> None:
    """Set headers on a response."""
    for name, value in headers.items():
        response[name] = value


def operation(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored document with the types of Rocket.Chat's own schema."""
    repaired = dict(payload)
    if payload.get("valid") in ("true", "false"):
        repaired["valid"] = payload["valid"] == "true"
    started = payload.get("ts")
    if isinstance(started, str) and started.isascii() and started.isdigit() and len(started) < 19:
        repaired["ts"] = int(started)
    return repaired


def current(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of `getCurrentImportOperation`."""
    # Absent, never null, if there is none, as in Rocket.Chat.
    body = {} if payload is None else {"operation": operation(payload)}
    return body | {"success": True}


def latest(payloads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the body of `getLatestImportOperations`: a list without an envelope."""
    return [operation(payload) for payload in payloads]


def status(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of `import.status`."""
    if payload is None:
        return {"state": ImportState.NONE.value, "success": True}
    document = operation(payload)
    step, valid = document.get("status"), document.get("valid")
    state = state_of(
        step if isinstance(step, str) else "", valid if isinstance(valid, bool) else None
    )
    # JavaScript omits what is undefined, such as the state of a step that it does not know.
    body = {} if state == ImportState.UNKNOWN else {"state": state.value}
    return body | {"operation": document, "success": True}


def progress(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of `getImportProgress`."""
    count = payload.get("count")
    counters = count if isinstance(count, dict) else {}
    names = {"key": "importerKey", "name": "type", "step": "status"}
    body = {name: payload[key] for name, key in names.items() if key in payload}
    return body | {
        # Rocket.Chat initializes each with 0, and overwrites it with what is stored.
        "count": {name: _number(counters.get(name)) for name in ("completed", "total", "error")},
        "success": True,
    }


def _number(counter: object) -> int | float:
    """Return a counter; 0 if it is not a number, as in 6.2.5's "0[object Promise]"."""
    if isinstance(counter, int | float) and not isinstance(counter, bool):
        return counter
    return 0
