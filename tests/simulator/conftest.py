"""A clock, workspaces, and requests to them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.clock import Clock
from simulator.responses import Response, respond
from simulator.workspace import Workspace

MakeWorkspace = Callable[..., Workspace]
Request = Callable[..., Response]
GetJson = Callable[..., Any]

USER = "adminadminadmin01"
TOKEN = "the-token"
HEADERS = {"X-User-Id": USER, "X-Auth-Token": TOKEN}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 1, 5, 9, 3, 7, 250_999, tzinfo=UTC))


@pytest.fixture
def make_workspace(clock: Clock) -> MakeWorkspace:
    def make_workspace(**options: Any) -> Workspace:
        workspace = Workspace(clock, **{"rate_limit": None, "limiter_clock": clock, **options})
        workspace.add_user(USER, TOKEN)
        return workspace

    return make_workspace


@pytest.fixture
def workspace(make_workspace: MakeWorkspace) -> Workspace:
    return make_workspace()


@pytest.fixture
def request_endpoint() -> Request:
    """Request one of a workspace's endpoints, by default with its administrator's credentials."""

    def request_endpoint(workspace: Workspace, name: str, **options: Any) -> Response:
        options = {"method": "GET", "headers": HEADERS, **options}
        return respond(workspace, path=f"/api/v1/{name}", **options)

    return request_endpoint


@pytest.fixture
def get_json(request_endpoint: Request) -> GetJson:
    """Request an endpoint and decode the response."""

    def get_json(workspace: Workspace, name: str, **options: Any) -> Any:
        return json.loads(request_endpoint(workspace, name, **options).body)

    return get_json
