"""Rocket.Chat's clients from npm, unchanged, against a live server."""

import json
import re
from typing import Any

import pytest

from tests.clients import node
from tests.clients.live_server import ENDPOINTS, PEOPLE, TOO_MANY, Answer, House

pytestmark = node.needed

CLIENTS = ["api-client", "sdk", "rocketchat-api"]


def as_shown(client: str, answer: Answer) -> dict[str, Any]:
    """Return what a client's caller is given for an answer of the server."""
    if answer.status == 200:
        return {"resolved": answer.body}
    show = {"api-client": _response, "sdk": _data, "rocketchat-api": _error}[client]
    return {"rejected": show(answer)}


def _response(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "body": answer.body}


def _data(answer: Answer) -> dict[str, Any]:
    # It reads JSON whatever the status, and has no word for what is none.
    if isinstance(answer.body, str):
        return {"name": "SyntaxError"}
    return {"status": answer.status, "data": answer.body}


def _error(answer: Answer) -> dict[str, Any]:
    known = {
        401: "Requested method requires an authentication",
        404: "Requested resource was not found",
    }
    message = known.get(answer.status) or answer.body["error"]
    return {"name": "RequestError", "statusCode": answer.status, "message": message}


def ask(client: str, url: str, headers: dict[str, str], *endpoints: str) -> list[dict[str, Any]]:
    """Ask, and leave out of what is shown what is not the server's words or not of interest."""
    found = node.ask(client, url, headers, *endpoints)
    for rejected in [each["rejected"] for each in found if "rejected" in each]:
        if client == "api-client":
            del rejected["headers"]
            rejected["body"] = Answer.read(rejected["status"], rejected["body"]).body
        elif rejected.get("name") == "SyntaxError":
            del rejected["message"]
    return found


@pytest.mark.parametrize("imported", [True, False])
@pytest.mark.parametrize("client", CLIENTS)
def test_everybody_is_given_what_rocketchat_gives(
    house: House, client: str, imported: bool
) -> None:
    if imported:
        house.import_something()
    for name in PEOPLE:
        # Made anew, and remembered.
        asked = [*ENDPOINTS, *ENDPOINTS]
        given = ask(client, house.url, house.headers(name), *asked)
        expected = [as_shown(client, house.expected(name, endpoint)) for endpoint in asked]
        assert given == expected, name


@pytest.mark.parametrize("client", CLIENTS)
def test_too_many_calls(house: House, two_a_day: None, client: str) -> None:
    house.import_something()
    asked = [endpoint for endpoint in ENDPOINTS[:4] for _ in range(3)]
    given = ask(client, house.url, house.headers("tool"), *asked)
    for allowed in (given[0::3], given[1::3]):
        assert allowed == [as_shown(client, house.expected("tool", each)) for each in asked[::3]]
    for refused in given[2::3]:
        said = re.search(TOO_MANY, json.dumps(refused))
        assert said
        assert refused == as_shown(client, Answer(429, {"success": False, "error": said[0]}))


def test_the_limit_in_headers(house: House, two_a_day: None) -> None:
    """The one of them that shows headers: when to come again is in milliseconds."""
    endpoint = "getCurrentImportOperation"
    given = node.ask("api-client", house.url, house.headers("tool"), *[endpoint] * 3)
    headers = given[2]["rejected"]["headers"]
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("2", "0")
    assert len(headers["x-ratelimit-reset"]) == 13
    assert "retry-after" not in headers


@pytest.mark.parametrize("client", CLIENTS)
def test_each_workspace_has_a_base_url(house: House, acme: dict[str, Any], client: str) -> None:
    headers, endpoint = house.headers("tool"), "getCurrentImportOperation"
    assert ask(client, f"{house.url}/workspaces/acme", headers, endpoint) == [
        {"resolved": {"operation": acme, "success": True}}
    ]
