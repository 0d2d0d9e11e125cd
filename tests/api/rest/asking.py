"""Asking the REST face, and reading what it answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.test import Client

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

OPERATIONS = "/api/import-operations/"
WORKSPACES = "/api/workspaces/"
PROBLEM = "application/problem+json"


def detail(key: object) -> str:
    return f"{OPERATIONS}{key}/"


def transitions(key: object) -> str:
    return f"{OPERATIONS}{key}/transitions/"


def samples(key: object) -> str:
    return f"{OPERATIONS}{key}/samples/"


def five(key: object) -> tuple[str, ...]:
    """Return the addresses of all five, the operation's being of this key."""
    return (OPERATIONS, detail(key), transitions(key), samples(key), WORKSPACES)


@dataclass
class Asking:
    """A client with credentials."""

    client: Client
    headers: dict[str, str]

    def get(self, url: str, parameters: Any = None, **headers: str) -> "Response":
        """Ask, with further headers by names with underscores."""
        if parameters:
            url = f"{url}?{urlencode(parameters)}"
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(url, headers=self.headers | more)

    def body(self, url: str, parameters: Any = None) -> dict[str, Any]:
        """Ask, and return the body of what has to be a good answer."""
        response = self.get(url, parameters)
        assert response.status_code == 200, response.content
        assert response["Content-Type"] == "application/json"
        found: dict[str, Any] = response.json()
        return found

    def rows(self, url: str, parameters: Any = None) -> list[dict[str, Any]]:
        """Ask, and return the rows of the page."""
        found: list[dict[str, Any]] = self.body(url, parameters)["results"]
        return found


def problem(response: "Response", status: int) -> dict[str, Any]:
    """Return the body of what has to be a problem of this status."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    found: dict[str, Any] = response.json()
    assert set(found) - {"errors"} == {"type", "title", "status", "detail"}
    assert found["type"] == "about:blank"
    assert found["status"] == status
    assert found["title"] == response.reason_phrase
    assert found["detail"]
    return found
