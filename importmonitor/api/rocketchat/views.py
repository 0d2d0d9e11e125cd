"""Rocket.Chat's endpoints, answered from the store as Rocket.Chat 8 would answer them."""

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
from importmonitor.api.authentication import RocketChatTokenAuthentication, TokenView
from importmonitor.api.rocketchat import cache, responses
from importmonitor.api.throttling import CallThrottle, caller
from importmonitor.models import ImportOperation, SyncLease, SyncPeriod
from importmonitor.models.health import freshness
from importmonitor.permissions import has_perm

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


class RocketChatView(TokenView):
    """What Rocket.Chat's GET endpoints have in common: credentials, limit, parameters, permission.

    In this order, which is Rocket.Chat's: 401, then 429, then 400, then 403.
    """

    permission: ClassVar[str] = "run-import"
    takes_parameters: ClassVar[bool] = False
    tokens = (RocketChatTokenAuthentication,)
    http_method_names = ["get", "head", "options"]

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        """Return what is stored; `good` is the period of the last look that went well."""
        raise NotImplementedError

    def body(self, documents: list[dict[str, Any]]) -> Any:
        """Return what the endpoint answers, as it is to be encoded."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Before the credentials, as Rocket.Chat does.
        if (request.method or "").lower() not in self.http_method_names:
            return responses.not_found(request)
        if request.method == "OPTIONS":
            return responses.options(request)
        self.throttle = CallThrottle()
        self.started_at = time.monotonic()
        self.key = _key(request, type(self).__name__, kwargs["alias"])
        known = cache.get(self.key) if self.key else None
        response: HttpResponseBase | None = self._again(request, known) if known else None
        if response is None:
            response = super().dispatch(request, *args, **kwargs)
        if self.throttle.window is not None:
            responses.add_headers(response, responses.limits(self.throttle.window))
        return response

    def _again(self, request: HttpRequest, known: cache.CachedResponse) -> HttpResponse | None:
        """Give a remembered answer once more, or None if its body is not known yet."""
        response = _unchanged(request, known.etag, known.last_modified)
        if response is None:
            if known.body is None:
                return None
            response = responses.response(HTTPStatus.OK, known.body)
        if not self.throttle.allow(known.caller):
            refused = responses.refusal(exceptions.Throttled(wait=self.throttle.wait()))
            responses.add_headers(refused, self.default_response_headers)
            return refused
        responses.add_headers(response, known.headers)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        if not getattr(request.user, "is_authenticated", False):
            raise exceptions.NotAuthenticated
        self.check_throttles(request)
        # Not parsed: Django refuses to, with a page of its own, where there are too many.
        if request.META.get("QUERY_STRING") and not self.takes_parameters:
            raise exceptions.ParseError
        if not has_perm(request.user, f"importmonitor.{self.permission}"):
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
            raise responses.NotSynced
        seen, now = self.seen(alias, good), timezone.now()
        # A second ago at most: what changes twice in a second would have one time for both.
        modified = min(int(seen.modified_at.timestamp()), int(now.timestamp()) - 1)
        headers = self.default_response_headers | {
            "ETag": seen.etag,
            "Last-Modified": http_date(modified),
            "X-Import-Synced-At": responses.time(good.last_at),
            # Its plain value: WSGI takes nothing for a header but str itself (PEP 3333).
            "X-Import-Sync": freshness(health, now).value,
        }
        body, response = None, _unchanged(self.request, seen.etag, modified)
        if response is None:
            body = responses.encode(self.body([json.loads(each) for each in seen.documents]))
            response = responses.response(HTTPStatus.OK, body)
        responses.add_headers(response, headers)
        if self.key is not None:
            lifetime = conf.options().remember_for.total_seconds()
            cache.set(
                self.key,
                cache.CachedResponse(
                    # From the start: what it says may be as old as that.
                    expires_at=self.started_at + lifetime,
                    caller=caller(request, self),
                    etag=seen.etag,
                    last_modified=modified,
                    headers=headers,
                    body=body,
                ),
            )
        return response

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override] # not rendered by DRF
        """Answer every error in Rocket.Chat's words, our own too: its clients break on HTML."""
        if isinstance(exc, Http404):
            return responses.not_found(self.request)
        if isinstance(exc, PermissionDenied):
            exc = exceptions.PermissionDenied()
        if isinstance(exc, exceptions.APIException):
            return responses.refusal(exc)
        if settings.DEBUG or settings.DEBUG_PROPAGATE_EXCEPTIONS:
            raise exc
        # Reported as Django reports what it catches itself (django.core.handlers.exception).
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
    """What the endpoints about the current operation have in common."""

    make: ClassVar[Callable[[dict[str, Any] | None], dict[str, Any]]]

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        if good.outcome == SyncPeriod.EMPTY:
            return Seen((), good.first_at)
        found = ImportOperation.objects.current_document(alias)
        return _seen([found] if found else [], good)

    def body(self, documents: list[dict[str, Any]]) -> Any:
        return type(self).make(documents[0] if documents else None)


class GetCurrentImportOperation(CurrentOperationView):
    """`getCurrentImportOperation`: the newest operation of a workspace, running or not."""

    make = responses.current


class ImportStatus(CurrentOperationView):
    """`import.status`: the same with its state, in Rocket.Chat's coarse words."""

    make = responses.status
    # Alone among them, it minds no parameter.
    takes_parameters = True


class GetImportProgress(CurrentOperationView):
    """`getImportProgress`: the step and the counters of the newest operation."""

    make = responses.progress

    def seen(self, alias: str, good: SyncPeriod) -> Seen:
        found = super().seen(alias, good)
        if not found.documents:
            raise responses.NoOperation
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
        pruned = SyncLease.objects.filter(workspace=alias).values_list("pruned_at", flat=True)
        return _seen(found, good, *filter(None, pruned))

    def body(self, documents: list[dict[str, Any]]) -> Any:
        return responses.latest(documents)


def _documents(rows: Any) -> list[tuple[str, datetime]]:
    """Return the rows' payloads as text, and when each was modified."""
    return list(rows.values_list(Cast("payload", TextField()), "modified_at"))


def _seen(found: list[tuple[str, datetime]], good: SyncPeriod, *changed_at: datetime) -> Seen:
    modified_at = max([good.first_at, *changed_at, *(at for _text, at in found)])
    return Seen([text for text, _at in found], modified_at)


def _key(request: HttpRequest, endpoint: str, alias: str) -> cache.Key | None:
    """Return what an answer is remembered by, if it can be."""
    user_id, token = request.META.get("HTTP_X_USER_ID"), request.META.get("HTTP_X_AUTH_TOKEN")
    if user_id is None or token is None or request.META.get("QUERY_STRING"):
        return None
    digest = hashlib.blake2s(token.encode("utf-8", "surrogatepass")).hexdigest()
    return cache.Key(endpoint, alias, user_id, digest)


def _unchanged(request: HttpRequest, etag: str, modified: int) -> HttpResponse | None:
    """Return a 304 if the client has what it asks for, or a 412 (RFC 9110, section 13)."""
    asked = [name for name in CONDITIONS if name in request.META]
    if not asked:
        return None
    if asked == ["HTTP_IF_NONE_MATCH"] and request.META["HTTP_IF_NONE_MATCH"] == etag:
        # What nearly every client asks, without a parser of all that might be asked.
        return HttpResponseNotModified()
    found = get_conditional_response(request, etag=etag, last_modified=modified)
    assert found is None or isinstance(found, HttpResponse)
    return found
