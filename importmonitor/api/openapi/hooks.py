"""What is done to the document before and after drf-spectacular makes it."""

import re
from typing import Any


def ours_only(endpoints: list[Any], **_kwargs: Any) -> list[Any]:
    """Leave out what is not this app's: the document does not speak for the host."""
    return [
        endpoint
        for endpoint in endpoints
        if endpoint[3].cls.__module__ in {"importmonitor.api.rocketchat", "importmonitor.api.views"}
    ]


def open_lists(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Open the lists of values in what is answered: Rocket.Chat's have grown, and will again.

    Those of parameters stay closed, since another value is refused.
    """
    for schema in result.get("components", {}).get("schemas", {}).values():
        _open(schema)
    return result


def plain_words(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Let each description be one paragraph, as it is read and not as it is written in code."""
    for path in result["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "description" in operation:
                operation["description"] = re.sub(r"\s+", " ", operation["description"]).strip()
    return result


def _open(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _open(each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            values = [value for value in schema.pop("enum") if value not in (None, "")]
            schema["x-extensible-enum"] = values
        for each in schema.values():
            _open(each)
