"""What the tests with real clients start from: our server, and the Rocket.Chat behind it."""

import os
from datetime import timedelta
from typing import Any

import pytest

from simulator.workspace import Workspace
from tests.api.helpers import RUNNING, sync, workspace_at
from tests.clients.live_server import House


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def house(live_server: object, workspace: Workspace, settings: Any) -> House:
    """Our live server, in the place of a workspace into which nothing was imported yet.

    As it is by default, what is asked for again within a second it remembers.
    """
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(seconds=1)}
    return House(str(live_server), workspace)


@pytest.fixture
def two_a_day(settings: Any) -> None:
    """Let everybody ask each endpoint twice; by the day, so that no window ends meanwhile."""
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "2/day"}}


@pytest.fixture
def two_workspaces(settings: Any) -> None:
    """A workspace `acme` beside the default one; nobody has looked at it."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        }
    }


@pytest.fixture
def acme(house: House, two_workspaces: None) -> dict[str, Any]:
    """The current operation of the workspace `acme`."""
    sync(RUNNING, alias="acme")
    return dict(RUNNING)
