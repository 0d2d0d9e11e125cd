"""The OpenAPI document, read to hold answers against it."""

import copy
from collections.abc import Iterator
from typing import Any

from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types


def read() -> dict[str, Any]:
    """Return the document as the project serves it."""
    found: dict[str, Any] = Client().get("/api/schema/", {"format": "json"}).json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each path and what is told of its GET."""
    for path, methods in document["paths"].items():
        yield path, methods["get"]


class Judge:
    """Holds answers against the document; what it does not tell of in a body is an error too."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = copy.deepcopy(document)
        for schema in self._document["components"]["schemas"].values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)

    def check(self, path: str, response: Any) -> None:
        """Assert that an answer is one of those that are told of a path."""
        answers = self._document["paths"][path]["get"]["responses"]
        answer = answers[str(response.status_code)]
        for name in answer.get("headers", {}):
            assert name in response.headers or name == "Last-Modified", name
        content = answer.get("content", {})
        if not content:
            assert response.content == b""
            return
        media_type = response["Content-Type"].partition(";")[0]
        schema = content[media_type]["schema"]
        body = response.json() if media_type.endswith("json") else response.content.decode()
        root = {"components": self._document["components"], **schema}
        errors = [
            f"{each.json_path}: {each.message}"
            for each in Draft202012Validator(root).iter_errors(body)
        ]
        assert not errors, errors
