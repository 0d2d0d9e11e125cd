"""What the descriptions of both interfaces share: the schema class and the hooks."""

from typing import Any

from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from importmonitor.choices import IncidentKind
from importmonitor.models import Outcome, StatusTransition
from importmonitor.rocketchat.states import STEPS, ImportState

#: The known values of fields to which Rocket.Chat or a later release may add others.
KNOWN_VALUES = {
    "status": STEPS,
    "state": [state.value for state in ImportState if state != ImportState.NONE],
    "outcome": Outcome.values,
    "reason": StatusTransition.Reason.values,
    "kind": [kind.value for kind in IncidentKind],
}

ALIAS = OpenApiParameter(
    "alias",
    str,
    OpenApiParameter.PATH,
    description="The workspace.",
    examples=[OpenApiExample("acme", value="acme")],
)


class ViewSchema(AutoSchema):
    """Describes a view by its docstring."""

    view: Any

    def get_description(self) -> str:  # type: ignore[override] # as drf-spectacular does
        return str(get_doc(type(self.view)))

    def get_auth(self) -> list[dict[str, Any]]:
        # Without the empty entry for anonymous users: the views check permissions themselves.
        return [requirement for requirement in super().get_auth() if requirement]


def described(view: type[Any], schema: type[ViewSchema]) -> type[Any]:
    """Return a view with this schema; for OpenApiViewExtension.view_replacement."""
    attributes = {"schema": schema(), "__doc__": view.__doc__}
    return type(view.__name__, (view,), attributes)


def header(name: str, description: str, *codes: int, of: Any = str) -> OpenApiParameter:
    """Return a header of the responses with these codes, or of the request if there are none."""
    return OpenApiParameter(
        name, of, OpenApiParameter.HEADER, description=description, response=list(codes)
    )


class OwnEndpoints(EndpointEnumerator):
    """The endpoints of both interfaces, which are in no other schema, and not the host's."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        modules = {
            "importmonitor.api.rocketchat.views",
            "importmonitor.api.rest.views",
            "importmonitor.api.rest.incidents",
        }
        return getattr(getattr(callback, "cls", None), "__module__", "") in modules


class OwnSchemaGenerator(SchemaGenerator):
    """Generates our document, whatever the host has set for its own."""

    endpoint_inspector_cls = OwnEndpoints

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call] # it has no types
        self.coerce_path_pk = True


def refine(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Add what drf-spectacular cannot express, and remove what OpenAPI 3.1 does not have."""
    for name, component in result["components"]["schemas"].items():
        for field, schema in component.get("properties", {}).items():
            # drf-spectacular reads the example of a page from there; JSON Schema has `examples`.
            schema.pop("example", None)
            values = KNOWN_VALUES.get(field.removeprefix("from_").removeprefix("to_"))
            if values and name in {"Operation", "OperationDetail", "Transition", "Incident"}:
                schema["x-extensible-enum"] = list(values)
    operations = [row for path in result["paths"].values() for row in path.values()]
    for operation in operations:
        for parameter in operation["parameters"]:
            parameter["description"] = parameter["description"].strip()
            # The views reject empty values, and the database NUL.
            if parameter["in"] == "query" and parameter["schema"] == {"type": "string"}:
                parameter["schema"] |= {"minLength": 1, "pattern": "^[^\\u0000]+$"}
    return result
