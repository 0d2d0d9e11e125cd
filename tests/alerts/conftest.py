"""A recording channel, and workspaces that were polled once."""

from typing import Any

import pytest

from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.alerts import backends
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import BASE_URL, PolledWorkspace, configure_channels
from tests.conftest import MONDAY
from tests.fake_client import FakeClient


@pytest.fixture
def recorder(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The recorder of the only configured channel, `ops`."""
    configure_channels(settings, {"ops": recording()}, BASE_URL=BASE_URL)
    recorder = Recorder()
    monkeypatch.setattr(backends, "RECORDER", recorder)
    return recorder


@pytest.fixture
def polled_over_http(
    db: None, rocketchat: Workspace, recorder: Recorder, settings: Any
) -> PolledWorkspace:
    """A workspace without imports that was polled over HTTP a second ago."""
    configure_channels(settings, {"ops": recording()}, BASE_URL=BASE_URL)
    return _polled_once(PolledWorkspace(rocketchat))


@pytest.fixture
def polled(db: None, workspace: Workspace, recorder: Recorder) -> PolledWorkspace:
    """A workspace without imports that was polled by a fake client a second ago."""
    return _polled_once(PolledWorkspace(workspace, FakeClient(workspace)))


def _polled_once(polled: PolledWorkspace) -> PolledWorkspace:
    polled.poll()
    polled.clock.advance(1)
    return polled


@pytest.fixture
def clock() -> Clock:
    return Clock(MONDAY)
