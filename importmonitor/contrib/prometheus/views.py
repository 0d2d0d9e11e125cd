"""The view that Prometheus scrapes."""

from django.http import HttpResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from importmonitor import conf
from importmonitor.api.authentication import (
    BearerAuthentication,
    RocketChatTokenAuthentication,
    TokenAPIView,
)
from importmonitor.api.defaults import CompactJSONRenderer
from importmonitor.api.permissions import CanViewImports
from importmonitor.api.throttling import CallThrottle
from importmonitor.conf.workspaces import ALIAS
from importmonitor.contrib.prometheus.collector import StoreCollector
from importmonitor.models import get_viewer


class MetricsView(TokenAPIView):
    """`GET /metrics`, for users who can view imports: with an API token, or logged in."""

    token_authenticators = (BearerAuthentication, RocketChatTokenAuthentication)
    permission_classes = [CanViewImports]
    throttle_classes = [CallThrottle]
    # For errors only: the metrics have formats of their own.
    renderer_classes = [CompactJSONRenderer]

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Send errors as JSON whatever `Accept` says, which is about metrics."""
        return super().perform_content_negotiation(request, force=True)

    def get(self, request: Request) -> HttpResponse:
        """Return the metrics in Prometheus's text format or in OpenMetrics, by `Accept`."""
        aliases = _read_aliases(request.query_params.getlist("workspace"))
        registry = CollectorRegistry()
        registry.register(StoreCollector(timezone.now(), get_viewer(request), aliases))
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except TypeError:
            # choose_encoder assumes that a requested version has only numbers.
            encode, content_type = choose_encoder("")
        return HttpResponse(
            encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"}
        )


def _read_aliases(values: list[str]) -> list[str] | None:
    """Return the aliases of the parameter `workspace`, None without it; raises ValidationError.

    They are separated by commas, or the parameter is repeated.
    """
    if not values:
        return None
    aliases = list(dict.fromkeys(alias for value in values for alias in value.split(",")))
    if not all(map(ALIAS.fullmatch, aliases)):
        raise ValidationError({"workspace": ["Give aliases of workspaces, separated by commas."]})
    limit = conf.get_options().metrics_limit
    if len(aliases) > limit:
        raise ValidationError({"workspace": [f"Give at most {limit} (METRICS_LIMIT)."]})
    return aliases
