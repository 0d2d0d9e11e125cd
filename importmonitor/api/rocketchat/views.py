"""Rocket.Chat's endpoints, served from the store as Rocket.Chat 8 would serve them.

The docstrings of the four endpoints are in the public description of the API.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
)
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.utils.log import log_response
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import set_rollback

import importmonitor
from importmonitor import conf
from importmonitor.api.authentication import RocketChatTokenAuthentication, TokenAPIView
from importmonitor.api.rocketchat import cache, responses
from importmonitor.api.throttling import CallThrottle, caller_key
from importmonitor.models import Freshness, ImportOperation, Workspace, get_viewer
from importmonitor.permissions import has_perm
from importmonitor.tenancy import get_scope

#: The number of operations that Rocket.Chat lists.
MAX_LATEST = 20
CONDITIONAL_HEADERS = (
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
)


@dataclass(frozen=True)
class StoredDocuments:
    """The operations that an endpoint returns, as JSON text, and when the list last changed.

    As text, an ETag costs no decoding.
    """

    documents: Sequence[str]
    modified_at: datetime

    @property
    def etag(self) -> str:
        """A strong ETag; it includes the version, since another release can build another body."""
        digest = hashlib.sha256(importmonitor.__version__.encode())
        for document in self.documents:
            digest.update(b"\0")
            digest.update(document.encode())
        return f'"{digest.hexdigest()[:32]}"'


class RocketChatView(TokenAPIView):
    """The base of the endpoints: checks credentials, rate limit, parameters and permission.

    In this order, which is Rocket.Chat's: 401, then 429, then 400, then 403.
    """

    permission: ClassVar[str] = "run-import"
    allows_parameters: ClassVar[bool] = False
    token_authenticators = (RocketChatTokenAuthentication,)
    http_method_names = ["get", "head", "options"]

    def stored_documents(self, workspace: Workspace) -> StoredDocuments:
        """Return what is stored."""
        raise NotImplementedError

    def body(self, documents: list[dict[str, Any]]) -> Any:
        """Return the body before it is encoded."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Before the credentials, as Rocket.Chat does.
        if (request.method or "").lower() not in self.http_method_names:
            return responses.not_found(request)
        if request.method == "OPTIONS":
            return responses.options(request)
        self.throttle = CallThrottle()
        self.started_at = time.monotonic()
        self.key = _cache_key(request, type(self).__name__, kwargs["alias"])
        cached = cache.get(self.key) if self.key else None
        response: HttpResponseBase | None = self._cached_response(request, cached)
        if response is None:
            response = super().dispatch(request, *args, **kwargs)
        if self.throttle.window is not None:
            responses.add_headers(response, responses.rate_limit_headers(self.throttle.window))
        return response

    def _cached_response(
        self, request: HttpRequest, cached: cache.CachedResponse | None
    ) -> HttpResponse | None:
        """Return a cached response again, or None if there is none or its body is not cached."""
        if cached is None:
            return None
        response = _conditional_response(request, cached.etag, cached.last_modified)
        if response is None:
            if cached.body is None:
                return None
            response = responses.response(HTTPStatus.OK, cached.body)
        if not self.throttle.allow(cached.caller):
            refusal = responses.refusal(exceptions.Throttled(wait=self.throttle.wait()))
            responses.add_headers(refusal, self.default_response_headers)
            return refusal
        responses.add_headers(response, cached.headers)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        if not getattr(request.user, "is_authenticated", False):
            raise exceptions.NotAuthenticated
        self.check_throttles(request)
        # Not parsed: if there are too many, Django responds with an HTML page.
        if request.META.get("QUERY_STRING") and not self.allows_parameters:
            raise exceptions.ParseError
        if not has_perm(request.user, f"importmonitor.{self.permission}"):
            raise exceptions.PermissionDenied
        viewer = get_viewer(request)
        if not viewer.may_see(kwargs["alias"]):
            # The same for a hidden workspace and for one that does not exist.
            raise exceptions.PermissionDenied if viewer.is_limited() else Http404

    def get_throttles(self) -> list[BaseThrottle]:
        return [self.throttle]

    def get(self, request: Request, alias: str) -> HttpResponseBase:
        """Return what the workspace sent; the headers have its age."""
        workspace, now = Workspace.objects.get_state(alias), timezone.now()
        if workspace is None or workspace.last_synced_at is None:
            raise responses.NotSynced
        freshness = workspace.freshness(now) or Freshness.STALE
        stored = self.stored_documents(workspace)
        # At most a second ago: otherwise two changes within a second would have the same time.
        modified = min(int(stored.modified_at.timestamp()), int(now.timestamp()) - 1)
        headers = self.default_response_headers | {
            "ETag": stored.etag,
            "Last-Modified": http_date(modified),
            "X-Import-Synced-At": responses.format_time(workspace.last_synced_at),
            # Its plain value: WSGI accepts only str itself for a header (PEP 3333).
            "X-Import-Sync": freshness.value,
        }
        body, response = None, _conditional_response(self.request, stored.etag, modified)
        if response is None:
            documents = [json.loads(document) for document in stored.documents]
            body = responses.encode(self.body(documents))
            response = responses.response(HTTPStatus.OK, body)
        responses.add_headers(response, headers)
        if self.key is not None:
            lifetime = conf.get_options().remember_for.total_seconds()
            cache.set(
                self.key,
                cache.CachedResponse(
                    # From the start of the request, when the token was checked.
                    expires_at=self.started_at + lifetime,
                    caller=caller_key(request, self),
                    etag=stored.etag,
                    last_modified=modified,
                    headers=headers,
                    body=body,
                ),
            )
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override] # not rendered by DRF
        """Respond to every error in Rocket.Chat's form, since its clients break on HTML."""
        if isinstance(exc, Http404):
            return responses.not_found(self.request)
        if isinstance(exc, PermissionDenied):
            exc = exceptions.PermissionDenied()
        if isinstance(exc, exceptions.APIException):
            return responses.refusal(exc)
        if settings.DEBUG or settings.DEBUG_PROPAGATE_EXCEPTIONS:
            raise exc
        # Reported as Django reports what it catches (django.core.handlers.exception).
        set_rollback()
        got_request_exception.send(sender=type(self), request=self.request)
        response = responses.internal_error()
        log_response(
            "%s: %s",
            response.reason_phrase,
            self.request.path,
            response=response,
            request=self.request,
            exception=exc,
        )
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Cache-Control": "no-store", "Vary": "X-User-Id, X-Auth-Token"}


