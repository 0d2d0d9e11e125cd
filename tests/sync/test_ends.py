"""When an operation is over, where Rocket.Chat does not say."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import EndReason, ImportOperation, Outcome, StatusTransition
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.rocketchat.operation import Operation, parse_operation
from importmonitor.sync.ends import Evidence, ended_at
from importmonitor.sync.poll import sync_workspace
from simulator.eras import Era
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db


class FailingListClient(FakeClient):
    """A client whose list of operations fails while `list_fails` is set."""

    list_fails = False

    def latest_operations(self) -> list[Operation]:
        if self.list_fails:
            raise Unreachable("The connection was cut off.")
        return super().latest_operations()


class OvertakenClient(FakeClient):
    """A client whose list is from after the start of an import that the response did not show."""

    def current_operation(self) -> Operation | None:
        current = super().current_operation()
        assert isinstance(self.source, Workspace)
        self.source.start_import("csv", seconds=600)
        self.source.clock.advance(1)
        return current


def poll(rocketchat: Workspace, client: FakeClient, after: float = 0) -> None:
    rocketchat.clock.advance(after)
    source: Any = client
    assert sync_workspace("default", client=source, now=rocketchat.clock.now).ok


def reasons(operation: ImportOperation) -> Sequence[str]:
    return list(operation.transitions.order_by("pk").values_list("reason", flat=True))


def of_era(rocketchat: Workspace, era: Era) -> Workspace:
    """Return a workspace of an era by the clock of another."""
    return Workspace(rocketchat.clock, era=era, rate_limit=None)


def test_import_that_only_the_list_has_is_not_superseded(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", seconds=60)
    poll(rocketchat, FakeClient(rocketchat), 120)
    rocketchat.start_import("csv", seconds=60)
    poll(rocketchat, OvertakenClient(rocketchat), 120)
    newest = ImportOperation.objects.newest_first()[0]
    assert (newest.status, newest.outcome) == ("importer_new", "")
    poll(rocketchat, FakeClient(rocketchat), 10)
    assert StatusTransition.Reason.SUPERSEDED not in reasons(newest)


def test_end_of_hidden_import_waits_for_a_list_that_failed(rocketchat: Workspace) -> None:
    client = FailingListClient(rocketchat)
    first = rocketchat.start_import("csv", "waiting", seconds=60)
    poll(rocketchat, client, 120)
    rocketchat.select(first)
    rocketchat.clock.advance(300)
    rocketchat.start_import("csv", seconds=600)
    client.list_fails = True
    poll(rocketchat, client, 10)
    operation = ImportOperation.objects.get(remote_id=first)
    assert operation.finished_at is None
    client.list_fails = False
    poll(rocketchat, client, 400)
    operation.refresh_from_db()
    assert operation.outcome == Outcome.DONE
    assert StatusTransition.Reason.SUPERSEDED not in reasons(operation)


def test_hidden_import_ends_although_the_list_always_fails(rocketchat: Workspace) -> None:
    client = FailingListClient(rocketchat)
    first = rocketchat.start_import("csv", seconds=600)
    poll(rocketchat, client, 200)
    rocketchat.start_import("csv", seconds=600)
    client.list_fails = True
    poll(rocketchat, client, 10)
    poll(rocketchat, client, 13 * 3600)
    assert ImportOperation.objects.get(remote_id=first).outcome == Outcome.SUPERSEDED


def test_killed_download_that_is_new_is_interrupted_once(rocketchat: Workspace) -> None:
    rocketchat.start_import("pending-avatars", seconds=6000)
    rocketchat.clock.advance(300)
    rocketchat.restart()
    client = FakeClient(rocketchat)
    for _ in range(3):
        poll(rocketchat, client, 13 * 3600)
    operation = ImportOperation.objects.get()
    assert operation.outcome == Outcome.INTERRUPTED
    assert reasons(operation) == [StatusTransition.Reason.INVALIDATED]


def test_superseded_import_at_rest_stays_so_when_a_server_starts(rocketchat: Workspace) -> None:
    old = of_era(rocketchat, Era.V5)
    first = old.start_import("csv", "waiting", seconds=60)
    client = FakeClient(old)
    poll(old, client, 120)
    second = old.start_import("csv", seconds=60)
    poll(old, client, 120)
    old.start_instance()
    poll(old, client, 400)
    poll(old, client, 86_400)
    operation, newer = (ImportOperation.objects.get(remote_id=key) for key in (first, second))
    assert operation.outcome == Outcome.SUPERSEDED
    assert operation.finished_at == newer.started_at


def test_old_import_that_another_instance_invalidated_is_followed(rocketchat: Workspace) -> None:
    old = of_era(rocketchat, Era.V6_2)
    first = old.start_import("slack", seconds=3600, records=5000)
    client = FakeClient(old)
    poll(old, client, 2400)
    old.start_instance()
    poll(old, client, 1)
    operation = ImportOperation.objects.get(remote_id=first)
    assert operation.outcome == Outcome.INTERRUPTED
    old.start_import("csv", seconds=60)
    for _ in range(12):
        poll(old, client, 360)
    operation.refresh_from_db()
    assert operation.outcome == Outcome.DONE
    assert StatusTransition.Reason.CONTINUED in reasons(operation)


def test_old_import_that_was_killed_after_it_went_on_is_interrupted(rocketchat: Workspace) -> None:
    old = of_era(rocketchat, Era.V6_2)
    old.start_import("slack", seconds=36_000, records=50_000)
    client = FakeClient(old)
    poll(old, client, 12_000)
    old.start_instance()
    poll(old, client, 1)
    poll(old, client, 3600)
    operation = ImportOperation.objects.get()
    assert operation.finished_at is None
    old.restart()
    poll(old, client, 60)
    poll(old, client, 13 * 3600)
    operation.refresh_from_db()
    assert operation.outcome == Outcome.INTERRUPTED


def test_operation_is_superseded_when_the_next_one_started_during_the_poll() -> None:
    """The next one's start is some seconds before the last poll of this one had ended."""
    received = parse_operation({"_id": "A", "ts": 0, "status": "importer_user_selection"})
    start = received.remote_started_at
    assert start is not None
    operation = ImportOperation(
        status=received.status, started_at=start, remote_updated_at=start, last_progress_at=start
    )
    unended_at = start + timedelta(minutes=10)
    evidence = Evidence(
        at=start + timedelta(hours=3),
        is_current=False,
        is_listed=True,
        has_list=True,
        list_refused=False,
        successor=ImportOperation(started_at=unended_at - timedelta(seconds=14)),
        offset=timedelta(0),
        unended_at=unended_at,
    )
    assert ended_at(operation, EndReason.SUPERSEDED, evidence) == unended_at
