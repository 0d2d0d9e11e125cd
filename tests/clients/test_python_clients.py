"""Rocket.Chat's clients from PyPI, unchanged, against a live server."""

import gc
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from rocketchat.calls.auth.get_me import GetMe
from rocketchat_API.APIExceptions.RocketExceptions import (
    RocketApiException,
    RocketBadStatusCodeException,
)
from rocketchat_API.rocketchat import RocketChat

from tests.clients.live_server import (
    API,
    ENDPOINTS,
    TOO_MANY_REQUESTS,
    UNKNOWN,
    USERS,
    Mirror,
    Response,
)

MakeRequest = Callable[[str, dict[str, str], str], Response]


def rocketchat_api(url: str, headers: dict[str, str], session: requests.Session) -> Any:
    """Return a client of rocketchat_API."""
    return RocketChat(
        user_id=headers["X-User-Id"],
        auth_token=headers["X-Auth-Token"],
        server_url=url,
        session=session,
    )


def request_with_rocketchat_api(url: str, headers: dict[str, str], endpoint: str) -> Response:
    """Request an endpoint as users of rocketchat_API do."""
    with requests.Session() as session:
        try:
            return Response(200, rocketchat_api(url, headers, session).call_api_get(endpoint))
        except RocketApiException as error:
            return Response(error.status_code, error.response_json)
        except RocketBadStatusCodeException as error:
            # Its error for a response that is not Rocket.Chat's.
            assert endpoint == UNKNOWN
            return Response(error.status_code, error.response)


def request_with_rocket_python(url: str, headers: dict[str, str], endpoint: str) -> Response:
    """Request an endpoint as users of rocket-python do: one of its calls with another endpoint."""
    user_id, token = headers["X-User-Id"], headers["X-Auth-Token"]
    call = GetMe(settings={"domain": url, "user_id": user_id, "token": token})
    call.endpoint = API + endpoint
    try:
        return Response(200, call.call(timeout=120))
    except requests.HTTPError as error:
        return Response.parse(error.response.status_code, error.response.text)


@pytest.fixture(params=[request_with_rocketchat_api, request_with_rocket_python])
def make_request(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield request.param
    # A caught error refers in a cycle to its response, and so to a connection, whose server thread
    # keeps a connection to the test database open, which then cannot be dropped.
    gc.collect()


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("imported", [True, False])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_clients_return_the_same_as_with_rocketchat(
    mirror: Mirror, make_request: MakeRequest, endpoint: str, imported: bool
) -> None:
    if imported:
        mirror.run_imports()
    for name in USERS:
        # Twice: the second response comes from the cache.
        for _ in range(2):
            response = make_request(mirror.url, mirror.headers(name), endpoint)
            assert response == mirror.expected(name, endpoint), name


@pytest.mark.thorough(one_in=4)
@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_too_many_requests(
    mirror: Mirror, make_request: MakeRequest, two_requests_per_day: None, endpoint: str
) -> None:
    mirror.run_imports()
    responses = [make_request(mirror.url, mirror.headers("tool"), endpoint) for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 429]
    assert responses[2].body["success"] is False
    assert re.fullmatch(TOO_MANY_REQUESTS, responses[2].body["error"])
    # Other users have limits of their own.
    assert make_request(mirror.url, mirror.headers("runner"), endpoint).status != 429


def test_each_workspace_has_a_base_url(
    mirror: Mirror, make_request: MakeRequest, acme: dict[str, Any], settings: Any
) -> None:
    headers, endpoint = mirror.headers("tool"), "getCurrentImportOperation"
    assert make_request(mirror.url, headers, endpoint).body == {"success": True}
    for prefix in ("", "/chat/mirror"):
        if prefix:
            settings.ROOT_URLCONF = "tests.api.urls_elsewhere"
        response = make_request(f"{mirror.url}{prefix}/workspaces/acme", headers, endpoint)
        assert response.body == {"operation": acme, "success": True}


def test_never_synced_workspace_is_503(
    mirror: Mirror, make_request: MakeRequest, two_workspaces: None
) -> None:
    response = make_request(
        f"{mirror.url}/workspaces/acme", mirror.headers("tool"), "import.status"
    )
    assert response.status == 503
    assert "not been synced" in response.body["error"]


def test_unknown_parameters_are_400(mirror: Mirror) -> None:
    headers = mirror.headers("tool")
    with requests.Session() as session:
        client = rocketchat_api(mirror.url, headers, session)
        for endpoint in ENDPOINTS[:3]:
            with pytest.raises(RocketApiException) as error:
                client.call_api_get(endpoint, count=1)
            assert error.value.status_code == 400
            assert error.value.error_type == "error-invalid-params"
            assert error.value.error == "must NOT have additional properties"
        assert client.call_api_get("import.status", count=1)["state"] == "none"
    del error
    gc.collect()
