"""Rocket.Chat's endpoints, answered from the store as Rocket.Chat 8 would answer them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

import importmonitor
from importmonitor import conf
from importmonitor.api import memory, wire
from importmonitor.api.authentication import RocketChatTokenAuthentication
from importmonitor.api.throttling import CallThrottle
from importmonitor.health import freshness
from importmonitor.models import ImportOperation, SyncPeriod

#: As many operations as Rocket.Chat lists.
LATEST = 20
CONDITIONS = (
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
)


@dataclass(frozen=True)
class Seen:
    """What was last seen of a workspace, as far as one endpoint tells it.

    `documents` are operations as text of JSON: whether they have changed can be told without
    decoding them. `modified_at` is when that which is told here changed last.
    """

    documents: Sequence[str]
    modified_at: datetime

    @property
    def etag(self) -> str:
        """What stands for the body, and for nothing else: what made it is part of it."""
        found = hashlib.sha256(importmonitor.__version__.encode())
        for document in self.documents:
            found.update(b"\0")
            found.update(document.encode())
        return f'"{found.hexdigest()[:32]}"'


class RocketChatView(APIView):
    """What Rocket.Chat's GET endpoints have in common: credentials, limit, parameters, permission.

    In this order, which is Rocket.Chat's: 401, then 429, then 400, then 403.
    """

    permission: ClassVar[str] = "run-import"
    takes_parameters: ClassVar[bool] = False
    http_method_names = ["get", "head", "options"]
    #: How often this answer was given from memory since it was counted last.
    uncounted = 0

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        """Return what is stored; `good` is the period of the last look that went well."""
        raise NotImplementedError

    def body(self, documents: list[dict[str, Any]]) -> Any:
        """Return what the endpoint answers, as it is to be encoded."""
        raise NotImplementedError

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Take Rocket.Chat's headers, or whatever else the host lets in to its own API."""
        others = [
            each
            for each in super().get_authenticators()
            if not isinstance(each, RocketChatTokenAuthentication)
        ]
        return [RocketChatTokenAuthentication(), *others]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Before the credentials, as Rocket.Chat does.
        if (request.method or "").lower() not in self.http_method_names:
            return wire.not_found(request)
        if request.method == "OPTIONS":
            return wire.options(request)
        self.throttle = CallThrottle()
        self.key = _key(request, type(self).__name__, kwargs["alias"])
        if self.key is not None:
            answer = memory.recall(self.key)
            if answer is not None and (found := _again(answer, request)) is not None:
                return found
            self.uncounted = memory.forget(self.key)
        response = super().dispatch(request, *args, **kwargs)
        if self.throttle.window is not None:
            wire.add_headers(response, wire.limits(self.throttle.window))
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        if not request.user.is_authenticated:
            raise exceptions.NotAuthenticated
        self.check_throttles(request)
        # Not parsed: Django refuses to, with a page of its own, where there are too many.
        if request.META.get("QUERY_STRING") and not self.takes_parameters:
            raise exceptions.ParseError
        if not request.user.has_perm(f"importmonitor.{self.permission}"):
            raise exceptions.PermissionDenied
        if kwargs["alias"] not in conf.aliases():
            raise Http404

    def get_throttles(self) -> list[BaseThrottle]:
        return [self.throttle]

    def get(self, request: Request, alias: str) -> HttpResponseBase:
        """Answer with what the workspace sent, and by headers how old that is."""
        health = SyncPeriod.objects.newest(alias)
        good = health if health is None or health.is_good else SyncPeriod.objects.last_good(alias)
        if health is None or good is None:
            raise wire.NotSynced
        seen = self.seen(alias, good)
        etag, modified = seen.etag, int(seen.modified_at.timestamp())
        headers = self.default_response_headers | {
            "ETag": etag,
            "Last-Modified": http_date(modified),
            "X-Import-Synced-At": wire.time(good.last_at),
            # Its plain value: WSGI takes nothing for a header but str itself (PEP 3333).
            "X-Import-Sync": freshness(health, timezone.now()).value,
        }
        body = None
        found = _unchanged(self.request, etag, modified)
        if found is None:
            body = wire.encode(self.body([json.loads(each) for each in seen.documents]))
            found = wire.response(HTTPStatus.OK, body)
        wire.add_headers(found, headers)
        if self.key is not None:
            window = self.throttle.window
            headers |= wire.limits(window) if window else {}
            memory.remember(
                self.key,
                etag=etag,
                last_modified=modified,
                headers=headers,
                body=body,
                left=window.remaining if window else float("inf"),
            )
        return found

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override] # not rendered by DRF
        """Answer every error in Rocket.Chat's words; what is no error of the caller's is raised."""
        if isinstance(exc, Http404):
            return wire.not_found(self.request)
        if isinstance(exc, PermissionDenied):
            exc = exceptions.PermissionDenied()
        if not isinstance(exc, exceptions.APIException):
            raise exc
        return wire.refusal(exc)

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Cache-Control": "no-store", "Vary": "X-User-Id, X-Auth-Token"}


