"""Classes of a host's own API, for its REST_FRAMEWORK setting. Each would change a response."""

from typing import Any

from rest_framework import filters, metadata, negotiation, pagination, permissions, renderers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle


class Envelope(renderers.JSONRenderer):
    """Wraps every body."""

    media_type = "application/vnd.host+json"
    format = "host"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        body: bytes = super().render({"data": data}, *args, **kwargs)
        return body


class LastRenderer(negotiation.BaseContentNegotiation):
    """Ignores Accept."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[-1]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[-1], "application/x-host"


class NoMetadata(metadata.BaseMetadata):
    """Describes nothing."""

    def determine_metadata(self, request: Request, view: Any) -> Any:
        return {}


class OneRow(pagination.PageNumberPagination):
    """Returns one row per page, in other words."""

    page_size = 1
    page_query_param = "seite"

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"rows": data})


class NoRows(filters.BaseFilterBackend):
    """Hides all rows."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        return queryset.none()


class DenyAll(permissions.BasePermission):
    """Allows nothing."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class Never(BaseThrottle):
    """Throttles everything."""

    def allow_request(self, request: Request, view: Any) -> bool:
        return False


def exception_handler(exc: Exception, context: Any) -> Response:
    return Response({"oops": str(exc)}, status=418)


def view_name(view: Any) -> str:
    return "a view"


def view_description(view: Any, html: bool = False) -> str:
    return "of the host"
