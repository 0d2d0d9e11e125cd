"""`prune_import_history` deletes old rows, which do not come back, and keeps what still matters."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from importmonitor.choices import IncidentKind
from importmonitor.models import (
    Alert,
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    SyncPeriod,
)
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.sync import prune
from importmonitor.sync.incidents import new_incident
from importmonitor.sync.poll import sync_workspace
from importmonitor.sync.prune import prune_operations, prune_samples
from simulator.workspace import Workspace
from tests.conftest import MONDAY

pytestmark = pytest.mark.django_db

NOW = timezone.now()
CHANNELS = {"log": {"BACKEND": "tests.commands.test_prune_import_history.NullChannel"}}


class NullChannel:
    def __init__(self, options: Any) -> None: ...

    def send(self, message: Any) -> None: ...


def make_operations(workspace: str, *ages: float, open_ages: tuple[float, ...] = ()) -> None:
    """Store operations that are `ages` days old, with all their related rows."""
    row, _created = WorkspaceRow.objects.get_or_create(alias=workspace)
    for number, age in enumerate([*ages, *open_ages]):
        then = NOW - timedelta(days=age)
        operation = ImportOperation.objects.create(
            workspace=workspace,
            remote_id=f"{workspace}-{number}",
            state="done",
            started_at=then,
            first_seen_at=then,
            last_seen_at=then,
            last_progress_at=then,
            finished_at=None if age in open_ages else then,
        )
        transition = StatusTransition.objects.create(
            operation=operation, to_state="done", reason="remote", observed_at=then
        )
        ProgressSample.objects.create(operation=operation, observed_at=then)
        Alert.objects.create(
            operation=operation,
            transition=transition,
            workspace=workspace,
            key=f"{workspace}-{number}",
            body={},
            created_at=then,
        )
    row.current_operation = ImportOperation.objects.filter(workspace=workspace).newest_first()[0]
    row.save()


def remaining_ages(workspace: str) -> list[int]:
    rows = ImportOperation.objects.filter(workspace=workspace).order_by("started_at")
    return [round((NOW - row.started_at).total_seconds() / 86_400) for row in rows]


def test_old_operations_are_deleted_with_all_related_rows() -> None:
    make_operations("default", 400, 200, 10)
    pruned = prune_operations(NOW - timedelta(days=100))
    assert pruned.operations == 2
    assert remaining_ages("default") == [10]
    for model in (StatusTransition, ProgressSample, Alert):
        assert model._default_manager.count() == 1


def test_open_and_current_operations_are_kept() -> None:
    make_operations("a", 400, 300, open_ages=(350,))
    make_operations("b", 500)
    make_operations("c", 20, 10)
    assert prune_operations(NOW - timedelta(days=100)).operations == 1
    assert (remaining_ages("a"), remaining_ages("b"), remaining_ages("c")) == (
        [350, 300],
        [500],
        [20, 10],
    )


def test_dry_run_only_counts(capsys: pytest.CaptureFixture[str]) -> None:
    make_operations("default", 400, 200, 10)
    call_command("prune_import_history", "--older-than", "100", "--dry-run")
    assert capsys.readouterr().out.startswith("Would delete: operations 2, ")
    assert len(remaining_ages("default")) == 3
    assert WorkspaceRow.objects.get().pruned_before is None
    call_command("prune_import_history", "--older-than", "100d")
    assert capsys.readouterr().out.startswith("Deleted: operations 2, ")
    assert remaining_ages("default") == [10]


def test_operations_are_deleted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    make_operations("default", 300, 299, 298, 297, 296, 10)
    with CaptureQueriesContext(connection) as queries:
        assert prune_operations(NOW - timedelta(days=100)).operations == 5
    column = connection.ops.quote_name("pruned_before")
    batches = [query for query in queries if f"SET {column}" in query["sql"]]
    assert len(batches) == 3
    assert remaining_ages("default") == [10]


def make_periods(*ages_and_outcomes: tuple[float, str]) -> None:
    """Store periods of polls, the last of which is the open one."""
    workspace = WorkspaceRow(alias="default")
    for age, outcome in ages_and_outcomes:
        then = NOW - timedelta(days=age)
        workspace.start_period(outcome, then, "")
        workspace.sync_status, workspace.last_polled_at = outcome, then
        if outcome == "ok":
            workspace.last_synced_at, workspace.failing_since = then, None
        else:
            workspace.failing_since = workspace.failing_since or then
    workspace.save()


def test_open_period_is_kept() -> None:
    make_periods((400, "ok"), (300, "Unreachable"), (200, "ok"), (190, "Unreachable"))
    assert prune_operations(NOW - timedelta(days=100)).periods == 3
    left = SyncPeriod.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(left) == ["Unreachable"]


def test_alert_and_start_of_a_lasting_outage_are_kept() -> None:
    """Its page says who was alerted."""
    make_periods((300, "ok"), (200, "Unreachable"), (190, "RateLimited"))
    then = NOW - timedelta(days=190)
    incident = new_incident(IncidentKind.UNREACHABLE, "default", NOW - timedelta(days=200))
    incident.save()
    Alert.objects.create(
        workspace="default", key="outage", body={}, created_at=then, incident=incident
    )
    pruned = prune_operations(NOW - timedelta(days=100))
    assert (pruned.periods, pruned.alerts) == (2, 0)
    assert WorkspaceRow.objects.get().failing_since == NOW - timedelta(days=200)
    Incident.objects.close([incident], NOW - timedelta(days=150))
    assert prune_operations(NOW - timedelta(days=100)).alerts == 1
    assert not Incident.objects.exists()


def test_workspace_alerts_are_deleted_when_no_longer_due() -> None:
    then = NOW - timedelta(days=200)
    for key, due in (("old", None), ("due", then)):
        Alert.objects.create(
            workspace="default", key=key, body={}, created_at=then, next_attempt_at=due
        )
    assert prune_operations(NOW - timedelta(days=100)).alerts == 1
    assert Alert.objects.get().key == "due"


def test_only_old_samples_of_ended_operations_are_deleted() -> None:
    make_operations("default", 400, 10, open_ages=(300,))
    assert prune_samples(NOW - timedelta(days=90), dry_run=True) == 1
    assert prune_samples(NOW - timedelta(days=90)) == 1
    assert ProgressSample.objects.count() == 2
    assert len(remaining_ages("default")) == 3


def test_no_operation_is_deleted_by_default(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_operations("default", 4000, 10)
    call_command("prune_import_history")
    out = capsys.readouterr().out
    assert "No imports are deleted" in out
    assert "Deleted: samples 1." in out
    assert len(remaining_ages("default")) == 2
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"KEEP_DAYS": 365, "KEEP_SAMPLES_DAYS": None}
    call_command("prune_import_history", verbosity=0)
    assert capsys.readouterr().out == ""
    assert remaining_ages("default") == [10]


@pytest.mark.parametrize("value", ["0", "-5", "soon", "1.5", "9" * 20])
def test_invalid_number_of_days_is_an_error(value: str) -> None:
    with pytest.raises(CommandError, match="is not a number of days"):
        call_command("prune_import_history", f"--older-than={value}")


def test_pruned_operations_are_neither_stored_nor_alerted_again(
    rocketchat: Workspace, settings: Any
) -> None:
    """Rocket.Chat keeps listing an operation until there are twenty newer ones."""
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"CHANNELS": CHANNELS}

    def poll() -> None:
        sync_workspace("default", now=rocketchat.clock.now)

    poll()
    for _ in range(3):
        rocketchat.start_import("csv", seconds=60)
        rocketchat.clock.advance(86_400)
        poll()
    assert ImportOperation.objects.count() == 3
    assert Alert.objects.count() == 3
    pruned = prune_operations(MONDAY + timedelta(days=1, hours=12))
    assert pruned.operations == 2
    old_keys = set(Alert.objects.values_list("key", flat=True))
    rocketchat.restart()
    rocketchat.clock.advance(2 * 86_400)
    poll()
    assert ImportOperation.objects.count() == 1
    new = rocketchat.start_import("csv", seconds=60)
    rocketchat.clock.advance(600)
    poll()
    assert set(ImportOperation.objects.values_list("remote_id", flat=True)) > {new}
    assert ImportOperation.objects.count() == 2
    assert set(Alert.objects.exclude(key__in=old_keys).values_list("event")) == {
        ("import.finished",)
    }


def rows_of(alias: str) -> list[int]:
    """Return how many rows of each kind a workspace has."""
    return [
        ImportOperation.objects.filter(workspace=alias).count(),
        StatusTransition.objects.filter(operation__workspace=alias).count(),
        ProgressSample.objects.filter(operation__workspace=alias).count(),
        SyncPeriod.objects.filter(workspace=alias).count(),
        Alert.objects.filter(workspace=alias).count(),
        WorkspaceRow.objects.filter(alias=alias).count(),
    ]


@pytest.fixture
def _two_histories() -> None:
    """Of `default`, which is configured, and of `gone`, which no longer is."""
    make_periods((400, "ok"), (300, "Unreachable"))
    for alias in ("default", "gone"):
        make_operations(alias, 300, 200, open_ages=(100,))
        Alert.objects.create(workspace=alias, key=f"{alias}-outage", body={}, created_at=NOW)
    SyncPeriod.objects.create(workspace="gone", outcome="ok", first_at=NOW, last_at=NOW)


@pytest.mark.usefixtures("_two_histories")
def test_whole_history_of_an_unconfigured_workspace_is_deleted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    # Rocket.Chat's rate limit concerns only polls.
    WorkspaceRow.objects.filter(alias="gone").update(not_before=NOW + timedelta(hours=1))
    before = rows_of("default")
    counts = "workspace gone, operations 3, sync periods 1, alerts 4."
    call_command("prune_import_history", "--workspace", "gone", "--dry-run")
    assert capsys.readouterr().out == f"Would delete: {counts}\n"
    assert rows_of("gone") == [3, 3, 3, 1, 4, 1]
    call_command("prune_import_history", "--workspace", "gone", "--no-input")
    assert capsys.readouterr().out == f"Deleted: {counts}\n"
    assert rows_of("gone") == [0] * 6
    assert rows_of("default") == before
    with pytest.raises(
        CommandError, match=r"no history of a workspace 'gone'\. There is of: default"
    ):
        call_command("prune_import_history", "--workspace", "gone", "--no-input")


@pytest.mark.usefixtures("_two_histories")
@pytest.mark.parametrize(("answer", "is_deleted"), [("yes", True), ("no", False), ("", False)])
def test_deletion_of_a_workspace_is_confirmed(
    answer: str,
    is_deleted: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("builtins.input", lambda _prompt: answer)
    call_command("prune_import_history", "--workspace", "default")
    output = capsys.readouterr().out
    assert "IRREVERSIBLY DELETE: workspace default, operations 3," in output
    assert "default is still configured" in output
    assert ("Nothing was deleted." in output) is not is_deleted
    assert (rows_of("default") == [0] * 6) is is_deleted


@pytest.mark.usefixtures("_two_histories")
def test_deletion_of_a_workspace_without_a_terminal_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", read)
    with pytest.raises(CommandError, match="use --no-input") as error:
        call_command("prune_import_history", "--workspace", "gone")
    assert error.value.returncode == 2
    assert rows_of("gone")[0] == 3


@pytest.mark.usefixtures("_two_histories")
def test_workspace_that_is_being_polled_is_not_deleted() -> None:
    workspaces = WorkspaceRow.objects.filter(alias="gone")
    workspaces.update(holder="other", expires_at=timezone.now() + timedelta(seconds=30))
    with pytest.raises(CommandError, match="being polled by another process") as error:
        call_command("prune_import_history", "--workspace", "gone", "--no-input")
    assert error.value.returncode == 1
    assert rows_of("gone") == [3, 3, 3, 1, 4, 1]
    workspaces.update(expires_at=timezone.now() - timedelta(seconds=1))
    call_command("prune_import_history", "--workspace", "gone", "--no-input", "--verbosity", "0")
    assert rows_of("gone") == [0] * 6


def test_whole_history_has_no_age() -> None:
    with pytest.raises(CommandError, match="leave out --older-than") as error:
        call_command("prune_import_history", "--workspace", "gone", "--older-than", "9")
    assert error.value.returncode == 2