class CurrentOperationView(RocketChatView):
    """What the endpoints about the current operation have in common."""

    make: ClassVar[Callable[[dict[str, Any] | None], dict[str, Any]]]

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        if good.outcome == SyncPeriod.EMPTY:
            return Seen((), good.first_at)
        rows = ImportOperation.objects.filter(workspace=alias).newest_first()
        return _seen(_documents(rows[:1]), good)

    def body(self, documents: list[dict[str, Any]]) -> Any:
        return type(self).make(documents[0] if documents else None)


class GetCurrentImportOperation(CurrentOperationView):
    """`getCurrentImportOperation`: the newest operation of a workspace, running or not."""

    make = wire.current


class ImportStatus(CurrentOperationView):
    """`import.status`: the same with its state, in Rocket.Chat's coarse words."""

    make = wire.status
    # Alone among them, it minds no parameter.
    takes_parameters = True


class GetImportProgress(CurrentOperationView):
    """`getImportProgress`: the step and the counters of the newest operation."""

    make = wire.progress

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        found = super().seen(alias, good)
        if not found.documents:
            raise wire.NoOperation
        return found


class GetLatestImportOperations(RocketChatView):
    """`getLatestImportOperations`: those that were touched last, without paging."""

    permission = "view-import-operations"

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        if good.outcome == SyncPeriod.EMPTY:
            return Seen((), good.first_at)
        rows = ImportOperation.objects.filter(workspace=alias)
        updated = rows.exclude(remote_updated_at=None).order_by("-remote_updated_at", "-pk")
        found = _documents(updated[:LATEST])
        if len(found) < LATEST:
            # Last, and asked for by themselves: no index sorts NULLs alike in all databases.
            others = rows.filter(remote_updated_at=None).newest_first()
            found += _documents(others[: LATEST - len(found)])
        return _seen(found, good)

    def body(self, documents: list[dict[str, Any]]) -> Any:
        return wire.latest(documents)


def _documents(rows: Any) -> list[tuple[str, datetime]]:
    """Return the rows' payloads as text, and when each was modified."""
    return list(rows.values_list(Cast("payload", TextField()), "modified_at"))


def _seen(found: list[tuple[str, datetime]], good: SyncPeriod) -> Seen:
    modified_at = max((at for _text, at in found), default=good.first_at)
    return Seen([text for text, _at in found], max(modified_at, good.first_at))


def _key(request: HttpRequest, endpoint: str, alias: str) -> memory.Key | None:
    """Return what an answer is remembered by, if it can be."""
    user_id, token = request.META.get("HTTP_X_USER_ID"), request.META.get("HTTP_X_AUTH_TOKEN")
    if user_id is None or token is None or request.META.get("QUERY_STRING"):
        return None
    return memory.Key(endpoint, alias, user_id, token)


def _again(answer: memory.Answer, request: HttpRequest) -> HttpResponse | None:
    """Give a remembered answer once more, or None if its body is not known yet."""
    found = _unchanged(request, answer.etag, answer.last_modified)
    if found is None:
        if answer.body is None:
            return None
        found = wire.response(HTTPStatus.OK, answer.body)
    answer.calls += 1
    answer.left -= 1
    wire.add_headers(found, answer.headers)
    if "X-RateLimit-Remaining" in answer.headers:
        found["X-RateLimit-Remaining"] = str(int(answer.left))
    return found


def _unchanged(request: HttpRequest, etag: str, modified: int) -> HttpResponse | None:
    """Return a 304 if the client has what it asks for, or a 412 (RFC 9110, section 13)."""
    if not any(name in request.META for name in CONDITIONS):
        return None
    found = get_conditional_response(request, etag=etag, last_modified=modified)
    assert found is None or isinstance(found, HttpResponse)
    return found
