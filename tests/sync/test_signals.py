"""What other apps may listen to."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.dispatch import Signal

from importmonitor import signals
from importmonitor.models import ImportOperation, SyncPeriod
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

Heard = list[tuple[Signal, dict[str, Any]]]
Committing = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard: Heard = []

    def listen(signal: Signal, **arguments: Any) -> None:
        heard.append((signal, arguments))

    def fail(**_arguments: Any) -> None:
        raise RuntimeError("somebody else's mistake")

    all_signals = (signals.operation_changed, signals.operation_stalled, signals.sync_failed)
    for signal in all_signals:
        signal.connect(fail)
        signal.connect(listen)
    yield heard
    for signal in all_signals:
        signal.disconnect(fail)
        signal.disconnect(listen)


def test_of_what_has_been_committed(
    rocketchat: Workspace, heard: Heard, django_capture_on_commit_callbacks: Committing
) -> None:
    remote_id = rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=7200)
    with django_capture_on_commit_callbacks():
        sync_workspace("default", now=rocketchat.clock.now)
        assert heard == []
    with django_capture_on_commit_callbacks(execute=True):
        rocketchat.clock.advance(30)
        sync_workspace("default", now=rocketchat.clock.now)
    [(signal, told)] = heard
    assert signal is signals.operation_changed
    assert told["sender"] is ImportOperation
    assert told["operation"] == ImportOperation.objects.get(remote_id=remote_id)
    assert told["created"] is False
    assert told["changed"]["status"][0] == "importer_new"
    assert all(transition.pk for transition in told["transitions"])


def test_of_a_stall(
    rocketchat: Workspace, heard: Heard, django_capture_on_commit_callbacks: Committing
) -> None:
    rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=7200)
    near: Any = FakeClient(rocketchat)
    for _ in range(40):
        rocketchat.clock.advance(60)
        with django_capture_on_commit_callbacks(execute=True):
            sync_workspace("default", client=near, now=rocketchat.clock.now)
    stalls = [told for signal, told in heard if signal is signals.operation_stalled]
    assert len(stalls) == 1
    assert stalls[0]["operation"].stalled_since is not None


def test_of_each_look_that_failed(
    rocketchat: Workspace, heard: Heard, django_capture_on_commit_callbacks: Committing
) -> None:
    rocketchat.outage = 503
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            assert not sync_workspace("default", now=rocketchat.clock.now).ok
    for signal, told in heard:
        assert signal is signals.sync_failed
        assert (told["sender"], told["workspace"]) == (SyncPeriod, "default")
        assert isinstance(told["error"], Unreachable)
    assert len(heard) == 2
