"""The description of the REST API."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from importmonitor.api.openapi import examples
from importmonitor.api.openapi.schema import ALIAS, ViewSchema, described, header
from importmonitor.api.rest.exceptions import MEDIA_TYPE, problem
from importmonitor.api.rest.pagination import MAX_PAGE_SIZE, NewestFirstPagination
from importmonitor.api.rest.serializers import IncidentSerializer

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
    "IncidentList": ("listIncidents", examples.INCIDENT),
    "IncidentDetail": ("getIncident", examples.INCIDENT),
}
#: The operation id, the request, the status and the response of each method that writes.
WRITES: dict[tuple[str, str], tuple[str, Any, int, Any]] = {
    ("IncidentAcknowledge", "POST"): (
        "acknowledgeIncident",
        examples.ACKNOWLEDGEMENT,
        200,
        examples.INCIDENT,
    ),
    ("WorkspaceMaintenance", "POST"): (
        "muteWorkspace",
        examples.MAINTENANCE_REQUEST,
        201,
        examples.MAINTENANCE,
    ),
    ("WorkspaceMaintenance", "DELETE"): ("unmuteWorkspace", None, 204, None),
}
WRITE_VIEWS = {name for name, _method in WRITES}
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
WRITE_ERRORS = {
    409: ("The incident is over.", "This incident is over."),
    415: ("The body is not JSON.", 'Unsupported media type "text/plain" in request.'),
}
RETRY_AFTER = header("Retry-After", "Seconds until the next request is allowed.", 429, of=int)
HEADERS = [
    header("ETag", "Identifies the body.", 200, 304),
    header(
        "Last-Modified",
        "When the data last changed or was last polled; absent if the body has none.",
        *(200, 304),
    ),
    RETRY_AFTER,
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
INCIDENT_ID = OpenApiParameter(
    "id",
    {"type": "integer", "minimum": 1},
    OpenApiParameter.PATH,
    description="The incident's id.",
    examples=[OpenApiExample("first", value=1)],
)
INCIDENT_FILTERS = [
    OpenApiParameter(
        "open", bool, description="Whether it is not over; maintenance is never open."
    ),
    OpenApiParameter("acknowledged", bool, description="Whether it is acknowledged at present."),
]
WORKSPACE_FILTERS = [
    OpenApiParameter("active", bool, description="Whether the current operation has not ended."),
    OpenApiParameter("failing", bool, description="Whether the last poll failed."),
]
OPERATION_FILTERS = [
    OpenApiParameter(
        "ordering",
        enum=list(NewestFirstPagination.orderings),
        description="Newest first (the default), or oldest first.",
    ),
    OpenApiParameter("has_errors", bool, description="Whether its error counter is above 0."),
    OpenApiParameter("stalled", bool, description="Whether it should make progress and does not."),
]
#: Those that drf-spectacular cannot describe by itself.
FILTERS = {
    "OperationList": OPERATION_FILTERS,
    "WorkspaceList": WORKSPACE_FILTERS,
    "IncidentList": INCIDENT_FILTERS,
}


class RestSchema(ViewSchema):
    """Describes a view of the REST API."""

    def get_operation_id(self) -> str:
        return VIEWS[type(self.view).__name__][0]

    def get_tags(self) -> list[str]:
        return ["REST"]

    def get_override_parameters(self) -> list[Any]:
        parameters = [*HEADERS]
        if "{id}" in self.path:
            parameters.append(INCIDENT_ID if "/incidents/" in self.path else ID)
        if self.view.pagination_class:
            parameters.append(PAGE_SIZE)
        parameters += FILTERS.get(type(self.view).__name__, [])
        return parameters

    def get_response_serializers(self) -> Any:
        serializer = self.view.serializer_class(many=self.view.pagination_class is not None)
        responses: dict[Any, Any] = {
            (200, "application/json"): serializer,
            304: OpenApiResponse(description="The client has the current body."),
        }
        return responses | _error_responses(ERRORS)

    def get_examples(self) -> list[OpenApiExample]:
        return [OpenApiExample("example", value=VIEWS[type(self.view).__name__][1])]


class WriteSchema(ViewSchema):
    """Describes a view of the REST API that writes, by its method."""

    def _values(self) -> tuple[str, Any, int, Any]:
        return WRITES[type(self.view).__name__, self.method]

    def get_description(self) -> str:  # type: ignore[override] # as drf-spectacular does
        is_delete = self.method == "DELETE"
        return str(get_doc(type(self.view).delete)) if is_delete else super().get_description()

    def get_operation_id(self) -> str:
        return self._values()[0]

    def get_tags(self) -> list[str]:
        return ["REST"]

    def get_override_parameters(self) -> list[Any]:
        return [RETRY_AFTER, INCIDENT_ID if "{id}" in self.path else ALIAS]

    def get_request_serializer(self) -> Any:
        return None if self.method == "DELETE" else self.view.serializer_class

    def get_response_serializers(self) -> Any:
        _name, _request, status, body = self._values()
        errors = ERRORS | WRITE_ERRORS
        if status != HTTPStatus.OK:
            del errors[HTTPStatus.CONFLICT]
        if body is None:
            # It has no body, and no other alternative has one.
            del errors[HTTPStatus.UNSUPPORTED_MEDIA_TYPE]
            return {status: OpenApiResponse(description="Done.")} | _error_responses(errors)
        return {(status, "application/json"): IncidentSerializer} | _error_responses(errors)

    def get_examples(self) -> list[OpenApiExample]:
        _name, request, status, body = self._values()
        if body is None:
            return []
        return [
            OpenApiExample("request", value=request, request_only=True),
            OpenApiExample("example", value=body, response_only=True, status_codes=[str(status)]),
        ]


def _error_responses(errors: dict[int, tuple[str, str]]) -> dict[Any, Any]:
    return {
        (status, MEDIA_TYPE): OpenApiResponse(
            {"$ref": "#/components/schemas/Problem"},
            description=description,
            examples=[OpenApiExample("example", value=problem(status, detail))],
        )
        for status, (description, detail) in errors.items()
    }


class RestViews(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rest.views.RestView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        view: type[Any] = self.target
        if view.__name__ in WRITE_VIEWS:
            return described(view, WriteSchema)
        return described(view, RestSchema) if view.__name__ in VIEWS else view
