"""The OpenAPI document, and the page that shows it."""

import hashlib
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse, HttpResponseBase
from django.templatetags.static import static
from django.utils import translation
from django.utils.cache import get_conditional_response
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.settings import patched_settings
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

import importmonitor
from importmonitor import conf
from importmonitor.api.authentication import TokenAPIView
from importmonitor.api.defaults import CompactJSONRenderer

# They register the descriptions of the credentials and the views.
from importmonitor.api.openapi import credentials, rest, rocketchat  # noqa: F401
from importmonitor.api.openapi.schema import OwnSchemaGenerator
from importmonitor.api.permissions import CanViewImports
from importmonitor.api.rest.views import RestView

#: drf-spectacular's settings for this document, in place of the host's.
SETTINGS: dict[str, Any] = {
    "TITLE": "importmonitor",
    "DESCRIPTION": (
        "Rocket.Chat's imports, as of the last successful poll. There are two interfaces: "
        "Rocket.Chat's own endpoints, for its existing clients, and a REST API, which can also "
        "acknowledge incidents and plan maintenance. Neither writes to Rocket.Chat. Lists of "
        "values in responses (`x-extensible-enum`) are open: Rocket.Chat can add others."
    ),
    "VERSION": importmonitor.__version__,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "",
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": ["importmonitor.api.openapi.schema.refine"],
    "APPEND_COMPONENTS": {"schemas": rest.COMPONENTS | rocketchat.COMPONENTS},
    "TAGS": [
        {"name": "Rocket.Chat", "description": "Rocket.Chat 8's endpoints."},
        {"name": "REST", "description": "History, progress, sync status and incidents."},
    ],
}


class Document(NamedTuple):
    """The OpenAPI document in one format."""

    body: bytes
    etag: str


_documents: dict[tuple[str, str], Document] = {}
_lock = Lock()


def get_document(urlconf: str, renderer: Any) -> Document:
    """Return the document in a renderer's format, which each process generates once.

    It depends on nothing else: not on the request, its user, host, mount point or language.
    """
    key = (urlconf, renderer.format)
    # Only the requests that need a document which does not exist yet wait for each other.
    if key not in _documents:
        with _lock:
            if key not in _documents:
                _documents[key] = _generate(urlconf, renderer)
    return _documents[key]


def _generate(urlconf: str, renderer: Any) -> Document:
    # drf-spectacular replaces its settings for the whole process meanwhile. Texts are translated
    # when they are rendered.
    with patched_settings(SETTINGS), translation.override("en"):
        generator = OwnSchemaGenerator(urlconf=urlconf)
        document = generator.get_schema(public=True)  # type: ignore[no-untyped-call] # as above
        body: bytes = renderer.render(document, renderer.media_type, {})
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class DocumentationView(TokenAPIView):
    """The base of both views: the permission of the API, unless `PUBLIC_SCHEMA` is on."""

    permission_classes = [CanViewImports]

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if conf.get_options().public_schema else super().get_authenticators()

    def get_permissions(self) -> Any:
        return [] if conf.get_options().public_schema else super().get_permissions()

    def handle_exception(self, exc: Exception) -> Any:
        # Errors are JSON, whatever the format of the document.
        self.request.accepted_renderer = CompactJSONRenderer()
        self.request.accepted_media_type = CompactJSONRenderer.media_type
        return super().handle_exception(exc)

    default_response_headers = RestView.default_response_headers


class SchemaView(DocumentationView):
    """The OpenAPI document, as YAML or JSON."""

    renderer_classes = [
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer,
        OpenApiJsonRenderer2,
    ]

    def get(self, request: Request) -> HttpResponseBase:
        renderer = request.accepted_renderer
        document = get_document(settings.ROOT_URLCONF, renderer)
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        response = HttpResponse(
            document.body,
            content_type=f"{renderer.media_type}{charset}",
            headers={
                "Content-Disposition": f'inline; filename="importmonitor.{renderer.format}"',
                "Content-Language": "en",
                "ETag": document.etag,
            },
        )
        return get_conditional_response(request, etag=document.etag, response=response) or response


class DocsView(DocumentationView, SpectacularSwaggerSplitView):
    """Swagger UI, with its scripts from this site only."""

    # DRF's response to OPTIONS has a body without a template.
    http_method_names = ["get", "head"]
    title = "importmonitor"
    template_name = "importmonitor/api_docs.html"

    def handle_exception(self, exc: Exception) -> Any:
        # A page for browsers, which show no form of their own for a 401 of these schemes.
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exc)

    @staticmethod
    def _swagger_ui_resource(filename: str) -> str:
        return static(f"drf_spectacular_sidecar/swagger-ui-dist/{filename}")

    @staticmethod
    def _swagger_ui_favicon() -> str:
        return static("drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png")
