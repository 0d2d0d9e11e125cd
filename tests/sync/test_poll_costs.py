"""What a poll costs when nothing is new: requests and queries."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from importmonitor.models import ImportOperation, Workspace
from importmonitor.rocketchat.exceptions import Unreachable
from simulator.server import Server
from simulator.workspace import Workspace as RocketChat
from tests.conftest import AUTH_TOKEN, USER_ID, configure
from tests.fake_client import FakeClient
from tests.sync.polling import CURRENT, poll

pytestmark = pytest.mark.django_db

TRANSACTION = ("BEGIN", "SAVEPOINT", "RELEASE SAVEPOINT", "COMMIT")


class Cost(NamedTuple):
    reads: list[str]
    writes: list[str]

    @property
    def total(self) -> int:
        return len(self.reads) + len(self.writes)


def cost_of(do: Callable[[], Any]) -> Cost:
    """Return the statements that something executes, but for those of transactions."""
    with CaptureQueriesContext(connection) as queries:
        do()
    cost = Cost([], [])
    for sql in (query["sql"].lstrip("( ") for query in queries):
        if not sql.startswith(TRANSACTION):
            (cost.reads if sql.startswith("SELECT") else cost.writes).append(sql)
    return cost


def transactions_of(do: Callable[[], Any]) -> int:
    """Return how many transactions something begins, within that of the test."""
    with CaptureQueriesContext(connection) as queries:
        do()
    return sum(query["sql"].startswith("SAVEPOINT") for query in queries)


@pytest.mark.parametrize("state", ["running", "ended", "empty"])
def test_idle_poll_costs_one_request_and_three_queries(rocketchat: RocketChat, state: str) -> None:
    """It reads the workspace's row with the current operation, and writes the row twice.

    The writes are the lease, and the result with the end of the lease. No transaction is needed.
    Where nothing was ever imported, it also reads which operations were deleted.
    """
    if state != "empty":
        rocketchat.start_import("slack", seconds=3600)
        rocketchat.clock.advance(1800 if state == "running" else 7200)
    poll(rocketchat)
    rocketchat.clock.advance(1)
    poll(rocketchat)
    requests, before = rocketchat.requests.total(), rocketchat.requests[CURRENT]
    results: list[Any] = []
    client: Any = FakeClient(rocketchat.current())
    cost = cost_of(lambda: results.append(poll(rocketchat)))
    assert results[0].changes == []
    assert rocketchat.requests.total() - requests == rocketchat.requests[CURRENT] - before == 1
    assert (len(cost.reads), len(cost.writes)) == (2 if state == "empty" else 1, 2), cost
    assert transactions_of(lambda: poll(rocketchat, client=client)) == 0
    assert Workspace.objects.get().period_polls == 4


def test_poll_records_what_the_response_said(workspace: RocketChat, settings: Any) -> None:
    """Without a query of its own: the poll writes its row anyway."""
    limited = RocketChat(workspace.clock, seed=1, rate_limit=10, limiter_clock=workspace.clock)
    limited.add_user(USER_ID, AUTH_TOKEN)
    with Server(limited) as server:
        configure(settings, server.url)
        poll(limited)
    row = Workspace.objects.get()
    assert (row.rate_limit, row.rate_remaining) == (10, 9)
    assert row.rate_resets_at == limited.clock.now() + timedelta(seconds=60)
    assert row.response_time is not None
    assert timedelta(0) < row.response_time < timedelta(seconds=30)
    # A failed poll keeps what the last good response said.
    client = FakeClient(limited)
    client.error = Unreachable("No response.")
    poll(limited, client=client)
    assert Workspace.objects.get().rate_remaining == 9


def test_poll_with_progress_costs_three_writes(rocketchat: RocketChat) -> None:
    """It reads no row again behind the fence, which is the write of the workspace's row."""
    rocketchat.start_import("slack", seconds=3600, records=90_000)
    for _ in range(100):
        rocketchat.clock.advance(30)
        poll(rocketchat)
        if (before := ImportOperation.objects.get()).forecast_at and before.rate:
            break
    rocketchat.clock.advance(10)
    results: list[Any] = []
    cost = cost_of(lambda: results.append(poll(rocketchat)))
    after = ImportOperation.objects.get()
    assert list(results[0].changes[0].events) == []
    assert after.count_completed != before.count_completed
    assert after.payload != before.payload
    sample = after.samples.latest("pk")
    assert (sample.completed, sample.observed_at) == (after.count_completed, after.last_seen_at)
    # And the lease; its row with the current operation is all that is read.
    assert (len(cost.reads), len(cost.writes)) == (1, 4), cost
    # The rate and the forecast are those of the minute before.
    assert (after.rate, after.forecast_at) == (before.rate, before.forecast_at)
    rocketchat.clock.advance(60)
    poll(rocketchat)
    assert ImportOperation.objects.get().forecast_at == rocketchat.clock.now()


