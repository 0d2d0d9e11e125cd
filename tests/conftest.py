"""What all tests share: a workspace to look at, in memory or simulated on loopback."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from importmonitor.rocketchat import client as client_module
from project.simulator.clock import Clock
from project.simulator.server import Server
from project.simulator.workspace import Workspace

#: When the simulated workspaces' time begins.
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
USER_ID = "d26x6zSkaPSe5gCyy"
AUTH_TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"


def pytest_collection_finish() -> None:
    """Take what is loaded out of the collector's sight: it is most of what it would look at."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client try again at once: the pauses are tested where they matter."""
    monkeypatch.setattr(client_module, "BACKOFF", 0.001)


@pytest.fixture
def workspace() -> Workspace:
    """A simulated workspace that lets the settings' user in; its clock stands until moved."""
    clock = Clock(MONDAY)
    made = Workspace(clock, seed=1, rate_limit=None, limiter_clock=clock)
    made.add_user(USER_ID, AUTH_TOKEN)
    return made


@pytest.fixture
def rocketchat(workspace: Workspace, settings: Any) -> Iterator[Workspace]:
    """The simulated workspace, served on loopback and configured as `default`."""
    with Server(workspace) as server:
        configure(settings, server.url)
        yield workspace


def configure(settings: Any, url: str, alias: str = "default", **options: Any) -> None:
    """Configure one workspace at a URL, for as long as the `settings` fixture lasts."""
    credentials = {"USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN, "URL": url}
    settings.IMPORTMONITOR = {"WORKSPACES": {alias: credentials | options}}
