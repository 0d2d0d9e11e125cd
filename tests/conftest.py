"""What all tests share: a workspace to look at, in memory or simulated on loopback."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
from django.core.cache import cache

from importmonitor.rocketchat import client as client_module
from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

#: When the simulated workspaces' time begins.
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
USER_ID = "d26x6zSkaPSe5gCyy"
AUTH_TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"


hypothesis.settings.register_profile("ordinary", max_examples=40, deadline=None)
hypothesis.settings.register_profile("long", max_examples=400, deadline=None)
hypothesis.settings.load_profile("long" if os.environ.get("LONG") else "ordinary")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what LONG asks for alone: `long` tests, and some parameters of `thorough` ones.

    What takes long begins first, so that no process is left alone with it at the end.
    """
    items.sort(key=lambda item: item.path.parent.name not in {"demo", "process"})
    if os.environ.get("LONG"):
        return
    seen: Counter[str] = Counter()
    left_out = []
    for item in items:
        if item.get_closest_marker("long"):
            left_out.append(item)
        if marker := item.get_closest_marker("thorough"):
            test = item.nodeid.partition("[")[0]
            if seen[test] % marker.kwargs["one_in"]:
                left_out.append(item)
            seen[test] += 1
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_collection_finish() -> None:
    """Take what is loaded out of the collector's sight: it is most of what it would look at."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client try again at once: the pauses are tested where they matter."""
    monkeypatch.setattr(client_module, "BACKOFF", 0.001)


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    """Begin each test's windows of calls anew."""
    cache.clear()


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
