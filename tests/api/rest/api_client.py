"""A client for the tests of the REST API."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.test import Client

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

OPERATIONS = "/api/import-operations/"
WORKSPACES = "/api/workspaces/"
INCIDENTS = "/api/incidents/"
PROBLEM = "application/problem+json"


def detail_url(key: object) -> str:
    return f"{OPERATIONS}{key}/"


def transitions_url(key: object) -> str:
    return f"{OPERATIONS}{key}/transitions/"


def samples_url(key: object) -> str:
    return f"{OPERATIONS}{key}/samples/"


def all_urls(key: object) -> tuple[str, ...]:
    """Return the URLs of all endpoints, for the operation with this key."""
    return (OPERATIONS, detail_url(key), transitions_url(key), samples_url(key), WORKSPACES)


@dataclass
class ApiClient:
    """A client with credentials."""

    client: Client
    headers: dict[str, str]

    def get(self, url: str, parameters: Any = None, **headers: str) -> "Response":
        """Send a GET with further headers, whose names have underscores."""
        if parameters:
            url = f"{url}?{urlencode(parameters)}"
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(url, headers=self.headers | more)

    def send(self, method: str, url: str, body: Any = None, **more: Any) -> "Response":
        """Send a body, as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        options = {"content_type": "application/json"} | more
        data = b"" if body is None else data
        return self.client.generic(method, url, data, headers=self.headers, **options)

    def body(self, url: str, parameters: Any = None) -> dict[str, Any]:
        """Return the body of a successful response."""
        response = self.get(url, parameters)
        assert response.status_code == 200, response.content
        assert response["Content-Type"] == "application/json"
        body: dict[str, Any] = response.json()
        return body

    def rows(self, url: str, parameters: Any = None) -> list[dict[str, Any]]:
        """Return the rows of a page."""
        rows: list[dict[str, Any]] = self.body(url, parameters)["results"]
        return rows


def problem(response: "Response", status: int) -> dict[str, Any]:
    """Return the body of a problem, after checking it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    body: dict[str, Any] = response.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail"}
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] == response.reason_phrase
    assert body["detail"]
    return body
