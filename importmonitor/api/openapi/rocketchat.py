"""The description of Rocket.Chat's endpoints."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from importmonitor.api.openapi.examples import DOCUMENT
from importmonitor.api.openapi.schema import ALIAS, ViewSchema, described, header
from importmonitor.api.rocketchat import responses
from importmonitor.api.rocketchat.views import MAX_LATEST
from importmonitor.rocketchat.states import STEPS, ImportState

STRING = {"type": "string"}
STEP = STRING | {"x-extensible-enum": list(STEPS)}
STATE = STRING | {
    "x-extensible-enum": [state.value for state in ImportState if state != ImportState.UNKNOWN]
}
COMPONENTS = {
    "ImportDocument": {
        "type": "object",
        "description": "The operation's document as Rocket.Chat sent it, with all other keys.",
        "properties": {
            "_id": STRING,
            "type": STRING | {"examples": ["CSV", "Slack"]},
            "importerKey": STRING | {"examples": ["csv", "slack"]},
            "ts": {
                "description": "ISO 8601 (Rocket.Chat 6.3 and later), or milliseconds since 1970.",
                "oneOf": [STRING, {"type": "integer"}],
            },
            "status": STEP,
            "valid": {"type": "boolean"},
            "user": STRING,
            "_updatedAt": STRING,
            "file": STRING,
            "contentType": STRING,
        },
        "additionalProperties": True,
    }
}
REF = {"$ref": "#/components/schemas/ImportDocument"}


def success(*required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of a body with `success: true`."""
    return {
        "type": "object",
        "required": [*required, "success"],
        "properties": properties | {"success": {"type": "boolean", "const": True}},
    }


COUNTERS = {name: {"type": "number"} for name in ("completed", "total", "error")}
#: The schema and the example of each endpoint's body.
BODIES: dict[str, tuple[dict[str, Any], Any]] = {
    "GetCurrentImportOperation": (
        success(operation=REF),
        {"operation": DOCUMENT, "success": True},
    ),
    "GetLatestImportOperations": (
        {"type": "array", "maxItems": MAX_LATEST, "items": REF},
        [DOCUMENT],
    ),
    "GetImportProgress": (
        success(
            "count",
            key=STRING,
            name=STRING,
            step=STEP,
            count={"type": "object", "required": list(COUNTERS), "properties": COUNTERS},
        ),
        responses.progress(DOCUMENT),
    ),
    "ImportStatus": (success(state=STATE, operation=REF), responses.status(DOCUMENT)),
}


def failure(error: str, description: str, **more: str) -> OpenApiResponse:
    """Return the description of an error in Rocket.Chat's form."""
    body = {"success": False, "error": error} | more
    properties = dict.fromkeys(body, STRING) | {"success": {"type": "boolean", "const": False}}
    return OpenApiResponse(
        {"type": "object", "required": list(body), "properties": properties},
        description=description,
        examples=[OpenApiExample("example", value=body)],
    )


ERRORS: dict[Any, Any] = {
    304: OpenApiResponse(description="The client has the current body."),
    412: OpenApiResponse(description="The body does not match `If-Match`."),
    (400, responses.JSON): failure(
        responses.INVALID_PARAMS,
        "A parameter was sent, and the endpoint has none.",
        errorType="error-invalid-params",
    ),
    (401, responses.JSON): failure(
        responses.UNAUTHENTICATED,
        "The credentials are missing or wrong.",
        status="error",
        message=responses.UNAUTHENTICATED,
    ),
    (403, responses.JSON): failure(responses.FORBIDDEN, "The permission is missing."),
    (404, "text/plain"): OpenApiResponse(STRING, description="The workspace is not configured."),
    (429, responses.JSON): failure(responses.TOO_MANY.format(7), "Too many requests."),
    (503, responses.JSON): failure(responses.NOT_SYNCED, "The workspace was never polled."),
}
NO_OPERATION = failure(
    responses.NO_OPERATION,
    "Nothing was ever imported, or a parameter was sent, and the endpoint has none.",
    errorType="error-operation-not-found",
)
#: The rate limit is in all responses except those to wrong credentials.
COUNTED = (200, 304, 400, 403, 404, 412, 429, 503)
HEADERS = [
    header("If-None-Match", "ETags that the client has: 304 if one is the body's."),
    header("If-Modified-Since", "304 if unchanged since; ignored with `If-None-Match`."),
    header("X-Import-Synced-At", "Time of the last successful poll.", 200, 304),
    header(
        "X-Import-Sync",
        "`ok`, `stale` (not polled recently) or `failing` (the last poll failed).",
        *(200, 304),
    ),
    header("ETag", "Identifies the body.", 200, 304),
    header("Last-Modified", "When the body last changed.", 200, 304),
    header("X-RateLimit-Limit", "Calls allowed in a window.", *COUNTED),
    header("X-RateLimit-Remaining", "Calls left in this window.", *COUNTED),
    header("X-RateLimit-Reset", "Start of the next window, in ms since 1970.", *COUNTED),
]


class RocketChatSchema(ViewSchema):
    """Describes one of Rocket.Chat's endpoints."""

    def get_operation_id(self) -> str:
        name = type(self.view).__name__
        # The endpoint has one URL for `default` and one for all workspaces.
        return name[0].lower() + name[1:] + ("OfWorkspace" if "{alias}" in self.path else "")

    def get_tags(self) -> list[str]:
        return ["Rocket.Chat"]

    def get_override_parameters(self) -> list[Any]:
        return [ALIAS, *HEADERS] if "{alias}" in self.path else HEADERS

    def get_response_serializers(self) -> Any:
        schema, example = BODIES[type(self.view).__name__]
        body = OpenApiResponse(
            schema,
            description="As of the last successful poll.",
            examples=[OpenApiExample("example", value=example)],
        )
        errors = dict(ERRORS)
        if self.view.allows_parameters:
            del errors[400, responses.JSON]
        if type(self.view).__name__ == "GetImportProgress":
            errors[400, responses.JSON] = NO_OPERATION
        return {(200, responses.JSON): body} | errors


class RocketChatViews(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rocketchat.views.RocketChatView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        view: type[Any] = self.target
        return described(view, RocketChatSchema) if view.__name__ in BODIES else view
