"""Rocket.Chat's own client from PyPI, unchanged, against a live server."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from rocketchat_API.APIExceptions.RocketExceptions import (
    RocketApiException,
    RocketBadStatusCodeException,
)
from rocketchat_API.rocketchat import RocketChat

from tests.api.helpers import RUNNING, credentials, make_user, sync, sync_nothing, workspace_at

Client = Callable[[dict[str, str], str], Any]

NAME = "getCurrentImportOperation"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def headers(live_server: Any) -> dict[str, str]:
    """As the other tests' `headers`, after the database that is shared with the server's thread."""
    return credentials(make_user("tool", "run-import"))


@pytest.fixture
def client() -> Iterator[Client]:
    """Make a client of Rocket.Chat's."""
    with requests.Session() as session:
        yield lambda headers, url: RocketChat(
            user_id=headers["X-User-Id"],
            auth_token=headers["X-Auth-Token"],
            server_url=url,
            session=session,
        )
    # A caught error holds its answer in a cycle, the answer its connection, that a thread of the
    # server, and this one a connection to the test database, which could not be dropped.
    gc.collect()


def test_the_current_operation(live_server: Any, headers: dict[str, str], client: Client) -> None:
    sync(RUNNING)
    assert client(headers, live_server.url).call_api_get(NAME) == {
        "operation": RUNNING,
        "success": True,
    }


def test_refusals(live_server: Any, headers: dict[str, str], client: Client) -> None:
    sync(RUNNING)
    with pytest.raises(RocketApiException, match="You must be logged in to do this") as caught:
        client(headers | {"X-Auth-Token": "wrong"}, live_server.url).call_api_get(NAME)
    assert caught.value.status_code == 401
    with pytest.raises(RocketApiException, match="must NOT have additional properties") as caught:
        client(headers, live_server.url).call_api_get(NAME, count=1)
    assert caught.value.status_code == 400
    with pytest.raises(RocketBadStatusCodeException, match="404 Not Found") as refused:
        client(headers, live_server.url).call_api_get("getCurrentImportOperations")
    assert refused.value.status_code == 404
    User.objects.get(username="tool").user_permissions.clear()
    with pytest.raises(RocketApiException, match="error-unauthorized") as caught:
        client(headers, live_server.url).call_api_get(NAME)
    assert caught.value.status_code == 403


def test_each_workspace_has_a_base_url(
    live_server: Any, headers: dict[str, str], client: Client, settings: Any
) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        }
    }
    sync_nothing()
    sync(RUNNING, alias="acme")
    assert client(headers, live_server.url).call_api_get(NAME) == {"success": True}
    acme = client(headers, f"{live_server.url}/workspaces/acme")
    assert acme.call_api_get(NAME)["operation"] == RUNNING
    settings.ROOT_URLCONF = "tests.api.urls_elsewhere"
    acme = client(headers, f"{live_server.url}/chat/mirror/workspaces/acme")
    assert acme.call_api_get(NAME)["operation"] == RUNNING
