"""What Prometheus scrapes."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from importmonitor.api.authentication import (
    BearerAuthentication,
    RocketChatTokenAuthentication,
    TokenView,
)
from importmonitor.api.permissions import CanViewImports
from importmonitor.api.rest.exceptions import exception_handler
from importmonitor.api.throttling import CallThrottle
from importmonitor.contrib.prometheus.collector import StoreCollector


class MetricsView(TokenView):
    """`GET /metrics`, for whoever may see imports: with an API token, or logged in."""

    tokens = (BearerAuthentication, RocketChatTokenAuthentication)
    permission_classes = [CanViewImports]
    throttle_classes = [CallThrottle]
    # Of refusals: the metrics have forms of their own.
    renderer_classes = [JSONRenderer]
    # No part of the API that is described by OpenAPI.
    schema = None

    def get_exception_handler(self) -> Any:
        return exception_handler

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Refuse in JSON, whatever `Accept` says: it speaks of metrics."""
        return super().perform_content_negotiation(request, force=True)

    def get(self, request: Request) -> HttpResponse:
        """Answer in Prometheus's text format or in OpenMetrics, by `Accept`."""
        registry = CollectorRegistry()
        registry.register(StoreCollector(timezone.now()))
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except TypeError:
            # It takes any version that is asked for to be numbers.
            encode, content_type = choose_encoder("")
        return HttpResponse(
            encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"}
        )
