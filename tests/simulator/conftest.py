import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.clock import Clock
from simulator.wire import Answer, answer
from simulator.workspace import Workspace

Ask = Callable[..., Answer]
Get = Callable[..., Any]

USER = "adminadminadmin01"
TOKEN = "the-token"
HEADERS = {"X-User-Id": USER, "X-Auth-Token": TOKEN}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 1, 5, 9, 3, 7, 250_999, tzinfo=UTC))


@pytest.fixture
def make(clock: Clock) -> Callable[..., Workspace]:
    def make(**options: Any) -> Workspace:
        workspace = Workspace(clock, **{"rate_limit": None, "limiter_clock": clock, **options})
        workspace.add_user(USER, TOKEN)
        return workspace

    return make


@pytest.fixture
def workspace(make: Callable[..., Workspace]) -> Workspace:
    return make()


@pytest.fixture
def ask() -> Ask:
    """Ask a workspace for one of its endpoints, as its administrator unless told otherwise."""

    def ask(workspace: Workspace, name: str, **how: Any) -> Answer:
        how = {"method": "GET", "headers": HEADERS, **how}
        return answer(workspace, path=f"/api/v1/{name}", **how)

    return ask


@pytest.fixture
def get(ask: Ask) -> Get:
    """The same, and the JSON of the answer."""

    def get(workspace: Workspace, name: str, **how: Any) -> Any:
        return json.loads(ask(workspace, name, **how).body)

    return get
