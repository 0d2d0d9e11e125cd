"""The OpenAPI document, and a validator of responses."""

import copy
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.test import Client, override_settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types


def fetch_document() -> dict[str, Any]:
    """Return the document that the project serves."""
    with override_settings(IMPORTMONITOR=settings.IMPORTMONITOR | {"PUBLIC_SCHEMA": True}):
        document: dict[str, Any] = Client().get("/api/schema/", {"format": "json"}).json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each path that can be read, and its GET operation."""
    for path, methods in document["paths"].items():
        if "get" in methods:
            yield path, methods["get"]


class ResponseValidator:
    """Validates responses; keys that the document does not describe are errors."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = copy.deepcopy(document)
        for schema in self._document["components"]["schemas"].values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)

    def check(self, path: str, response: Any, method: str = "get") -> None:
        """Assert that a response is as described for a path."""
        descriptions = self._document["paths"][path][method]["responses"]
        description = descriptions[str(response.status_code)]
        for name in description.get("headers", {}):
            assert name in response.headers or name == "Last-Modified", name
        content = description.get("content", {})
        if not content:
            assert response.content == b""
            return
        media_type = response["Content-Type"].partition(";")[0]
        schema = content[media_type]["schema"]
        body = response.json() if media_type.endswith("json") else response.content.decode()
        root = {"components": self._document["components"], **schema}
        errors = [
            f"{error.json_path}: {error.message}"
            for error in Draft202012Validator(root).iter_errors(body)
        ]
        assert not errors, errors
