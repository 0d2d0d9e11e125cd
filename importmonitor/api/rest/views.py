"""The REST face: operations, their transitions and samples, and the workspaces."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

import importmonitor
from importmonitor import conf
from importmonitor.api.authentication import TokenView
from importmonitor.api.permissions import CanViewImports
from importmonitor.api.rest.exceptions import exception_handler
from importmonitor.api.rest.filters import OperationFilter
from importmonitor.api.rest.pagination import NewestFirst, OldestFirst, WorkspacePages
from importmonitor.api.rest.serializers import (
    OperationDetailSerializer,
    OperationSerializer,
    SampleSerializer,
    TransitionSerializer,
    WorkspaceSerializer,
)
from importmonitor.api.throttling import CallThrottle
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition, health


class RestView(TokenView, generics.GenericAPIView[Any]):
    """What the views have in common: who may ask, how often, how answers and errors are told."""

    permission_classes = [CanViewImports]
    throttle_classes = [CallThrottle]
    renderer_classes = [JSONRenderer]
    # No method takes a body.
    parser_classes: list[Any] = []
    filter_backends: list[Any] = []
    #: The parameters that are understood. Any other is an error: it was meant to do something.
    parameters: frozenset[str] = frozenset()

    def get_exception_handler(self) -> Any:
        return exception_handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # DRF's own `?format=`, by whatever name the host knows it.
        known = self.parameters | {api_settings.URL_FORMAT_OVERRIDE}
        told = f"Unknown parameter. Known: {', '.join(sorted(self.parameters)) or 'none'}."
        if unknown := sorted(set(request.query_params) - known):
            raise ValidationError({name: [told] for name in unknown})
        given = request.query_params.lists()
        if wrong := sorted(name for name, values in given if len(values) > 1 or not values[0]):
            raise ValidationError({name: ["Give one value, or leave it out."] for name in wrong})

    @property
    def default_response_headers(self) -> dict[str, str]:
        # To be asked again each time: what is on its way is old soon.
        return {
            "Allow": ", ".join(self.allowed_methods),
            "Cache-Control": "private, no-cache",
            "Vary": "Accept, Authorization, Cookie, X-User-Id, X-Auth-Token",
        }

    def answer(
        self,
        serialise: Callable[[], Any],
        made_of: Iterable[object],
        changed_at: Sequence[datetime],
    ) -> HttpResponseBase:
        """Answer, or with 304 if the client has what is made of these values.

        The ETag is weak: ages and times left in a body go on by themselves. A 304 is decided
        before anything is serialised. `changed_at` is when each thing in the body changed.
        """
        found = hashlib.sha256(importmonitor.__version__.encode())
        for each in made_of:
            found.update(f"\0{each}".encode("utf-8", "surrogatepass"))
        etag = f'W/"{found.hexdigest()[:32]}"'
        self.headers["ETag"] = etag
        if changed_at:
            self.headers["Last-Modified"] = http_date(max(changed_at).timestamp())
        # By the ETag alone: that rows have gone, no time of those that are left tells.
        if "If-None-Match" in self.request.headers:
            unchanged = get_conditional_response(self.request, etag=etag)
            if unchanged is not None and unchanged.status_code == HTTPStatus.NOT_MODIFIED:
                return unchanged
        return Response(serialise())

    def page(self, rows: Any) -> tuple[list[Any], list[object]]:
        """Return one page of rows, and what it is made of so far: its place among the others."""
        found = self.paginate_queryset(rows)
        assert found is not None
        links = self.get_paginated_response([]).data
        return list(found), [links["next"], links["previous"]]

    def in_pages(self, data: Any) -> Any:
        """Return the body of a page."""
        return self.get_paginated_response(data).data


PAGING = frozenset({"cursor", "page_size"})


class OperationList(RestView):
    """The operations of all workspaces, the newest first."""

    queryset = ImportOperation.objects.defer("payload")
    serializer_class = OperationSerializer
    pagination_class = NewestFirst
    filter_backends = [DjangoFilterBackend]
    filterset_class = OperationFilter
    parameters = PAGING | {"ordering"} | frozenset(OperationFilter.base_filters)

    def get(self, request: Request) -> HttpResponseBase:
        """Answer with one page."""
        rows, place = self.page(self.filter_queryset(self.get_queryset()))
        now = timezone.now()
        looks = health.sync_health({row.workspace for row in rows}, now)
        context = {"now": now, "looks": looks}
        return self.answer(
            lambda: self.in_pages(OperationSerializer(rows, many=True, context=context).data),
            (*place, *map(_version, rows), *_looks_version(looks)),
            _changed_at(rows, looks),
        )


class OperationDetail(RestView):
    """One operation, with the document that Rocket.Chat sent of it."""

    queryset = ImportOperation.objects.all()
    serializer_class = OperationDetailSerializer

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Answer with the operation."""
        operation, now = self.get_object(), timezone.now()
        looks = health.sync_health([operation.workspace], now)
        context = {"now": now, "looks": looks}
        return self.answer(
            lambda: OperationDetailSerializer(operation, context=context).data,
            (_version(operation), *_looks_version(looks)),
            _changed_at([operation], looks),
        )


class PartList(RestView):
    """What transitions and samples have in common: each is of one operation, the oldest first."""

    pagination_class = OldestFirst
    parameters = PAGING

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Answer with one page."""
        get_object_or_404(ImportOperation.objects.only("pk"), pk=pk)
        rows, place = self.page(self.get_queryset().filter(operation=pk))
        return self.answer(
            lambda: self.in_pages(self.get_serializer(rows, many=True).data),
            # Rows are added and thinned out, and never changed.
            (*place, *(row.pk for row in rows)),
            [row.observed_at for row in rows],
        )


class TransitionList(PartList):
    """The transitions of an operation, the oldest first."""

    queryset = StatusTransition.objects.all()
    serializer_class = TransitionSerializer


class SampleList(PartList):
    """The samples of an operation's counters, the oldest first."""

    queryset = ProgressSample.objects.all()
    serializer_class = SampleSerializer


class WorkspaceList(RestView):
    """The configured workspaces, in the order of the settings."""

    queryset = ImportOperation.objects.none()
    serializer_class = WorkspaceSerializer
    pagination_class = WorkspacePages
    parameters = frozenset({"page", "page_size"})

    def get(self, request: Request) -> HttpResponseBase:
        """Answer with one page."""
        now = timezone.now()
        configured = conf.aliases()
        aliases, place = self.page(configured)
        found = health.workspace_health(now, aliases)
        looks = {each.alias: each.sync for each in found if each.sync}
        context = {"now": now, "looks": looks}
        operations = [each.operation for each in found if each.operation]
        return self.answer(
            lambda: self.in_pages(WorkspaceSerializer(found, many=True, context=context).data),
            (len(configured), *place, *aliases, *map(_version, operations), *_looks_version(looks)),
            _changed_at(operations, looks),
        )


def _version(operation: ImportOperation) -> str:
    # The note is the one thing that is not a sync's to write.
    return f"{operation.pk} {operation.modified_at.timestamp()} {operation.note}"


def _changed_at(
    operations: Iterable[ImportOperation], looks: dict[str, health.SyncHealth]
) -> list[datetime]:
    """Return when each of these changed: of a look, when it was."""
    polled_at = [each.period.last_at for each in looks.values()]
    return [*(operation.modified_at for operation in operations), *polled_at]


def _looks_version(looks: dict[str, health.SyncHealth]) -> list[str]:
    return [
        f"{alias} {each.freshness} {each.period.pk} {each.period.last_at.timestamp()}"
        for alias, each in looks.items()
    ]
