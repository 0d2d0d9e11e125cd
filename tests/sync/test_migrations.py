"""Migrations of stored data, forwards and backwards."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from importmonitor.models import EndReason, ImportOperation

pytestmark = pytest.mark.django_db(transaction=True)

GENERATED_OUTCOME = "0004_faster_filters"
STORED_OUTCOME = "0005_outcome"
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


def expected_outcomes(model: Any) -> dict[str, str]:
    """Return what the current code computes from the rows."""
    fields = ("end_reason", "count_total", "count_completed", "count_error")
    return {
        row["remote_id"]: ImportOperation(**{name: row[name] for name in fields}).end_outcome()
        for row in model.objects.values("remote_id", *fields)
    }


def alerted_outcomes(model: Any) -> dict[str, Any]:
    return {
        alert.key: alert.body["operation"] and alert.body["operation"]["outcome"]
        for alert in model.objects.all()
    }


def test_generated_outcomes_become_stored_ones_and_back(
    migrate: Callable[[str, str], Any],
) -> None:
    model = migrate(GENERATED_OUTCOME, "ImportOperation")
    create_operations(model)
    generated = outcomes(model)
    assert "done_short" in generated.values()

    model = migrate(STORED_OUTCOME, "ImportOperation")
    assert outcomes(model) == expected_outcomes(model)
    assert outcomes(model) == {
        remote_id: outcome.replace("done_short", "incomplete")
        for remote_id, outcome in generated.items()
    }

    model = migrate(GENERATED_OUTCOME, "ImportOperation")
    assert outcomes(model) == generated


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
