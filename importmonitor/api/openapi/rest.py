"""The description of the REST API."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from importmonitor.api.openapi import examples
from importmonitor.api.openapi.schema import ViewSchema, described, header
from importmonitor.api.rest.exceptions import MEDIA_TYPE, problem
from importmonitor.api.rest.pagination import MAX_PAGE_SIZE, NewestFirstPagination

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
            "description": "The errors of each parameter.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
COMPONENTS = {"Problem": PROBLEM}

#: The operation id and the example of each view.
VIEWS: dict[str, tuple[str, Any]] = {
    "OperationList": ("listOperations", examples.OPERATION),
    "OperationDetail": ("getOperation", examples.DETAIL),
    "TransitionList": ("listTransitions", examples.TRANSITION),
    "SampleList": ("listSamples", examples.SAMPLE),
    "WorkspaceList": ("listWorkspaces", examples.WORKSPACE),
}
#: The description and an example of each error.
ERRORS = {
    400: ("A parameter is unknown or invalid.", "state: Select a valid choice."),
    401: (
        "The credentials are missing or wrong.",
        "Authentication credentials were not provided.",
    ),
    403: ("The permission is missing.", "You do not have permission to perform this action."),
    404: ("It does not exist.", "No ImportOperation matches the given query."),
    406: ("`Accept` excludes JSON.", "Could not satisfy the request Accept header."),
    429: ("Too many requests.", "Request was throttled. Expected available in 7 seconds."),
}
HEADERS = [
    header("ETag", "Identifies the body.", 200, 304),
    header(
        "Last-Modified",
        "When the data last changed or was last polled; absent if the body has none.",
        *(200, 304),
    ),
    header("Retry-After", "Seconds until the next request is allowed.", 429, of=int),
]
ID = OpenApiParameter(
    "id",
    {"type": "integer", "minimum": 1},
    OpenApiParameter.PATH,
    description="The operation's id in this API, which is not its id in Rocket.Chat.",
    examples=[OpenApiExample("first", value=1)],
)
PAGE_SIZE = OpenApiParameter(
    "page_size",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    description="Rows per page.",
)
OPERATION_FILTERS = [
    OpenApiParameter(
        "ordering",
        enum=list(NewestFirstPagination.orderings),
        description="Newest first (the default), or oldest first.",
    ),
    OpenApiParameter("has_errors", bool, description="Whether its error counter is above 0."),
    OpenApiParameter("stalled", bool, description="Whether it should make progress and does not."),
]


class RestSchema(ViewSchema):
    """Describes a view of the REST API."""

    def get_operation_id(self) -> str:
        return VIEWS[type(self.view).__name__][0]

    def get_tags(self) -> list[str]:
        return ["REST"]

    def get_override_parameters(self) -> list[Any]:
        parameters = [*HEADERS]
        if "{id}" in self.path:
            parameters.append(ID)
        if self.view.pagination_class:
            parameters.append(PAGE_SIZE)
        if self.view.filter_backends:
            parameters += OPERATION_FILTERS
        return parameters

    def get_response_serializers(self) -> Any:
        serializer = self.view.serializer_class(many=self.view.pagination_class is not None)
        responses: dict[Any, Any] = {
            (200, "application/json"): serializer,
            304: OpenApiResponse(description="The client has the current body."),
        }
        for status, (description, detail) in ERRORS.items():
            responses[status, MEDIA_TYPE] = OpenApiResponse(
                {"$ref": "#/components/schemas/Problem"},
                description=description,
                examples=[OpenApiExample("example", value=problem(status, detail))],
            )
        return responses

    def get_examples(self) -> list[OpenApiExample]:
        return [OpenApiExample("example", value=VIEWS[type(self.view).__name__][1])]


class RestViews(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.RestView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        view: type[Any] = self.target
        return described(view, RestSchema) if view.__name__ in VIEWS else view
