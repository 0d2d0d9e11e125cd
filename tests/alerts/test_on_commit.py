"""Alerts are delivered after the commit of the change that they report, whatever else fails."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from importmonitor.alerts import outbox
from importmonitor.models import Alert, ImportOperation
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import Workspace
from tests.alerts.backends import Recorder
from tests.alerts.helpers import PolledWorkspace
from tests.conftest import MONDAY
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db


def test_alerts_are_delivered_after_commit(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import()
    with transaction.atomic():
        client: Any = polled.client
        assert sync_workspace("default", now=polled.clock.now, client=client).ok
        assert Alert.objects.count() == 1
        assert recorder.attempted == []
    assert recorder.attempted == []
    polled.clock.advance(1)
    polled.poll()
    assert recorder.events == ["import.started"]


def test_rollback_discards_alerts(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import()

    class Failure(Exception):
        pass

    def roll_back() -> None:
        with transaction.atomic():
            polled.poll()
            raise Failure

    with pytest.raises(Failure):
        roll_back()
    assert not Alert.objects.exists()
    assert not ImportOperation.objects.exists()


def test_failure_to_write_an_alert_rolls_back_the_change(
    polled: PolledWorkspace,
) -> None:
    polled.start_import()
    write = outbox.write

    def failing(*args: Any) -> int:
        write(*args)
        raise OperationalError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "write", failing)
        with pytest.raises(OperationalError):
            polled.poll()
    assert not ImportOperation.objects.exists()
    assert not Alert.objects.exists()
    polled.poll()
    assert Alert.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_channels_deliver_outside_transaction_and_lease(
    workspace: Workspace, recorder: Recorder
) -> None:
    """Whatever a channel does, no other process waits for it."""
    client: Any = FakeClient(workspace)

    def poll() -> SyncResult:
        return sync_workspace("default", now=workspace.clock.now, client=client)

    poll()
    workspace.clock.advance(1)
    workspace.start_import("csv", seconds=600)
    states: list[tuple[bool, str]] = []
    recorder.on_send["ops"] = lambda: states.append(
        (connection.in_atomic_block, WorkspaceRow.objects.get().holder)
    )
    assert poll().ok
    assert states == [(False, "")]
    assert recorder.events == ["import.started"]


def test_poll_succeeds_if_delivery_raises(polled: PolledWorkspace, recorder: Recorder) -> None:
    def broken(**kwargs: Any) -> int:
        raise OperationalError("database is locked")

    polled.start_import()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "deliver", broken)
        assert polled.poll().ok
    polled.clock.advance(1)
    assert polled.poll().ok
    assert recorder.events == ["import.started"]


def test_later_poll_retries_failed_delivery(polled: PolledWorkspace, recorder: Recorder) -> None:
    recorder.fail(ConnectionRefusedError())
    polled.start_import()
    assert polled.poll().ok
    recorder.restore()
    polled.poll_for(30, 15)
    assert recorder.events == []
    polled.poll_for(60, 30)
    assert recorder.events == ["import.started"]
    polled.poll_for(120, 60)
    assert recorder.events == ["import.started"]


def test_failed_poll_delivers_alerts(polled: PolledWorkspace, recorder: Recorder) -> None:
    recorder.fail(ConnectionRefusedError())
    polled.start_import()
    polled.poll()
    recorder.restore()
    polled.fail()
    polled.clock.advance(120)
    assert not polled.poll().ok
    assert recorder.events == ["import.started"]


def test_event_is_dated_by_its_poll(polled: PolledWorkspace, recorder: Recorder) -> None:
    polled.start_import()
    polled.clock.advance(60)
    polled.poll()
    at = MONDAY + timedelta(seconds=61)
    assert recorder.messages[0].body["occurred_at"] == at.isoformat()
    assert Alert.objects.get().created_at == at
