"""The REST API: operations, their transitions and samples, and the workspaces.

The docstrings of the views are in the description of the API.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

import importmonitor
from importmonitor.api.authentication import TokenAPIView
from importmonitor.api.defaults import CompactJSONRenderer
from importmonitor.api.permissions import CanViewImports
from importmonitor.api.rest.filters import OperationFilter, WorkspaceFilter
from importmonitor.api.rest.pagination import (
    NewestFirstPagination,
    OldestFirstPagination,
    WorkspacePagination,
)
from importmonitor.api.rest.serializers import (
    OperationDetailSerializer,
    OperationSerializer,
    SampleSerializer,
    TransitionSerializer,
    WorkspaceSerializer,
)
from importmonitor.api.throttling import CallThrottle
from importmonitor.models import (
    ImportOperation,
    ProgressSample,
    StatusTransition,
    Workspace,
    get_viewer,
)
from importmonitor.models.workspace_queries import WorkspaceQuerySet


class RestView(TokenAPIView, generics.GenericAPIView[Any]):
    """The base of the views: permission, rate limit, parameters, conditional responses, errors."""

    permission_classes = [CanViewImports]
    throttle_classes = [CallThrottle]
    renderer_classes = [CompactJSONRenderer]
    pagination_class: Any = None
    filter_backends: list[Any] = []
    #: The known parameters. Any other is an error: it was meant to have an effect.
    parameters: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # DRF's own `?format=`.
        known = self.parameters | {self.settings.URL_FORMAT_OVERRIDE}
        message = f"Unknown parameter. Known: {', '.join(sorted(self.parameters)) or 'none'}."
        if unknown := sorted(set(request.query_params) - known):
            raise ValidationError({name: [message] for name in unknown})
        parameters = request.query_params.lists()
        if invalid := sorted(
            name for name, values in parameters if len(values) > 1 or not values[0]
        ):
            raise ValidationError({name: ["Give one value, or leave it out."] for name in invalid})

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(get_viewer(self.request))

    @property
    def default_response_headers(self) -> dict[str, str]:
        # Revalidated at each request: a running import changes soon.
        return {
            "Allow": ", ".join(self.allowed_methods),
            "Cache-Control": "private, no-cache",
            "Vary": "Accept, Authorization, Cookie, X-User-Id, X-Auth-Token",
        }

    def conditional_response(
        self,
        serialize: Callable[[], Any],
        versions: Iterable[object],
        changed_at: Sequence[datetime],
    ) -> HttpResponseBase:
        """Return the response, or a 304 if the client has the body with these versions.

        The ETag is weak: the ages and times left in a body change all the time. A 304 is decided
        before anything is serialized. `changed_at` has the times of the changes in the body.
        """
        digest = hashlib.sha256(importmonitor.__version__.encode())
        for version in versions:
            digest.update(f"\0{version}".encode("utf-8", "surrogatepass"))
        etag = f'W/"{digest.hexdigest()[:32]}"'
        self.headers["ETag"] = etag
        if changed_at:
            self.headers["Last-Modified"] = http_date(max(changed_at).timestamp())
        # By the ETag alone: the times of the remaining rows do not show that others were deleted.
        if "If-None-Match" in self.request.headers:
            not_modified = get_conditional_response(self.request, etag=etag)
            if not_modified is not None and not_modified.status_code == HTTPStatus.NOT_MODIFIED:
                return not_modified
        return Response(serialize())

    def paginate(self, rows: Any) -> tuple[list[Any], list[object]]:
        """Return one page of rows, and its links."""
        page = self.paginate_queryset(rows)
        assert page is not None
        links = self.get_paginated_response([]).data
        return list(page), [links["next"], links["previous"]]

    def page_body(self, data: Any) -> Any:
        """Return the body of a page."""
        return self.get_paginated_response(data).data


PAGINATION_PARAMETERS = frozenset({"cursor", "page_size"})


class OperationList(RestView):
    """The operations of all workspaces that the user may see, newest first."""

    queryset = ImportOperation.objects.defer("payload")
    serializer_class = OperationSerializer
    pagination_class = NewestFirstPagination
    filter_backends = [DjangoFilterBackend]
    filterset_class = OperationFilter
    parameters = PAGINATION_PARAMETERS | {"ordering"} | frozenset(OperationFilter.base_filters)

    def get(self, request: Request) -> HttpResponseBase:
        rows, links = self.paginate(self.filter_queryset(self.get_queryset()))
        now = timezone.now()
        workspaces = Workspace.objects.by_alias({row.workspace for row in rows})
        context = {"now": now, "workspaces": workspaces}
        return self.conditional_response(
            lambda: self.page_body(OperationSerializer(rows, many=True, context=context).data),
            (*links, *map(_version, rows), *_sync_versions(workspaces, now)),
            _changed_at(rows, workspaces),
        )


class OperationDetail(RestView):
    """One operation, with the document that Rocket.Chat sent."""

    queryset = ImportOperation.objects.all()
    serializer_class = OperationDetailSerializer

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        operation, now = self.get_object(), timezone.now()
        _check_visible(request, operation)
        workspaces = Workspace.objects.by_alias([operation.workspace])
        context = {"now": now, "workspaces": workspaces}
        return self.conditional_response(
            lambda: OperationDetailSerializer(operation, context=context).data,
            (_version(operation), *_sync_versions(workspaces, now)),
            _changed_at([operation], workspaces),
        )


class OperationChildList(RestView):
    """The base of the lists of an operation's transitions and samples."""

    pagination_class = OldestFirstPagination
    parameters = PAGINATION_PARAMETERS

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        visible = ImportOperation.objects.visible_to(get_viewer(request))
        _check_visible(request, get_object_or_404(visible.only("workspace"), pk=pk))
        rows, links = self.paginate(self.get_queryset().filter(operation=pk))
        return self.conditional_response(
            lambda: self.page_body(self.get_serializer(rows, many=True).data),
            # Rows are added and deleted, and never changed.
            (*links, *(row.pk for row in rows)),
            [row.observed_at for row in rows],
        )


