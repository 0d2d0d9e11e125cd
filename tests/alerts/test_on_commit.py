"""When messages go out: after what they tell of is stored, and whatever else fails."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from importmonitor.alerts import outbox
from importmonitor.models import Alert, ImportOperation, SyncLease
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import Workspace
from tests.alerts.backends import Post
from tests.alerts.helpers import Watched
from tests.conftest import MONDAY
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db


def test_messages_are_delivered_on_commit_and_not_before(watched: Watched, post: Post) -> None:
    watched.start()
    with transaction.atomic():
        near: Any = watched.near
        assert sync_workspace("default", now=watched.clock.now, client=near).ok
        assert Alert.objects.count() == 1
        assert post.attempted == []
    assert post.attempted == []
    watched.clock.advance(1)
    watched.poll()
    assert post.events == ["import.started"]


def test_what_is_rolled_back_is_not_told(watched: Watched, post: Post) -> None:
    watched.start()

    class Failure(Exception):
        pass

    def transaction_of_the_host() -> None:
        with transaction.atomic():
            watched.poll()
            raise Failure

    with pytest.raises(Failure):
        transaction_of_the_host()
    assert not Alert.objects.exists()
    assert not ImportOperation.objects.exists()


def test_an_alert_that_cannot_be_written_takes_what_it_tells_of_with_it(
    watched: Watched,
) -> None:
    watched.start()
    write = outbox.write

    def failing(*args: Any) -> int:
        write(*args)
        raise OperationalError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "write", failing)
        with pytest.raises(OperationalError):
            watched.poll()
    assert not ImportOperation.objects.exists()
    assert not Alert.objects.exists()
    watched.poll()
    assert Alert.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_no_transaction_and_no_lease_is_held_while_a_channel_is_at_work(
    workspace: Workspace, post: Post
) -> None:
    """In a process of its own, that is: whatever a channel does, no other has to wait for it."""
    near: Any = FakeClient(workspace)

    def look() -> SyncResult:
        return sync_workspace("default", now=workspace.clock.now, client=near)

    look()
    workspace.clock.advance(1)
    workspace.start_import("csv", seconds=600)
    held: list[tuple[bool, str]] = []
    post.on_send["ops"] = lambda: held.append(
        (connection.in_atomic_block, SyncLease.objects.get().holder)
    )
    assert look().ok
    assert held == [(False, "")]
    assert post.events == ["import.started"]


def test_a_poll_does_not_fail_when_nothing_can_be_delivered(watched: Watched, post: Post) -> None:
    def broken(**kwargs: Any) -> int:
        raise OperationalError("database is locked")

    watched.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "deliver", broken)
        assert watched.poll().ok
    watched.clock.advance(1)
    assert watched.poll().ok
    assert post.events == ["import.started"]


def test_a_later_poll_delivers_what_an_earlier_one_could_not(watched: Watched, post: Post) -> None:
    post.fail(ConnectionRefusedError())
    watched.start()
    assert watched.poll().ok
    post.mend()
    watched.live_through(30, 15)
    assert post.events == []
    watched.live_through(60, 30)
    assert post.events == ["import.started"]
    watched.live_through(120, 60)
    assert post.events == ["import.started"]


def test_a_failed_look_delivers_too(watched: Watched, post: Post) -> None:
    post.fail(ConnectionRefusedError())
    watched.start()
    watched.poll()
    post.mend()
    watched.fail()
    watched.clock.advance(120)
    assert not watched.poll().ok
    assert post.events == ["import.started"]


def test_an_event_is_dated_by_the_look_that_saw_it(watched: Watched, post: Post) -> None:
    watched.start()
    watched.clock.advance(60)
    watched.poll()
    at = MONDAY + timedelta(seconds=61)
    assert post.messages[0].body["occurred_at"] == at.isoformat()
    assert Alert.objects.get().created_at == at
