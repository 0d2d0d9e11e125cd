"""Imports between two polls are stored from Rocket.Chat's list of operations."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from importmonitor.models import ImportOperation, Outcome, StatusTransition
from importmonitor.models import Workspace as Monitored
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.workspace import RUN_IMPORT, Workspace
from tests.conftest import AUTH_TOKEN, USER_ID

pytestmark = pytest.mark.django_db

CURRENT = "/api/v1/getCurrentImportOperation"
LIST = "/api/v1/getLatestImportOperations"


def poll(rocketchat: Workspace, after: float = 0) -> SyncResult:
    rocketchat.clock.advance(after)
    return sync_workspace("default", now=rocketchat.clock.now)


def outcomes() -> dict[str, str]:
    return {row.remote_id: row.outcome for row in ImportOperation.objects.all()}


def list_requests(rocketchat: Workspace) -> int:
    return sum(count for (path, _), count in rocketchat.requests.items() if path == LIST)


def test_imports_between_two_polls_are_stored_from_the_list(rocketchat: Workspace) -> None:
    first = rocketchat.start_import("csv", seconds=60)
    poll(rocketchat, 120)
    instant = rocketchat.start_import("csv", "instant")
    rocketchat.clock.advance(1)
    failed = rocketchat.start_import("slack", "failed", seconds=30)
    rocketchat.clock.advance(60)
    # So few that its importer has not noticed yet that a newer one made it invalid.
    interrupted = rocketchat.start_import("slack-users", seconds=600, records=60)
    rocketchat.clock.advance(300)
    last = rocketchat.start_import("csv", seconds=600)
    poll(rocketchat, 30)
    assert outcomes() == {
        first: Outcome.DONE,
        instant: Outcome.DONE,
        failed: Outcome.FAILED,
        interrupted: Outcome.SUPERSEDED,
        last: "",
    }
    hidden = ImportOperation.objects.get(remote_id=interrupted)
    assert hidden.finished_at == ImportOperation.objects.get(remote_id=last).started_at


def test_first_poll_stores_the_latest_twenty(rocketchat: Workspace) -> None:
    for _ in range(25):
        rocketchat.start_import("csv", seconds=60)
        rocketchat.clock.advance(86_400)
    poll(rocketchat)
    rows = ImportOperation.objects.order_by("started_at")
    assert len(rows) == 20
    assert set(outcomes().values()) == {Outcome.DONE}
    # Every new import rewrites `_updatedAt` of all others, so it does not date their ends.
    assert all(
        row.finished_at and row.finished_at - row.started_at <= timedelta(days=1) for row in rows
    )


def test_list_is_requested_for_a_new_operation_and_once_a_day(
    rocketchat: Workspace,
) -> None:
    poll(rocketchat)
    assert list_requests(rocketchat) == 0, "nothing was ever imported"
    rocketchat.start_import("csv", seconds=60)
    poll(rocketchat, 1)
    assert list_requests(rocketchat) == 1, "the operation is new"
    for _ in range(5):
        poll(rocketchat, 3600)
    assert list_requests(rocketchat) == 1
    rocketchat.start_import("csv", seconds=60)
    poll(rocketchat, 1)
    assert list_requests(rocketchat) == 2
    poll(rocketchat, 86_399)
    assert list_requests(rocketchat) == 2
    poll(rocketchat, 1)
    assert list_requests(rocketchat) == 3, "a day has passed"
    poll(rocketchat, 1)
    assert list_requests(rocketchat) == 3


def test_refused_list_is_reported_once(rocketchat: Workspace) -> None:
    rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=[RUN_IMPORT])
    first = rocketchat.start_import("slack", seconds=600)
    result = poll(rocketchat, 60)
    assert result.ok
    assert "view-import-operations" in result.notice
    second = rocketchat.start_import("csv", seconds=600)
    results = [poll(rocketchat, pause) for pause in (60, 60, 90_000, 60)]
    assert all(result.ok and not result.notice for result in results)
    assert outcomes() == {first: Outcome.SUPERSEDED, second: Outcome.DONE}
    # For each new operation, and after a day.
    assert rocketchat.requests[LIST, 403] == 3
    # Once allowed, it is used; if it is refused again, that is reported again.
    rocketchat.add_user(USER_ID, AUTH_TOKEN)
    assert not poll(rocketchat, 90_000).notice
    assert Monitored.objects.get().list_refused == ""
    rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=[RUN_IMPORT])
    assert poll(rocketchat, 90_000).notice


def test_refusal_is_remembered_after_another_error(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=[RUN_IMPORT])
    rocketchat.start_import("slack", seconds=600)
    assert poll(rocketchat, 60).notice
    with monkeypatch.context() as patch:
        rocketchat.add_user(USER_ID, AUTH_TOKEN)
        patch.setattr(rocketchat, "latest", lambda: {"not": "a list"})
        assert not poll(rocketchat, 90_000).notice
    rocketchat.add_user(USER_ID, AUTH_TOKEN, permissions=[RUN_IMPORT])
    assert not poll(rocketchat, 400).notice
    assert rocketchat.requests[LIST, 403] == 2


def test_failed_list_is_requested_again_after_five_minutes(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rocketchat.start_import("csv", seconds=60)
    latest = rocketchat.latest

    monkeypatch.setattr(rocketchat, "latest", lambda: {"not": "a list"})
    assert poll(rocketchat, 60).ok
    assert list_requests(rocketchat) == 1
    monkeypatch.setattr(rocketchat, "latest", latest)
    poll(rocketchat, 299)
    assert list_requests(rocketchat) == 1
    poll(rocketchat, 1)
    assert list_requests(rocketchat) == 2
    poll(rocketchat, 80_000)
    assert list_requests(rocketchat) == 2


def test_superseded_operation_gets_its_end_from_the_list(rocketchat: Workspace) -> None:
    first = rocketchat.start_import("csv", "done-with-errors", seconds=600)
    poll(rocketchat, 300)
    poll(rocketchat, 60)
    rocketchat.clock.advance(400)
    second = rocketchat.start_import("csv", seconds=600)
    poll(rocketchat, 10)
    assert outcomes() == {first: Outcome.DONE_WITH_ERRORS, second: ""}
    last = StatusTransition.objects.filter(operation__remote_id=first).latest("pk")
    assert (last.to_status, last.reason) == ("importer_done", "remote")


def test_interrupted_operation_is_not_superseded(rocketchat: Workspace) -> None:
    first = rocketchat.start_import("slack", seconds=600)
    poll(rocketchat, 300)
    rocketchat.restart()
    poll(rocketchat, 10)
    rocketchat.clock.advance(200)
    second = rocketchat.start_import("csv", seconds=600)
    poll(rocketchat, 10)
    assert outcomes() == {first: Outcome.INTERRUPTED, second: ""}


@pytest.mark.parametrize("running", [False, True])
def test_query_count_does_not_depend_on_the_number_of_operations(
    rocketchat: Workspace, running: bool
) -> None:
    # Of one user, whose name is known after the first poll.
    def count_queries(imports: int) -> Counter[str]:
        for _ in range(imports):
            rocketchat.start_import("csv", seconds=60, user=USER_ID)
            rocketchat.clock.advance(36_000 / imports)
        if running:
            rocketchat.start_import("csv", seconds=600, user=USER_ID)
        # This changes every stored row too.
        rocketchat.restart()
        with CaptureQueriesContext(connection) as queries:
            poll(rocketchat, 100)
        return Counter(query["sql"].split()[0] for query in queries)

    # The second ends the incident of the first.
    for _ in range(2):
        count_queries(1)
    few, many = count_queries(2), count_queries(11)
    assert many == few
    assert ImportOperation.objects.count() >= 15
    assert many.total() < 40


def test_transitions_inserted_together_have_their_operations(rocketchat: Workspace) -> None:
    for _ in range(3):
        rocketchat.start_import("csv", seconds=60)
        rocketchat.clock.advance(600)
    poll(rocketchat)
    assert ImportOperation.objects.count() == 3
    for transition in StatusTransition.objects.select_related("operation"):
        assert transition.to_status == transition.operation.status
    rocketchat.start_import("csv", seconds=60)
    result = poll(rocketchat, 10)
    for change in result.changes:
        for transition in change.transitions:
            stored = StatusTransition.objects.get(pk=transition.pk)
            assert stored.operation.remote_id == change.operation.remote_id
            assert stored.to_status == transition.to_status
