"""What the tests of the alerts start from: channels that record, and a workspace looked at once."""

from typing import Any

import pytest

from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.alerts import backends
from tests.alerts.backends import Post, recording
from tests.alerts.helpers import BASE_URL, Watched, configure_channels
from tests.conftest import MONDAY
from tests.fake_client import FakeClient


@pytest.fixture
def post(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Post:
    """What arrives at the one channel that is configured, `ops`."""
    configure_channels(settings, {"ops": recording()}, BASE_URL=BASE_URL)
    made = Post()
    monkeypatch.setattr(backends, "POST", made)
    return made


@pytest.fixture
def served(db: None, rocketchat: Workspace, post: Post, settings: Any) -> Watched:
    """A workspace into which nothing was ever imported, looked at over HTTP a second ago."""
    configure_channels(settings, {"ops": recording()}, BASE_URL=BASE_URL)
    return _looked_at(Watched(rocketchat))


@pytest.fixture
def watched(db: None, workspace: Workspace, post: Post) -> Watched:
    """The same without a network between."""
    return _looked_at(Watched(workspace, FakeClient(workspace)))


def _looked_at(watched: Watched) -> Watched:
    watched.poll()
    watched.clock.advance(1)
    return watched


@pytest.fixture
def clock() -> Clock:
    return Clock(MONDAY)
