"""The document, and the page that shows it. Both are for everybody: they hold no data."""

from threading import Lock
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase
from django.templatetags.static import static
from django.utils import translation
from drf_spectacular.settings import patched_settings
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

import importmonitor

# Registers what describes the views and the credentials.
from importmonitor.api.openapi import credentials, operations, rocketchat  # noqa: F401

HOOKS = "importmonitor.api.openapi.hooks"
#: drf-spectacular's settings of this document; the host's own are for the host's own.
SETTINGS: dict[str, Any] = {
    "TITLE": "importmonitor",
    "DESCRIPTION": (
        "Rocket.Chat's imports, as they were last seen. Two faces: Rocket.Chat's own endpoints, "
        "answered in its words to its clients, and a REST API. Both only read. Lists of values "
        "that Rocket.Chat may add to (`x-extensible-enum`) are not closed."
    ),
    "VERSION": importmonitor.__version__,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "",
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": [f"{HOOKS}.ours_only"],
    "POSTPROCESSING_HOOKS": [
        f"{HOOKS}.open_lists",
        f"{HOOKS}.known_values",
        f"{HOOKS}.plain_words",
        f"{HOOKS}.own_parameters",
        f"{HOOKS}.no_empty_text",
    ],
    "APPEND_COMPONENTS": {"schemas": operations.COMPONENTS | rocketchat.COMPONENTS},
    "TAGS": [
        {"name": "Rocket.Chat", "description": "Rocket.Chat 8's endpoints."},
        {"name": "REST", "description": "History, progress and sync health."},
    ],
}

_one_at_a_time = Lock()


class SchemaView(SpectacularAPIView):
    """The document, as YAML or JSON."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # One document for all: in English, whatever language the site speaks to whom.
        with translation.override("en"):
            response = super().dispatch(request, *args, **kwargs)
            assert isinstance(response, Response)
            response["Content-Language"] = "en"
            return cast("Response", response.render())

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with the document."""
        # drf-spectacular puts SETTINGS in the place of the host's for a moment, for all threads.
        with _one_at_a_time, patched_settings(SETTINGS):
            answer: Response = self._get_schema_response(request)  # type: ignore[no-untyped-call] # it has no types
        return answer

    def _get_version_parameter(self, request: Request) -> None:
        """Take no version from the address: it would go into a header as it is."""


class DocsView(SpectacularSwaggerSplitView):
    """Swagger's page, with its scripts from this site and no other."""

    # Of OPTIONS, DRF would answer with a body for which there is no template.
    http_method_names = ["get", "head"]
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []
    title = "importmonitor"
    template_name = "importmonitor/api_docs.html"

    @staticmethod
    def _swagger_ui_resource(filename: str) -> str:
        return static(f"drf_spectacular_sidecar/swagger-ui-dist/{filename}")

    @staticmethod
    def _swagger_ui_favicon() -> str:
        return static("drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png")