class CurrentOperationView(RocketChatView):
    """The base of the endpoints about the current operation."""

    build_body: ClassVar[Callable[[dict[str, Any] | None], dict[str, Any]]]

    def stored_documents(self, workspace: Workspace) -> StoredDocuments:
        key = workspace.current_operation_id
        row = None if key is None else ImportOperation.objects.document(key)
        return _stored_documents([row] if row else [], workspace)

    def body(self, documents: list[dict[str, Any]]) -> Any:
        return type(self).build_body(documents[0] if documents else None)


class GetCurrentImportOperation(CurrentOperationView):
    """The operation that Rocket.Chat last called current, running or not.

    `operation` is absent if nothing was ever imported.
    """

    build_body = responses.current


class ImportStatus(CurrentOperationView):
    """The current operation and Rocket.Chat's coarse state, `none` if nothing was ever imported.

    Unlike the other endpoints, this one ignores parameters.
    """

    build_body = responses.status
    allows_parameters = True


class GetImportProgress(CurrentOperationView):
    """The status and the counters of the current operation."""

    build_body = responses.progress

    def stored_documents(self, workspace: Workspace) -> StoredDocuments:
        stored = super().stored_documents(workspace)
        if not stored.documents:
            raise responses.NoOperation
        return stored


class GetLatestImportOperations(RocketChatView):
    """The last updated operations, without those that Rocket.Chat no longer has.

    Needs the permission `importmonitor.view-import-operations`.
    """

    permission = "view-import-operations"

    def stored_documents(self, workspace: Workspace) -> StoredDocuments:
        operations = ImportOperation.objects.filter(workspace=workspace.alias, gone_at=None)
        updated = operations.exclude(remote_updated_at=None).order_by("-remote_updated_at", "-pk")
        rows = _payloads(updated[:MAX_LATEST])
        if len(rows) < MAX_LATEST:
            # Last, and in a query of their own: databases differ in where an index sorts NULLs.
            others = operations.filter(remote_updated_at=None).newest_first()
            rows += _payloads(others[: MAX_LATEST - len(rows)])
        return _stored_documents(rows, workspace)

    def body(self, documents: list[dict[str, Any]]) -> Any:
        return responses.latest(documents)


def _payloads(operations: Any) -> list[tuple[str, datetime]]:
    """Return the operations' payloads as text, and when each operation was modified."""
    return list(operations.values_list(Cast("payload", TextField()), "modified_at"))


def _stored_documents(rows: list[tuple[str, datetime]], workspace: Workspace) -> StoredDocuments:
    times = [
        workspace.first_synced_at,
        workspace.changed_at,
        workspace.pruned_at,
        *(at for _text, at in rows),
    ]
    return StoredDocuments([text for text, _at in rows], max(filter(None, times)))


def _cache_key(request: HttpRequest, endpoint: str, alias: str) -> cache.Key | None:
    """Return the key to cache the response under, or None if it must not be cached."""
    user_id, token = request.META.get("HTTP_X_USER_ID"), request.META.get("HTTP_X_AUTH_TOKEN")
    if user_id is None or token is None or request.META.get("QUERY_STRING"):
        return None
    digest = hashlib.blake2s(token.encode("utf-8", "surrogatepass")).hexdigest()
    return cache.Key(get_scope(), endpoint, alias, user_id, digest)


def _conditional_response(request: HttpRequest, etag: str, modified: int) -> HttpResponse | None:
    """Return a 304 if the client has the current body, a 412, or None (RFC 9110, section 13)."""
    conditions = [name for name in CONDITIONAL_HEADERS if name in request.META]
    if not conditions:
        return None
    if conditions == ["HTTP_IF_NONE_MATCH"] and request.META["HTTP_IF_NONE_MATCH"] == etag:
        # The usual condition, without parsing.
        return HttpResponseNotModified()
    response = get_conditional_response(request, etag=etag, last_modified=modified)
    assert response is None or isinstance(response, HttpResponse)
    return response
