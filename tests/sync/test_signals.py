"""The signals for other apps."""

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

Received = list[tuple[Signal, dict[str, Any]]]
CaptureOnCommit = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def received() -> Iterator[Received]:
    """The signals that were received, although another receiver raises."""
    received: Received = []

    def receive(signal: Signal, **arguments: Any) -> None:
        received.append((signal, arguments))

    def fail(**_arguments: Any) -> None:
        raise RuntimeError("a bug of another app")

    all_signals = (signals.operation_changed, signals.operation_stalled, signals.sync_failed)
    for signal in all_signals:
        signal.connect(fail)
        signal.connect(receive)
    yield received
    for signal in all_signals:
        signal.disconnect(fail)
        signal.disconnect(receive)


def test_operation_changed_is_sent_after_commit(
    rocketchat: Workspace, received: Received, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    remote_id = rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=7200)
    with django_capture_on_commit_callbacks():
        sync_workspace("default", now=rocketchat.clock.now)
        assert received == []
    with django_capture_on_commit_callbacks(execute=True):
        rocketchat.clock.advance(30)
        sync_workspace("default", now=rocketchat.clock.now)
    [(signal, arguments)] = received
    assert signal is signals.operation_changed
    assert arguments["sender"] is ImportOperation
    assert arguments["operation"] == ImportOperation.objects.get(remote_id=remote_id)
    assert arguments["created"] is False
    assert arguments["changed"]["status"][0] == "importer_new"
    assert all(transition.pk for transition in arguments["transitions"])


def test_operation_stalled_is_sent_once(
    rocketchat: Workspace, received: Received, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    step = "importer_preparing_users"
    rocketchat.start_import("slack", "stuck", seconds=600, step=step, stuck_for=7200)
    client: Any = FakeClient(rocketchat)
    for _ in range(40):
        rocketchat.clock.advance(60)
        with django_capture_on_commit_callbacks(execute=True):
            sync_workspace("default", client=client, now=rocketchat.clock.now)
    stalls = [arguments for signal, arguments in received if signal is signals.operation_stalled]
    assert len(stalls) == 1
    assert stalls[0]["operation"].stalled_since is not None


def test_sync_failed_is_sent_for_every_failed_poll(
    rocketchat: Workspace, received: Received, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    rocketchat.outage = 503
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            assert not sync_workspace("default", now=rocketchat.clock.now).ok
    for signal, arguments in received:
        assert signal is signals.sync_failed
        assert (arguments["sender"], arguments["workspace"]) == (SyncPeriod, "default")
        assert isinstance(arguments["error"], Unreachable)
    assert len(received) == 2
