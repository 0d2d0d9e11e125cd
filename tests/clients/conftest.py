"""The fixtures of the tests with real clients: our live server, and what it mirrors."""

import os
from datetime import timedelta
from typing import Any

import pytest

from simulator.workspace import Workspace
from tests.api.helpers import RUNNING, sync, workspace_at
from tests.clients.live_server import Mirror


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def mirror(live_server: object, workspace: Workspace, settings: Any) -> Mirror:
    """Our live server, mirroring a workspace without operations.

    It caches for a second, as it does by default.
    """
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"REMEMBER_FOR": timedelta(seconds=1)}
    return Mirror(str(live_server), workspace)


@pytest.fixture
def two_requests_per_day(settings: Any) -> None:
    """Limit users to two requests per endpoint, and per day, so that no window ends meanwhile."""
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "2/day"}}


@pytest.fixture
def two_workspaces(settings: Any) -> None:
    """A workspace `acme` besides the default one, never synced."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        }
    }


@pytest.fixture
def acme(mirror: Mirror, two_workspaces: None) -> dict[str, Any]:
    """The current operation of the workspace `acme`."""
    sync(RUNNING, alias="acme")
    return dict(RUNNING)
