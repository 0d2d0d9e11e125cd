"""The OpenAPI document, and the page that shows it. Both are public: they have no data."""

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

# They register the descriptions of the credentials and the views.
from importmonitor.api.openapi import credentials, rest, rocketchat  # noqa: F401

#: drf-spectacular's settings for this document, in place of the host's.
SETTINGS: dict[str, Any] = {
    "TITLE": "importmonitor",
    "DESCRIPTION": (
        "Rocket.Chat's imports, as of the last successful poll. There are two read-only "
        "interfaces: Rocket.Chat's own endpoints, for its existing clients, and a REST API. Lists "
        "of values in responses (`x-extensible-enum`) are open: Rocket.Chat can add others."
    ),
    "VERSION": importmonitor.__version__,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "",
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": ["importmonitor.api.openapi.schema.exclude_other_apps"],
    "POSTPROCESSING_HOOKS": ["importmonitor.api.openapi.schema.refine"],
    "APPEND_COMPONENTS": {"schemas": rest.COMPONENTS | rocketchat.COMPONENTS},
    "TAGS": [
        {"name": "Rocket.Chat", "description": "Rocket.Chat 8's endpoints."},
        {"name": "REST", "description": "History, progress and sync status."},
    ],
}

_settings_lock = Lock()


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, as YAML or JSON."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # In English, whatever the language of the site or the request is.
        with translation.override("en"):
            response = super().dispatch(request, *args, **kwargs)
            assert isinstance(response, Response)
            response["Content-Language"] = "en"
            return cast("Response", response.render())

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        # drf-spectacular replaces its settings for the whole process meanwhile.
        with _settings_lock, patched_settings(SETTINGS):
            response: Response = self._get_schema_response(request)  # type: ignore[no-untyped-call] # it has no types
        return response

    def _get_version_parameter(self, request: Request) -> None:
        """Ignore `?version=`: it would be copied into a header."""


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI, with its scripts from this site only."""

    # DRF's response to OPTIONS has a body without a template.
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
