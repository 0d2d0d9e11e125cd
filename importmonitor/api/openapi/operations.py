"""How the document tells of the REST face."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from importmonitor.api.openapi import examples
from importmonitor.api.openapi.schema import as_described
from importmonitor.api.rest.exceptions import MEDIA_TYPE, problem
from importmonitor.api.rest.pagination import MOST, NewestFirst

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
    (404, MEDIA_TYPE): error(404, "There is none.", "No ImportOperation matches the given query."),
    (406, MEDIA_TYPE): error(
        406, "No JSON is wanted.", "Could not satisfy the request Accept header."
    ),
    (429, MEDIA_TYPE): error(
        429, "Asked too often.", "Request was throttled. Expected available in 7 seconds."
    ),
}
UNCHANGED: dict[Any, Any] = {304: OpenApiResponse(description="The client has it already.")}
ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Stands for the body."
)
MODIFIED = OpenApiParameter(
    "Last-Modified",
    str,
    OpenApiParameter.HEADER,
    response=[200, 304],
    description="When any of this changed last, or was looked at; absent where there is nothing.",
)
RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[429],
    description="In how many seconds one may ask again.",
)
ID = OpenApiParameter(
    "id",
    {"type": "integer", "minimum": 1},
    OpenApiParameter.PATH,
    description="The operation's id here, and not Rocket.Chat's.",
    examples=[OpenApiExample("first", value=1)],
)
PAGE_SIZE = OpenApiParameter(
    "page_size", {"type": "integer", "minimum": 1, "maximum": MOST}, description="Rows on a page."
)
ORDERING = OpenApiParameter(
    "ordering", str, enum=list(NewestFirst.orderings), description="The newest first, or last."
)
YES_NO = [
    OpenApiParameter("has_errors", bool, description="Whether it counts any errors."),
    OpenApiParameter("stalled", bool, description="Whether it should be moving and is not."),
]


def describe(view: Any, name: str, example: Any, *more: OpenApiParameter, many: bool = True) -> Any:
    """Return a view's class with its GET described."""
    answer = view.serializer_class(many=True) if many else view.serializer_class
    return as_described(
        view,
        name=name,
        description=view.__doc__,
        tags=["REST"],
        parameters=[ETAG, RETRY_AFTER, *([PAGE_SIZE] if many else []), *more],
        # By its media type too: drf-spectacular takes the least of them for the view's own.
        responses={(200, "application/json"): answer} | UNCHANGED | ERRORS,
        examples=[OpenApiExample("example", value=example)],
    )


class OperationList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.OperationList"

    def view_replacement(self) -> Any:
        return describe(
            self.target, "listOperations", examples.OPERATION, MODIFIED, ORDERING, *YES_NO
        )


class OperationDetail(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.OperationDetail"

    def view_replacement(self) -> Any:
        return describe(self.target, "getOperation", examples.DETAIL, MODIFIED, ID, many=False)


class TransitionList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.TransitionList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listTransitions", examples.TRANSITION, ID)


class SampleList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.SampleList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listSamples", examples.SAMPLE, ID)


class WorkspaceList(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.WorkspaceList"

    def view_replacement(self) -> Any:
        return describe(self.target, "listWorkspaces", examples.WORKSPACE, MODIFIED)
