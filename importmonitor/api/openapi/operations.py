"""How the document tells of the REST face."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from importmonitor.api.openapi.schema import as_described
from importmonitor.api.pagination import MOST, NewestFirst
from importmonitor.api.problems import MEDIA_TYPE, problem

PROBLEM = {
    "type": "object",
    "description": "RFC 9457, with DRF's `detail`.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "object",
            "description": "What was wrong with which parameter.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}

COMPONENTS = {"Problem": PROBLEM}
PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


def error(status: int, description: str, detail: str) -> OpenApiResponse:
    """Return how an error is described."""
    example = OpenApiExample("example", value=problem(status, detail))
    return OpenApiResponse(PROBLEM_REF, description=description, examples=[example])


ERRORS: dict[Any, Any] = {
    (400, MEDIA_TYPE): error(
        400, "A parameter is unknown or wrong.", "state: Select a valid choice."
    ),
    (401, MEDIA_TYPE): error(
        401, "No credentials, or wrong ones.", "Authentication credentials were not provided."
    ),
    (403, MEDIA_TYPE): error(
        403, "The permission is missing.", "You do not have permission to perform this action."
    ),
    (429, MEDIA_TYPE): error(
        429, "Asked too often.", "Request was throttled. Expected available in 7 seconds."
    ),
}
MISSING: dict[Any, Any] = {
    (404, MEDIA_TYPE): error(404, "There is none.", "No ImportOperation matches the given query.")
}
UNCHANGED: dict[Any, Any] = {304: OpenApiResponse(description="The client has it already.")}
ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Stands for the body."
)
PAGE_SIZE = OpenApiParameter(
    "page_size", {"type": "integer", "minimum": 1, "maximum": MOST}, description="Rows on a page."
)
ORDERING = OpenApiParameter(
    "ordering", str, enum=list(NewestFirst.orderings), description="The newest first, or last."
)


def describe(
    view: Any, name: str, errors: dict[Any, Any], *more: OpenApiParameter, many: bool = True
) -> Any:
    """Return a view's class with its GET described."""
    answer = view.serializer_class(many=True) if many else view.serializer_class
    return as_described(
        view,
        name=name,
        description=view.__doc__,
        tags=["REST"],
        parameters=[ETAG, *([PAGE_SIZE] if many else []), *more],
        # By its media type too: drf-spectacular takes the least of them for the view's own.
        responses={(200, "application/json"): answer} | UNCHANGED | errors,
    )


class OperationList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.views.OperationList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listOperations", ERRORS | MISSING, ORDERING)


class OperationDetail(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.views.OperationDetail"

    def view_replacement(self) -> Any:
        return describe(self.target, "getOperation", ERRORS | MISSING, many=False)


class TransitionList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.views.TransitionList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listTransitions", ERRORS | MISSING)


class SampleList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.views.SampleList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listSamples", ERRORS | MISSING)


class WorkspaceList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.views.WorkspaceList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listWorkspaces", ERRORS | MISSING)
