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

from tests.clients.live_server import API, ENDPOINTS, PEOPLE, TOO_MANY, UNKNOWN, Answer, House

Ask = Callable[[str, dict[str, str], str], Answer]


def rocketchat_api(url: str, headers: dict[str, str], session: requests.Session) -> Any:
    """Make a client of rocketchat_API's."""
    return RocketChat(
        user_id=headers["X-User-Id"],
        auth_token=headers["X-Auth-Token"],
        server_url=url,
        session=session,
    )


def ask_rocketchat_api(url: str, headers: dict[str, str], endpoint: str) -> Answer:
    """Ask as users of rocketchat_API do."""
    with requests.Session() as session:
        try:
            return Answer(200, rocketchat_api(url, headers, session).call_api_get(endpoint))
        except RocketApiException as refused:
            return Answer(refused.status_code, refused.response_json)
        except RocketBadStatusCodeException as refused:
            # What it takes for an error of something between, and not of Rocket.Chat's.
            assert endpoint == UNKNOWN
            return Answer(refused.status_code, refused.response)


def ask_rocket_python(url: str, headers: dict[str, str], endpoint: str) -> Answer:
    """Ask as users of rocket-python do: by one of its calls, with another endpoint."""
    user_id, token = headers["X-User-Id"], headers["X-Auth-Token"]
    call = GetMe(settings={"domain": url, "user_id": user_id, "token": token})
    call.endpoint = API + endpoint
    try:
        return Answer(200, call.call(timeout=30))
    except requests.HTTPError as refused:
        return Answer.read(refused.response.status_code, refused.response.text)


@pytest.fixture(params=[ask_rocketchat_api, ask_rocket_python])
def ask(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield request.param
    # A caught error holds its answer in a cycle, the answer its connection, that a thread of the
    # server, and this one a connection to the test database, which could not be dropped.
    gc.collect()


@pytest.mark.parametrize("imported", [True, False])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_everybody_hears_what_rocketchat_says(
    house: House, ask: Ask, endpoint: str, imported: bool
) -> None:
    if imported:
        house.import_something()
    for name in PEOPLE:
        # Made anew, and remembered.
        for _ in range(2):
            heard = ask(house.url, house.headers(name), endpoint)
            assert heard == house.expected(name, endpoint), name


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4])
def test_too_many_calls(house: House, ask: Ask, two_a_day: None, endpoint: str) -> None:
    house.import_something()
    heard = [ask(house.url, house.headers("tool"), endpoint) for _ in range(3)]
    assert [each.status for each in heard] == [200, 200, 429]
    assert heard[2].body["success"] is False
    assert re.fullmatch(TOO_MANY, heard[2].body["error"])
    # It is their limit, and nobody else's.
    assert ask(house.url, house.headers("runner"), endpoint).status != 429


def test_each_workspace_has_a_base_url(
    house: House, ask: Ask, acme: dict[str, Any], settings: Any
) -> None:
    headers, endpoint = house.headers("tool"), "getCurrentImportOperation"
    assert ask(house.url, headers, endpoint).body == {"success": True}
    for prefix in ("", "/chat/mirror"):
        if prefix:
            settings.ROOT_URLCONF = "tests.api.urls_elsewhere"
        heard = ask(f"{house.url}{prefix}/workspaces/acme", headers, endpoint)
        assert heard.body == {"operation": acme, "success": True}


def test_never_synced(house: House, ask: Ask, two_workspaces: None) -> None:
    heard = ask(f"{house.url}/workspaces/acme", house.headers("tool"), "import.status")
    assert heard.status == 503
    assert "not been synced" in heard.body["error"]


def test_parameters(house: House) -> None:
    headers = house.headers("tool")
    with requests.Session() as session:
        client = rocketchat_api(house.url, headers, session)
        for endpoint in ENDPOINTS[:3]:
            with pytest.raises(RocketApiException) as refused:
                client.call_api_get(endpoint, count=1)
            assert refused.value.status_code == 400
            assert refused.value.error_type == "error-invalid-params"
            assert refused.value.error == "must NOT have additional properties"
        assert client.call_api_get("import.status", count=1)["state"] == "none"
    del refused
    gc.collect()