class TransitionList(OperationChildList):
    """The transitions of an operation, oldest first."""

    queryset = StatusTransition.objects.all()
    serializer_class = TransitionSerializer


class SampleList(OperationChildList):
    """The samples of an operation's counters, oldest first."""

    queryset = ProgressSample.objects.all()
    serializer_class = SampleSerializer


class WorkspaceList(RestView):
    """The configured workspaces that the user may see, in the order of the settings."""

    queryset = Workspace.objects.all()
    serializer_class = WorkspaceSerializer
    pagination_class = WorkspacePagination
    filter_backends = [DjangoFilterBackend]
    filterset_class = WorkspaceFilter
    parameters = PAGINATION_PARAMETERS | frozenset(WorkspaceFilter.base_filters)

    def get_queryset(self) -> WorkspaceQuerySet:
        rows = get_viewer(self.request).workspaces()
        return rows.with_imports()

    def get(self, request: Request) -> HttpResponseBase:
        now = timezone.now()
        rows, links = self.paginate(self.filter_queryset(self.get_queryset()))
        # The settings may hide one that its row does not hide yet: then the page is shorter.
        visible = get_viewer(request).filter_aliases(row.alias for row in rows)
        workspaces = [row for row in rows if row.alias in visible]
        polled = {workspace.alias: workspace for workspace in workspaces if workspace.was_polled}
        context = {"now": now, "workspaces": polled}
        operations = [
            operation for workspace in workspaces if (operation := workspace.current_operation)
        ]
        versions = (
            *links,
            *(workspace.alias for workspace in workspaces),
            *map(_version, operations),
            *_sync_versions(polled, now),
        )
        return self.conditional_response(
            lambda: self.page_body(
                WorkspaceSerializer(workspaces, many=True, context=context).data
            ),
            versions,
            _changed_at(operations, polled),
        )


def _check_visible(request: Request, operation: ImportOperation) -> None:
    """Raise Http404 if the settings hide the workspace, which its row need not have yet."""
    if get_viewer(request).is_refused(operation.workspace):
        raise Http404


def _version(operation: ImportOperation) -> str:
    # The note is all that is not written by a sync; another author can write the same.
    written = f"{operation.modified_at.timestamp()} {operation.note_at}"
    return f"{operation.pk} {written} {operation.note}"


def _changed_at(
    operations: Iterable[ImportOperation], workspaces: Mapping[str, Workspace]
) -> list[datetime]:
    """Return when the operations were modified, and the workspaces last polled."""
    polled_at = [workspace.last_polled_at for workspace in workspaces.values()]
    return [*(operation.modified_at for operation in operations), *filter(None, polled_at)]


def _sync_versions(workspaces: Mapping[str, Workspace], now: datetime) -> list[str]:
    return [
        f"{alias} {workspace.freshness(now)} {workspace.period_id} {workspace.last_polled_at}"
        for alias, workspace in workspaces.items()
    ]
