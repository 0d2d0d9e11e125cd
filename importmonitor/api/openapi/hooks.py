"""What is done to the document before and after drf-spectacular makes it."""

import re
from collections.abc import Iterator
from typing import Any

from importmonitor.models import Outcome
from importmonitor.rocketchat.states import STEPS, ImportState

KNOWN = {
    "status": STEPS,
    "state": [each.value for each in ImportState if each != ImportState.NONE],
    "outcome": Outcome.values,
}


def ours_only(endpoints: list[Any], **_kwargs: Any) -> list[Any]:
    """Leave out what is not this app's: the document does not speak for the host."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[3].cls.__module__
        in {"importmonitor.api.rocketchat.views", "importmonitor.api.rest.views"}
    ]


def open_lists(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Open the lists of values in what is answered: Rocket.Chat's have grown, and will again.

    Those of parameters stay closed, since another value is refused.
    """
    for schema in result.get("components", {}).get("schemas", {}).values():
        _open(schema)
    return result


def known_values(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Tell which words of Rocket.Chat's, and of ours for its, are known by now."""
    schemas = result["components"]["schemas"]
    for schema in schemas.keys() & {"Operation", "OperationDetail", "Transition"}:
        for name, found in schemas[schema]["properties"].items():
            if words := KNOWN.get(name.removeprefix("from_").removeprefix("to_")):
                found["x-extensible-enum"] = list(words)
    return result


def plain_words(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Let each description be one paragraph, as it is read and not as it is written in code."""
    for _path, operation in _operations(result):
        for each in (operation, *operation.get("parameters", [])):
            told = str(each.get("description", ""))
            each["description"] = re.sub(r"\s+", " ", told).strip()
    return result


def own_parameters(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Leave out of each path the parameters of another at which the same view is mounted."""
    for path, operation in _operations(result):
        operation["parameters"] = [
            each
            for each in operation.get("parameters", [])
            if each["in"] != "path" or f"{{{each['name']}}}" in path
        ]
    return result


def no_empty_text(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Say of parameters of plain text that they are neither empty nor hold a NUL."""
    for _path, operation in _operations(result):
        for parameter in operation["parameters"]:
            if parameter["in"] == "query" and parameter["schema"] == {"type": "string"}:
                parameter["schema"] |= {"minLength": 1, "pattern": "^[^\\u0000]+$"}
    return result


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in result["paths"].items():
        for operation in operations.values():
            yield path, operation


def _open(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _open(each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            values = [value for value in schema.pop("enum") if value not in (None, "")]
            schema["x-extensible-enum"] = values
        for left_over in ("x-spec-enum-id", "example"):
            schema.pop(left_over, None)
        for each in schema.values():
            _open(each)