def test_first_poll_reads_nothing_that_cannot_be_there(rocketchat: RocketChat) -> None:
    rocketchat.start_import("slack", seconds=3600)
    rocketchat.clock.advance(1800)
    Workspace.objects.create(alias="default")
    cost = cost_of(lambda: poll(rocketchat))
    # The workspace's row, the operation's, and what imports taught, here and elsewhere.
    assert len(cost.reads) == 4, cost
    # The lease and the fence, the operation with a transition and a sample, the period, the result.
    assert len(cost.writes) == 7, cost


def test_failing_poll_costs_five_queries(rocketchat: RocketChat) -> None:
    """It reads the row and whether there is an incident, and writes the row three times.

    The third write is the fence of its transaction, behind which alerts are written once.
    """
    rocketchat.start_import("slack", seconds=3600)
    poll(rocketchat)
    client = FakeClient(rocketchat)
    client.error = Unreachable("No response.")

    def fail(minutes: float) -> Cost:
        rocketchat.clock.advance(minutes * 60)
        return cost_of(lambda: poll(rocketchat, client=client))

    # A period begins: the open one is closed.
    first = fail(1)
    assert (len(first.reads), len(first.writes)) == (1, 5), first
    second = fail(1)
    assert (len(second.reads), len(second.writes)) == (1, 3), second
    fail(5)
    # After UNREACHABLE_AFTER.
    later = fail(1)
    assert (len(later.reads), len(later.writes)) == (2, 3), later


def test_skipped_poll_costs_one_write(rocketchat: RocketChat) -> None:
    """The lease is not acquired; then the row says why."""
    rocketchat.start_import("slack", seconds=3600)
    poll(rocketchat)
    Workspace.objects.update(
        holder="another", expires_at=rocketchat.clock.now() + timedelta(seconds=20)
    )
    cost = cost_of(lambda: poll(rocketchat))
    assert (len(cost.reads), len(cost.writes)) == (2, 1), cost


def test_idle_poll_reads_no_history(rocketchat: RocketChat) -> None:
    rocketchat.start_import("slack", seconds=3600)
    rocketchat.clock.advance(1800)
    poll(rocketchat)
    few = cost_of(lambda: poll(rocketchat))
    current = ImportOperation.objects.get()
    for number in range(30):
        current.pk, current.remote_id = None, f"old{number}"
        current.finished_at = current.started_at
        current.save(force_insert=True)
    assert cost_of(lambda: poll(rocketchat)).total == few.total == 3


def test_older_operation_is_current_again_while_the_list_fails(rocketchat: RocketChat) -> None:
    """No row changes, or one that is no longer current does: no progress of the current one."""

    class Listless(FakeClient):
        def latest_operations(self) -> Any:
            raise Unreachable("No response.")

    common = {"type": "CSV", "importerKey": "csv", "status": "importer_done", "valid": True}
    older, newer = (
        common | {"_id": f"{hour}" * 17, "ts": f"2026-01-05T1{hour}:00:00.000Z"} for hour in (1, 2)
    )
    for document in (older, newer, older, newer, older):
        client: Any = Listless(document)
        rocketchat.clock.advance(60)
        assert poll(rocketchat, client=client).error is None
        current = Workspace.objects.get().current_operation
        assert current is not None
        assert current.remote_id == document["_id"]
