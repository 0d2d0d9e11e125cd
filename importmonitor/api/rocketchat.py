"""Rocket.Chat's endpoints, answered from the store as Rocket.Chat 8 would answer them.

Rocket.Chat's clients break on what Django and DRF do of their own accord: `{"detail": …}`, HTML
404 pages, redirects for a trailing slash, `WWW-Authenticate`. So every answer here is made by
`rc_response` and `rc_not_found`, and by nothing else.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from importmonitor import conf
from importmonitor.api.authentication import RocketChatTokenAuthentication
from importmonitor.health import freshness
from importmonitor.models import ImportOperation, SyncPeriod

UNAUTHENTICATED = "You must be logged in to do this."
FORBIDDEN = "User does not have the permissions required for this action [error-unauthorized]"
INVALID_PARAMS = "must NOT have additional properties"
NOT_SYNCED = "This workspace has not been synced yet [error-import-not-synced]"
NOT_FOUND = b"404 Not Found"


class NotSynced(exceptions.APIException):
    """Nobody has looked at the workspace yet, so there is nothing to answer, not even "none"."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE


def rc_response(status: int, body: dict[str, Any]) -> Response:
    """Return JSON without a charset, already encoded: its ETag is made of what is sent."""
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), status=status
    )


def rc_not_found() -> Response:
    """Return Rocket.Chat 8's answer to a path that it does not know."""
    return Response(NOT_FOUND, status=HTTPStatus.NOT_FOUND, content_type="text/plain")


@csrf_exempt
def not_found(_request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    """Answer as Rocket.Chat 8 does to an unknown path, a wrong method or a trailing slash."""
    return HttpResponse(NOT_FOUND, status=HTTPStatus.NOT_FOUND, content_type="text/plain")


def rc_time(moment: datetime) -> str:
    """Write a time as Rocket.Chat does, and as its clients expect: `….mmmZ` and nothing else."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def rc_operation(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored document with the types that Rocket.Chat's own schema gives its fields."""
    repaired = dict(payload)
    if payload.get("valid") in ("true", "false"):
        repaired["valid"] = payload["valid"] == "true"
    started = payload.get("ts")
    if isinstance(started, str) and started.isascii() and started.isdigit() and len(started) < 19:
        repaired["ts"] = int(started)
    return repaired


class EncodedRenderer(BaseRenderer):
    """Passes on JSON that has been encoded already."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, *_args: Any, **_kwargs: Any) -> bytes:
        assert isinstance(data, bytes)
        return data


class RocketChatView(APIView):
    """What Rocket.Chat's GET endpoints have in common: credentials, parameters, permission.

    In this order, which is Rocket.Chat's: 401, then 400, then 403.
    """

    permission: ClassVar[str]
    http_method_names = ["get", "head"]
    renderer_classes = [EncodedRenderer]

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Take Rocket.Chat's headers, or whatever else the host lets in to its own API."""
        others = [
            each
            for each in super().get_authenticators()
            if not isinstance(each, RocketChatTokenAuthentication)
        ]
        return [RocketChatTokenAuthentication(), *others]

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Answer in JSON, whatever `Accept` says."""
        (renderer,) = self.get_renderers()
        return renderer, renderer.media_type

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Before the credentials, as Rocket.Chat does.
        if (request.method or "").lower() not in self.http_method_names:
            return not_found(request)
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        if not request.user.is_authenticated:
            raise exceptions.NotAuthenticated
        # Not parsed: Django refuses to, with a page of its own, where there are too many.
        if request.META.get("QUERY_STRING"):
            raise exceptions.ParseError
        if not request.user.has_perm(f"importmonitor.{self.permission}"):
            raise exceptions.PermissionDenied
        if kwargs["alias"] not in conf.aliases():
            raise Http404

    def handle_exception(self, exc: Exception) -> Response:
        """Answer every error in Rocket.Chat's words; what is no error of the caller's is raised."""
        if isinstance(exc, Http404):
            return rc_not_found()
        if isinstance(exc, PermissionDenied):
            exc = exceptions.PermissionDenied()
        if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            # Without WWW-Authenticate, which would make a browser ask for a password.
            return rc_response(
                HTTPStatus.UNAUTHORIZED,
                {
                    "success": False,
                    "error": UNAUTHENTICATED,
                    "status": "error",
                    "message": UNAUTHENTICATED,
                },
            )
        if isinstance(exc, exceptions.ParseError):
            return rc_response(
                HTTPStatus.BAD_REQUEST,
                {"success": False, "errorType": "error-invalid-params", "error": INVALID_PARAMS},
            )
        if not isinstance(exc, exceptions.APIException):
            raise exc
        # Whatever else there is comes from one of the host's own authenticators.
        told = {exceptions.PermissionDenied: FORBIDDEN, NotSynced: NOT_SYNCED}
        return rc_response(
            exc.status_code, {"success": False, "error": told.get(type(exc), str(exc))}
        )

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Cache-Control": "no-store", "Vary": "X-User-Id, X-Auth-Token"}


class GetCurrentImportOperation(RocketChatView):
    """`getCurrentImportOperation`: the newest operation of a workspace, running or not."""

    permission = "run-import"

    def get(self, request: Request, alias: str) -> HttpResponseBase:
        """Answer with the operation as the workspace sent it, and by headers how old that is."""
        health = SyncPeriod.objects.newest(alias)
        good = health if health is None or health.is_good else SyncPeriod.objects.last_good(alias)
        if health is None or good is None:
            raise NotSynced
        operation = None
        if good.outcome != SyncPeriod.EMPTY:
            operation = ImportOperation.objects.current(alias)
        # Absent, and never null, where there is none: so Rocket.Chat has it.
        body = {} if operation is None else {"operation": rc_operation(operation.payload)}
        response = rc_response(HTTPStatus.OK, body | {"success": True})
        etag = f'"{hashlib.sha256(response.data).hexdigest()[:32]}"'
        answer = get_conditional_response(self.request, etag=etag, response=response)
        assert answer is not None
        answer["ETag"] = etag
        answer["X-Import-Synced-At"] = rc_time(good.last_at)
        # Its plain value: WSGI takes nothing for a header but str itself (PEP 3333).
        answer["X-Import-Sync"] = freshness(health, timezone.now()).value
        return answer
