"""How the document tells of Rocket.Chat's endpoints."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from importmonitor.api.openapi.examples import DOCUMENT
from importmonitor.api.openapi.schema import as_described
from importmonitor.api.rocketchat import responses
from importmonitor.rocketchat.states import STEPS, ImportState

COUNT = {
    "type": "object",
    "properties": {
        name: {"type": "integer"}
        for name in ("total", "completed", "error", "users", "channels", "messages", "contacts")
    },
    "description": "As Rocket.Chat sent it: a key may be missing, and its value of another type.",
}
STATES = [each.value for each in ImportState if each != ImportState.UNKNOWN]
OPERATION = {
    "type": "object",
    "description": "The operation's document as Rocket.Chat sent it, with whatever else it holds.",
    "properties": {
        "_id": {"type": "string"},
        "type": {"type": "string", "examples": ["CSV", "Slack"]},
        "importerKey": {"type": "string", "examples": ["csv", "slack"]},
        "ts": {
            "description": "ISO 8601 (Rocket.Chat 6.3 and later), or milliseconds since 1970.",
            "oneOf": [{"type": "string"}, {"type": "integer"}],
        },
        "status": {"type": "string", "x-extensible-enum": list(STEPS)},
        "valid": {"type": "boolean"},
        "user": {"type": "string"},
        "_updatedAt": {"type": "string"},
        "file": {"type": "string"},
        "contentType": {"type": "string"},
    },
    "additionalProperties": True,
}
SUCCESS = {"type": "boolean", "const": True}
HEADERS = [
    ("X-Import-Synced-At", "When the workspace was last looked at and answered."),
    ("X-Import-Sync", "`ok`, `stale` (nobody has looked for long) or `failing`."),
    ("ETag", "Stands for the body."),
    ("Last-Modified", "When that which is told here changed last."),
]
#: Of refusals too, but for those of wrong credentials.
LIMITS = [
    ("X-RateLimit-Limit", "Calls that are allowed in a window."),
    ("X-RateLimit-Remaining", "Calls that are left of them."),
    ("X-RateLimit-Reset", "When the next window begins, in milliseconds since 1970."),
]
LIMITED = [200, 304, 400, 403, 404, 412, 429, 503]
CONDITIONS = [
    ("If-None-Match", "ETags that the client has: 304 where the body's is one of them."),
    ("If-Modified-Since", "304 where nothing changed since; not minded beside `If-None-Match`."),
]


REF = {"$ref": "#/components/schemas/ImportDocument"}


def envelope(*required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of a body with `success: true`."""
    return {
        "type": "object",
        "required": [*required, "success"],
        "properties": properties | {"success": SUCCESS},
    }


CURRENT = envelope(operation=REF)
LATEST = {"type": "array", "maxItems": 20, "items": REF}
STATUS = envelope(state={"type": "string", "x-extensible-enum": STATES}, operation=REF)
PROGRESS = envelope(
    "count",
    key={"type": "string"},
    name={"type": "string"},
    step={"type": "string", "x-extensible-enum": list(STEPS)},
    count={
        "type": "object",
        "required": ["completed", "total", "error"],
        "properties": {name: {"type": "number"} for name in ("completed", "total", "error")},
    },
)


COMPONENTS = {"ImportDocument": OPERATION}


def failure(words: str, description: str, **more: str) -> Any:
    """Return how an error is described, in Rocket.Chat's words."""
    body = {"success": False, "error": words} | more
    schema = {
        "type": "object",
        "required": list(body),
        "properties": {
            name: {"type": "boolean", "const": False} if name == "success" else {"type": "string"}
            for name in body
        },
    }
    return OpenApiResponse(
        schema, description=description, examples=[OpenApiExample("example", value=body)]
    )


ERRORS: dict[Any, Any] = {
    (400, responses.JSON): failure(
        responses.INVALID_PARAMS,
        "A parameter was given, and there are none.",
        errorType="error-invalid-params",
    ),
    (401, responses.JSON): failure(
        responses.UNAUTHENTICATED,
        "No credentials, or wrong ones.",
        status="error",
        message=responses.UNAUTHENTICATED,
    ),
    (403, responses.JSON): failure(responses.FORBIDDEN, "The permission is missing."),
    (404, "text/plain"): OpenApiResponse(
        {"type": "string"}, description="No workspace of that alias is configured."
    ),
    (429, responses.JSON): failure(responses.TOO_MANY.format(7), "Asked too often."),
    (503, responses.JSON): failure(responses.NOT_SYNCED, "Nobody has looked at the workspace yet."),
}
NO_OPERATION = ERRORS | {
    (400, responses.JSON): failure(
        responses.NO_OPERATION,
        "Nothing was ever imported, or a parameter was given, and there are none.",
        errorType="error-operation-not-found",
    )
}


def described(
    view: Any,
    schema: dict[str, Any],
    example: Any,
    description: str,
    errors: dict[Any, Any] = ERRORS,
) -> Any:
    """Return an endpoint's class with its GET described."""
    answer = OpenApiResponse(
        schema, description="As last seen.", examples=[OpenApiExample("example", value=example)]
    )
    conditions: dict[Any, Any] = {
        304: OpenApiResponse(description="The client has it already."),
        412: OpenApiResponse(description="It is no longer what `If-Match` asks for."),
    }
    alias = OpenApiParameter(
        "alias",
        str,
        OpenApiParameter.PATH,
        description="The workspace.",
        examples=[OpenApiExample("acme", value="acme")],
    )
    headers = [
        OpenApiParameter(name, str, OpenApiParameter.HEADER, response=codes, description=told)
        for named, codes in ((CONDITIONS, False), (HEADERS, [200, 304]), (LIMITS, LIMITED))
        for name, told in named
    ]

    return as_described(
        view,
        name=view.__name__[0].lower() + view.__name__[1:],
        description=description,
        tags=["Rocket.Chat"],
        parameters=[alias, *headers],
        responses={(200, responses.JSON): answer} | conditions | errors,
    )


class Current(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rocketchat.views.GetCurrentImportOperation"

    def view_replacement(self) -> Any:
        return described(
            self.target,
            CURRENT,
            {"operation": DOCUMENT, "success": True},
            "The newest operation of a workspace, running or not. `operation` is absent where "
            "nothing was ever imported.",
        )


class Latest(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rocketchat.views.GetLatestImportOperations"

    def view_replacement(self) -> Any:
        return described(
            self.target,
            LATEST,
            [DOCUMENT],
            "The operations that were touched last, for those with "
            "`importmonitor.view-import-operations`.",
        )


class Progress(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rocketchat.views.GetImportProgress"

    def view_replacement(self) -> Any:
        return described(
            self.target,
            PROGRESS,
            {
                "key": "csv",
                "name": "CSV",
                "step": "importer_importing_users",
                "count": {"completed": 5, "total": 10, "error": 0},
                "success": True,
            },
            "The step and the counters of the newest operation.",
            NO_OPERATION,
        )


class Status(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers itself
    target_class = "importmonitor.api.rocketchat.views.ImportStatus"

    def view_replacement(self) -> Any:
        return described(
            self.target,
            STATUS,
            {"state": "importing", "operation": DOCUMENT, "success": True},
            "The newest operation with Rocket.Chat's coarse state of it; `none` where nothing was "
            "ever imported. Alone among these, it ignores parameters.",
            {each: told for each, told in ERRORS.items() if each[0] != HTTPStatus.BAD_REQUEST},
        )
