"""Migrations of stored data, forwards and backwards."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations import AddField
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import GeneratedField

from importmonitor.models import EndReason, ImportOperation, SyncPeriod, Viewer, Workspace
from importmonitor.models.group_sets import digest
from tests.api.helpers import make_user
from tests.group_sets import store_groups

pytestmark = pytest.mark.django_db(transaction=True)

INCIDENT_LISTS = "0019_incident_lists"
GENERATED_OUTCOME = "0004_faster_filters"
STORED_OUTCOME = "0005_outcome"
LABELS = "0006_labels"
LATEST = "0020_fleet"
#: From here on, the code of the release before runs on the schema during an upgrade.
COMPATIBLE_FROM = "0010_delivery"
AT = datetime(2026, 1, 5, 12, tzinfo=UTC)

#: Total, completed and errors of an operation.
COUNTERS = (
    (None, None, None),
    (10, 10, None),
    (10, 10, 0),
    (10, 9, 0),
    (10, 9, 1),
    (10, None, 0),
    (None, 9, 0),
    (0, 0, 0),
    (10, 12, 0),
)


@pytest.fixture
def migrate() -> Iterator[Callable[[str, str], Any]]:
    """Migrate the app to a migration, forwards or backwards; return a model as it is there."""

    def migrate(name: str, model: str) -> Any:
        executor = MigrationExecutor(connection)
        executor.migrate([("importmonitor", name)])
        state = executor.loader.project_state([("importmonitor", name)])
        return state.apps.get_model("importmonitor", model)

    yield migrate
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("importmonitor"))


def create_operations(model: Any) -> None:
    """Create an operation of every end reason with all counters."""
    for reason in ("", *EndReason.values):
        for number, (total, completed, error) in enumerate(COUNTERS):
            model.objects.create(
                workspace="default",
                remote_id=f"{reason}{number}",
                state="done",
                started_at=AT,
                first_seen_at=AT,
                last_seen_at=AT,
                last_progress_at=AT,
                finished_at=AT if reason else None,
                end_reason=reason,
                count_total=total,
                count_completed=completed,
                count_error=error,
            )


def create_alert(model: Any, outcome: str | None, event: str = "import.finished") -> None:
    operation = {"remote_id": "A", "outcome": outcome} if outcome else None
    model.objects.create(
        event=event,
        workspace="default",
        channel="ops",
        key=f"{event}:{outcome}",
        body={"event": event, "operation": operation},
        created_at=AT,
    )


def outcomes(model: Any) -> dict[str, str]:
    return dict(model.objects.values_list("remote_id", "outcome"))


def alerted_outcomes(model: Any) -> dict[str, Any]:
    return {
        alert.key: alert.body["operation"] and alert.body["operation"]["outcome"]
        for alert in model.objects.all()
    }


@pytest.mark.long
def test_generated_outcomes_become_stored_ones_and_back(
    migrate: Callable[[str, str], Any],
) -> None:
    model = migrate(GENERATED_OUTCOME, "ImportOperation")
    create_operations(model)
    generated = outcomes(model)
    assert "done_short" in generated.values()

    model = migrate(STORED_OUTCOME, "ImportOperation")
    assert outcomes(model) == {
        remote_id: outcome.replace("done_short", "incomplete")
        for remote_id, outcome in generated.items()
    }

    model = migrate(GENERATED_OUTCOME, "ImportOperation")
    assert outcomes(model) == generated


@pytest.mark.long
def test_outcome_is_renamed_in_stored_alerts_and_back(
    migrate: Callable[[str, str], Any],
) -> None:
    model = migrate(GENERATED_OUTCOME, "Alert")
    for outcome in ("done_short", "done", None):
        create_alert(model, outcome)
    create_alert(model, None, "workspace.unreachable")
    before = alerted_outcomes(model)

    model = migrate(STORED_OUTCOME, "Alert")
    assert alerted_outcomes(model) == before | {"import.finished:done_short": "incomplete"}

    model = migrate(GENERATED_OUTCOME, "Alert")
    assert alerted_outcomes(model) == before


def minutes(number: float) -> datetime:
    return AT + timedelta(minutes=number)


def create_period(model: Any, workspace: str, outcome: str, start: int, end: int) -> Any:
    return model.objects.create(
        workspace=workspace,
        outcome=outcome,
        message="" if outcome in ("ok", "empty") else f"{outcome} at {start}",
        first_at=minutes(start),
        last_at=minutes(end),
        polls=end - start + 1,
        watched=timedelta(minutes=start),
    )


def create_operation(models: Any, remote_id: str, **values: Any) -> Any:
    """Create an operation as release 0006 stored it; by default, a CSV import that is done."""
    payload = values.pop("payload", {"_id": remote_id, "ts": "2026-01-05T12:00:00.000Z"})
    return models("ImportOperation").objects.create(
        **{
            "workspace": "default",
            "remote_id": remote_id,
            "importer_key": "csv",
            "status": "importer_done",
            "state": "done",
            "valid": False,
            "started_at": AT,
            "first_seen_at": AT,
            "last_seen_at": AT,
            "last_progress_at": AT,
            "finished_at": AT,
            "end_reason": "done",
            "outcome": "done",
            "count_total": 100,
            "count_completed": 100,
            "count_error": 0,
            "payload": payload,
        }
        | values
    )


def add_transition(models: Any, operation: Any, reason: str, status: str, at: float) -> None:
    models("StatusTransition").objects.create(
        operation_id=operation.pk,
        to_status=status,
        to_state="done" if status == "importer_done" else "error",
        reason=reason,
        observed_at=minutes(at),
    )


@pytest.fixture
def labels(migrate: Callable[[str, str], Any]) -> Callable[[str], Any]:
    """Migrate the app to the migration before the workspaces; return the models as they are."""
    migrate(LABELS, "SyncLease")
    state = MigrationExecutor(connection).loader.project_state([("importmonitor", LABELS)])
    return lambda name: state.apps.get_model("importmonitor", name)


def create_workspaces(models: Callable[[str], Any]) -> Any:
    """Create leases, periods and operations of several workspaces; return the current one."""
    lease, period = models("SyncLease"), models("SyncPeriod")
    for alias in ("busy", "failing", "empty", "unreached", "recovered", "leased"):
        lease.objects.create(workspace=alias)
    lease.objects.filter(workspace="busy").update(
        holder="host:1",
        expires_at=minutes(61),
        not_before=minutes(62),
        list_due_at=minutes(63),
        list_refused="No permission.",
        pruned_before=minutes(-10),
        pruned_at=minutes(-5),
    )
    create_period(period, "busy", "empty", 0, 9)
    create_period(period, "busy", "Unreachable", 10, 19)
    create_period(period, "busy", "ok", 20, 60)
    create_period(period, "failing", "ok", 0, 9)
    create_period(period, "failing", "Unreachable", 10, 19)
    create_period(period, "failing", "RateLimited", 20, 60)
    create_period(period, "empty", "empty", 5, 60)
    create_period(period, "unreached", "Unauthenticated", 7, 60)
    create_period(period, "recovered", "Unreachable", 0, 9)
    create_period(period, "recovered", "ok", 10, 60)
    create_operation(models, "older", workspace="busy", started_at=minutes(1))
    current = create_operation(models, "newer", workspace="busy", started_at=minutes(25))
    create_operation(models, "oldest", workspace="busy", started_at=minutes(0))
    create_operation(models, "known", workspace="failing", started_at=minutes(3))
    return current


@pytest.mark.long
def test_workspaces_get_the_leases_and_the_open_periods(
    migrate: Callable[[str, str], Any], labels: Callable[[str], Any]
) -> None:
    current = create_workspaces(labels)
    migrate(LATEST, "Workspace")
    row = Workspace.objects.get(alias="busy")
    assert (row.holder, row.expires_at, row.not_before) == ("host:1", minutes(61), minutes(62))
    assert (row.list_due_at, row.list_refused) == (minutes(63), "No permission.")
    assert (row.pruned_before, row.pruned_at) == (minutes(-10), minutes(-5))
    assert (row.sync_status, row.message, row.failing_since) == ("ok", "", None)
    assert row.period == SyncPeriod.objects.get(workspace="busy", outcome="ok")
    assert (row.period_started_at, row.period_polls) == (minutes(20), 41)
    assert (row.last_polled_at, row.last_synced_at) == (minutes(60), minutes(60))
    assert (row.first_synced_at, row.watched) == (minutes(0), timedelta(minutes=20))
    assert row.current_operation_id == current.pk
    # The next poll continues the period.
    assert row.continues("ok", minutes(61))


@pytest.mark.long
def test_workspaces_get_the_result_of_the_last_polls(
    migrate: Callable[[str, str], Any], labels: Callable[[str], Any]
) -> None:
    create_workspaces(labels)
    migrate(LATEST, "Workspace")
    workspaces = {row.alias: row for row in Workspace.objects.all()}
    failing, empty = workspaces["failing"], workspaces["empty"]
    assert (failing.sync_status, failing.message) == ("RateLimited", "RateLimited at 20")
    assert failing.failing_since == minutes(10)
    assert (failing.last_polled_at, failing.last_synced_at) == (minutes(60), minutes(9))
    assert failing.current_operation is not None
    assert failing.current_operation.remote_id == "known"
    assert (empty.sync_status, empty.is_empty, empty.first_synced_at) == ("empty", True, minutes(5))
    unreached, leased = workspaces["unreached"], workspaces["leased"]
    assert (unreached.first_synced_at, unreached.last_synced_at) == (None, None)
    assert (unreached.failing_since, unreached.is_good) == (minutes(7), False)
    assert workspaces["recovered"].failing_since is None
    assert (leased.was_polled, leased.period_id, leased.sync_status) == (False, None, "")


@pytest.mark.long
def test_workspaces_become_leases_and_periods_again(
    migrate: Callable[[str, str], Any], labels: Callable[[str], Any]
) -> None:
    create_workspaces(labels)
    leases = list(labels("SyncLease").objects.order_by("pk").values())
    periods = list(labels("SyncPeriod").objects.order_by("pk").values())
    migrate(LATEST, "Workspace")
    polls = {"polls": 51, "watched": timedelta(minutes=30)}
    Workspace.objects.filter(alias="busy").update(
        last_polled_at=minutes(70), period_polls=polls["polls"], watched=polls["watched"]
    )
    lease, period = migrate(LABELS, "SyncLease"), migrate(LABELS, "SyncPeriod")
    restored = lease.objects.order_by("pk").values()
    assert [row | {"id": 0} for row in restored] == [row | {"id": 0} for row in leases]
    # The open period ends with the last poll.
    [open_period] = [row for row in periods if (row["workspace"], row["outcome"]) == ("busy", "ok")]
    open_period.update(polls, last_at=minutes(70))
    assert list(period.objects.order_by("pk").values()) == periods


@pytest.mark.long
def test_aborted_imports_are_no_longer_called_done(
    migrate: Callable[[str, str], Any], labels: Callable[[str], Any]
) -> None:
    importing, done = "importer_importing_messages", "importer_done"

    def create(remote_id: str, reason: str, at: float = 5, **values: Any) -> Any:
        operation = create_operation(labels, remote_id, **values)
        add_transition(labels, operation, "remote", importing, 1)
        add_transition(labels, operation, reason, importing, at)
        add_transition(labels, operation, "remote", done, 8)
        return operation

    create("cleared", "invalidated")
    create("replaced", "superseded")
    create("valid", "remote", valid=True)
    # Up to 6.2 an import runs on, and so do pending files and avatars in every release.
    create("number", "invalidated", payload={"ts": 1767614400000})
    create("digits", "superseded", payload={"ts": "1767614400000"})
    create("files", "invalidated", importer_key="pending-files", count_completed=90)
    create("avatars", "superseded", importer_key="pending-avatars")
    # Its end had put it aside: the usual rest of an old success.
    rested = create_operation(labels, "rested")
    add_transition(labels, rested, "superseded", done, 5)
    # Done, opened again and run: it stays done.
    reopened = create_operation(labels, "reopened")
    add_transition(labels, reopened, "remote", done, 2)
    add_transition(labels, reopened, "invalidated", importing, 5)
    add_transition(labels, reopened, "remote", done, 8)
    # The first of several is when it was invalidated.
    twice = create("twice", "invalidated", 3)
    add_transition(labels, twice, "superseded", importing, 6)

    migrate(LATEST, "ImportOperation")
    rows = ImportOperation.objects.values_list("remote_id", "end_reason", "invalidated_at")
    assert {remote_id: (reason, at) for remote_id, reason, at in rows if reason != "done"} == {
        "cleared": ("interrupted", minutes(5)),
        "replaced": ("superseded", minutes(5)),
        "twice": ("interrupted", minutes(3)),
    }
    for operation in ImportOperation.objects.all():
        assert operation.outcome == operation.end_outcome() == operation.end_reason
        assert operation.finished_at == AT

    # Nothing is lost on the way back, nor when it is applied again.
    model = migrate(LABELS, "ImportOperation")
    assert outcomes(model)["cleared"] == "interrupted"
    assert model.objects.count() == 10
    migrate(LATEST, "ImportOperation")
    assert outcomes(ImportOperation)["replaced"] == "superseded"


#: Importer, status, and total, completed, errors and users; whether the users were counted twice.
USER_COUNTS = (
    ("csv", "importer_done", (100, 140, 0, 40), True),
    ("csv", "importer_done", (100, 130, 0, 40), True),
    ("slack", "importer_done", (100, 130, 10, 40), True),
    ("slack-users", "importer_done", (100, 100, 0, 100), False),
    ("csv", "importer_done", (100, 101, 0, 40), None),
    ("csv", "importer_done", (100, 90, 10, 40), False),
    ("csv", "importer_done", (100, 90, 0, 40), None),
    ("csv", "importer_done", (100, None, None, 40), None),
    ("csv", "importer_done", (100, 120, 0, 0), False),
    ("csv", "importer_done", (100, 120, 0, None), False),
    ("csv", "importer_import_failed", (100, 60, 0, 40), None),
    ("api", "importer_done", (100, None, 0, 40), False),
    ("api", "importer_done", (None, None, None, None), False),
    ("pending-files", "importer_done", (100, 90, 0, None), False),
    ("pending-avatars", "importer_done", (100, None, None, None), False),
)


@pytest.mark.long
def test_users_that_are_counted_twice_are_recognized(
    migrate: Callable[[str, str], Any], labels: Callable[[str], Any]
) -> None:
    expected = {}
    for number, (importer, status, counters, twice) in enumerate(USER_COUNTS):
        total, completed, error, users = counters
        has_failed = status == "importer_import_failed"
        is_short = total is not None and completed is not None and completed < total
        stored = "done_with_errors" if error else "incomplete" if is_short else "done"
        create_operation(
            labels,
            f"{importer}{number}",
            importer_key=importer,
            status=status,
            valid=True,
            end_reason="failed" if has_failed else "done",
            outcome="failed" if has_failed else stored,
            count_total=total,
            count_completed=completed,
            count_error=error,
            count_users=users,
        )
        expected[f"{importer}{number}"] = twice
    migrate(LATEST, "ImportOperation")
    rows = list(ImportOperation.objects.all())
    assert {row.remote_id: row.users_twice for row in rows} == expected
    assert {row.remote_id: row.outcome for row in rows} == {
        row.remote_id: row.end_outcome() for row in rows
    }
    assert {row.remote_id for row in rows if row.outcome == "incomplete"} == {
        *("csv1", "csv6", "csv7", "api11"),
    }


def test_new_columns_can_be_left_out_by_the_previous_release() -> None:
    """Its inserts do not name them: they are NULL or have a default in the database."""
    migrations = MigrationLoader(None).disk_migrations
    columns = [
        operation
        for (app, name), migration in migrations.items()
        if app == "importmonitor" and name >= COMPATIBLE_FROM
        for operation in migration.operations
        if isinstance(operation, AddField)
    ]
    assert columns
    for column in columns:
        field: Any = column.field
        optional = field.null or field.has_db_default() or isinstance(field, GeneratedField)
        assert optional, f"{column.model_name}.{column.name} needs null=True or db_default"


def test_limited_workspaces_are_hidden_from_the_migration_to_their_next_poll(
    migrate: Callable[[str, str], Any],
) -> None:
    names = [f"group {number}" for number in range(9)]
    model = migrate(INCIDENT_LISTS, "Workspace")
    model.objects.create(alias="limited", groups="|".join(["", *map(digest, names), ""]))
    model.objects.create(alias="superusers", groups="|")
    model.objects.create(alias="open")
    migrate(LATEST, "Workspace")
    member = make_user("member")
    member.groups.add(Group.objects.create(name=names[0]))
    root = make_user("root", is_superuser=True)
    assert [row.alias for row in Viewer(member).workspaces()] == ["open"]
    assert Viewer(root).workspaces().count() == 3
    Workspace.objects.filter(alias="limited").update(groups=store_groups(names))
    assert {row.alias for row in Viewer(member).workspaces()} == {"limited", "open"}
    # The form before had the groups in the row.
    migrate(INCIDENT_LISTS, "Workspace")
    stored = model.objects.values_list("groups", flat=True).get(alias="limited")
    assert stored is not None
    assert digest(names[0]) not in stored
