"""Rocket.Chat's clients from npm, unchanged, against a live server."""

import json
import re
from typing import Any

import pytest

from tests.clients import node
from tests.clients.live_server import ENDPOINTS, TOO_MANY_REQUESTS, USERS, Mirror, Response

pytestmark = node.required

CLIENTS = ["api-client", "sdk", "rocketchat-api"]


def client_result(client: str, response: Response) -> dict[str, Any]:
    """Return what a client returns to its caller for a response of the server."""
    if response.status == 200:
        return {"resolved": response.body}
    convert = {"api-client": _response, "sdk": _data, "rocketchat-api": _error}[client]
    return {"rejected": convert(response)}


def _response(response: Response) -> dict[str, Any]:
    return {"status": response.status, "body": response.body}


def _data(response: Response) -> dict[str, Any]:
    # It parses any response as JSON, whatever the status.
    if isinstance(response.body, str):
        return {"name": "SyntaxError"}
    return {"status": response.status, "data": response.body}


def _error(response: Response) -> dict[str, Any]:
    messages = {
        401: "Requested method requires an authentication",
        404: "Requested resource was not found",
    }
    message = messages.get(response.status) or response.body["error"]
    return {"name": "RequestError", "statusCode": response.status, "message": message}


def request(
    client: str, url: str, headers: dict[str, str], *endpoints: str
) -> list[dict[str, Any]]:
    """Request endpoints, and remove what is not the server's or not of interest."""
    results = node.request(client, url, headers, *endpoints)
    for rejected in [result["rejected"] for result in results if "rejected" in result]:
        if client == "api-client":
            del rejected["headers"]
            rejected["body"] = Response.parse(rejected["status"], rejected["body"]).body
        elif rejected.get("name") == "SyntaxError":
            del rejected["message"]
    return results


@pytest.mark.parametrize("imported", [True, False])
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_return_the_same_as_with_rocketchat(
    mirror: Mirror, client: str, imported: bool
) -> None:
    if imported:
        mirror.run_imports()
    for name in USERS:
        # Twice: the second responses come from the cache.
        endpoints = [*ENDPOINTS, *ENDPOINTS]
        results = request(client, mirror.url, mirror.headers(name), *endpoints)
        assert results == [
            client_result(client, mirror.expected(name, endpoint)) for endpoint in endpoints
        ], name


@pytest.mark.parametrize("client", CLIENTS)
def test_too_many_requests(mirror: Mirror, two_requests_per_day: None, client: str) -> None:
    mirror.run_imports()
    endpoints = [endpoint for endpoint in ENDPOINTS[:4] for _ in range(3)]
    results = request(client, mirror.url, mirror.headers("tool"), *endpoints)
    for allowed in (results[0::3], results[1::3]):
        assert allowed == [
            client_result(client, mirror.expected("tool", endpoint)) for endpoint in ENDPOINTS[:4]
        ]
    for refused in results[2::3]:
        error = re.search(TOO_MANY_REQUESTS, json.dumps(refused))
        assert error
        response = Response(429, {"success": False, "error": error[0]})
        assert refused == client_result(client, response)


def test_rate_limit_headers(mirror: Mirror, two_requests_per_day: None) -> None:
    """Of the clients, api-client alone returns headers; the reset time is in milliseconds."""
    endpoint = "getCurrentImportOperation"
    results = node.request("api-client", mirror.url, mirror.headers("tool"), *[endpoint] * 3)
    headers = results[2]["rejected"]["headers"]
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("2", "0")
    assert len(headers["x-ratelimit-reset"]) == 13
    assert "retry-after" not in headers


@pytest.mark.parametrize("client", CLIENTS)
def test_each_workspace_has_a_base_url(mirror: Mirror, acme: dict[str, Any], client: str) -> None:
    headers, endpoint = mirror.headers("tool"), "getCurrentImportOperation"
    assert request(client, f"{mirror.url}/workspaces/acme", headers, endpoint) == [
        {"resolved": {"operation": acme, "success": True}}
    ]
