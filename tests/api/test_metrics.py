"""The metrics: their values, and the number of queries."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.alerts.drafts import TEST
from importmonitor.choices import GOOD_STATUSES
from importmonitor.contrib.prometheus.families import POLL_OUTCOMES
from importmonitor.models import ImportOperation, Workspace
from importmonitor.rocketchat import exceptions
from importmonitor.sync.register import register_configured
from tests.api.helpers import (
    NOON,
    RUNNING,
    sync,
    sync_nothing,
    sync_refused,
    workspace_at,
)
from tests.api.metrics import COMPLETE, MINUTE, add_alert, metric_value, metric_values, samples

pytestmark = [pytest.mark.django_db, pytest.mark.urls("importmonitor.contrib.prometheus.urls")]


# Operations.


def test_running_import_has_all_metrics() -> None:
    for minute, completed in enumerate((0, 40, 70, 100)):
        sync(
            COMPLETE | {"count": COMPLETE["count"] | {"completed": completed}},
            at=NOON + minute * MINUTE,
        )
    now = NOON + 4 * MINUTE
    assert metric_values("operation_info", now) == {
        ("csv", "", "importer_importing_users", "default"): 1,
    }
    assert metric_value("operation_active", now) == 1
    assert metric_value("operation_stalled", now) == metric_value("operation_waiting", now) == 0
    assert metric_value("operation_records", now) == 400
    assert metric_value("operation_records_completed", now) == 100
    assert metric_value("operation_records_failed", now) == 4
    # So many records at this step mean that its 50 users were counted twice.
    assert metric_value("operation_progress_ratio", now) == pytest.approx(54 / 400)
    assert metric_value("operation_records_per_second", now) == 0.5
    time_left = ImportOperation.objects.get().time_left(now)
    assert time_left is not None
    assert metric_value("operation_time_left_seconds", now) == time_left.expected.total_seconds()
    assert metric_value("operation_started_timestamp_seconds", now) == NOON.timestamp() - 3600
    assert metric_value("operation_last_progress_timestamp_seconds", now) == now.timestamp() - 60
    assert metric_value("operation_finished_timestamp_seconds", now) is None
    assert metric_values("operation_contents", now) == {
        ("users", "default"): 50,
        ("channels", "default"): 20,
        ("messages", "default"): 330,
        ("contacts", "default"): 0,
    }
    states = metric_values("operation_state", now)
    assert states.pop(("importing", "default")) == 1
    assert len(states) == 8
    assert set(states.values()) == {0}


def test_unknown_values_are_absent() -> None:
    sync({"_id": RUNNING["_id"]}, at=NOON)
    assert metric_values("operation_info") == {("", "", "", "default"): 1}
    assert metric_values("operation_state")["unknown", "default"] == 1
    assert metric_value("operation_active") == 1
    assert metric_values("operation_contents") == {}
    for name in (
        "records",
        "records_completed",
        "records_failed",
        "progress_ratio",
        "records_per_second",
        "time_left_seconds",
        "finished_timestamp_seconds",
    ):
        assert metric_value(f"operation_{name}") is None, name


@pytest.mark.parametrize(
    ("completed", "total", "ratio"),
    [(179, 135, 0.99), (-5, 10, 0), (3, 0, None), (999_999, 1_000_000, 0.99), (1, 8, 0.125)],
)
def test_ratio_is_below_1_before_the_end(completed: int, total: int, ratio: float | None) -> None:
    sync({**RUNNING, "count": {"total": total, "completed": completed}}, at=NOON)
    assert metric_value("operation_progress_ratio") == ratio
    assert metric_value("operation_records_completed") == completed


@pytest.mark.parametrize(("completed", "ratio"), [(179, 1), (135, 1), (27, 0.2)])
def test_ratio_of_ended_import_is_1_if_all_was_handled(completed: int, ratio: float) -> None:
    sync(RUNNING, at=NOON)
    done = {"status": "importer_done", "count": {"total": 135, "completed": completed}}
    sync({**RUNNING, **done}, at=NOON + MINUTE)
    assert metric_value("operation_progress_ratio") == ratio


def test_64_bit_counters_are_exported() -> None:
    sync({**RUNNING, "count": {"total": 2**63 - 1, "completed": -(2**63)}}, at=NOON)
    assert metric_value("operation_records") == 2**63
    assert metric_value("operation_records_completed") == -(2**63)


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ({"status": "importer_done", "count": {"total": 9, "completed": 9}}, "done"),
        ({"status": "importer_done", "count": {"error": 1}}, "done_with_errors"),
        ({"status": "importer_done", "count": {"total": 9, "completed": 8}}, "incomplete"),
        ({"status": "importer_import_failed"}, "failed"),
        ({"status": "importer_importing_users", "valid": False}, "interrupted"),
        ({"status": "importer_import_cancelled"}, "canceled"),
    ],
)
def test_outcome_of_ended_import(document: dict[str, Any], outcome: str) -> None:
    sync(RUNNING, at=NOON)
    sync({**RUNNING, **document, "_updatedAt": "2026-03-25T12:00:30Z"}, at=NOON + MINUTE)
    ((_, ended, _, _),) = metric_values("operation_info")
    assert ended == outcome
    assert metric_value("operation_active") == 0
    assert metric_value("operation_finished_timestamp_seconds") == NOON.timestamp() + 30


def test_restarted_import_has_no_outcome() -> None:
    sync(RUNNING, at=NOON)
    sync({**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T12:00:30Z"}, at=NOON)
    sync({**RUNNING, "_updatedAt": "2026-03-25T12:05:30Z"}, at=NOON + 6 * MINUTE)
    assert metric_values("operation_info") == {
        ("csv", "", "importer_importing_users", "default"): 1
    }
    assert metric_value("operation_active") == 1


def test_stalled_and_waiting_imports() -> None:
    for minute in range(0, 40, 4):
        sync(RUNNING, at=NOON + minute * MINUTE)
    assert metric_value("operation_stalled") == 1
    waiting = {**RUNNING, "_id": "another", "ts": "2026-03-25T12:40:00Z"}
    waiting["status"] = "importer_user_selection"
    for minute in range(40, 110, 4):
        sync(waiting, at=NOON + minute * MINUTE)
    assert metric_value("operation_stalled") == 0
    assert metric_value("operation_waiting") == 1
    assert metric_values("operation_state")["ready", "default"] == 1


def test_unknown_texts_are_other() -> None:
    hostile = 'x"} 1\nimportmonitor_operation_active{workspace="default"} 7 \\ \0'
    sync({**RUNNING, "importerKey": hostile, "status": hostile, "type": hostile}, at=NOON)
    assert metric_values("operation_info") == {("other", "", "other", "default"): 1}
    assert metric_value("operation_active") == 1
    ImportOperation.objects.update(state="of tomorrow")
    assert metric_values("operation_state")["unknown", "default"] == 1
    Workspace.objects.update(sync_status="of yesterday")
    assert metric_values("polls_total")["other", "default"] == 1


# Workspaces.


def test_unpolled_workspace_is_down() -> None:
    register_configured()
    names = {sample.name for sample in samples() if "workspace" in sample.labels}
    assert metric_value("workspace_up") == 0
    assert metric_value("workspace_last_good_look_age_seconds") is None
    assert metric_values("polls_total") == {(outcome, "default"): 0 for outcome in POLL_OUTCOMES}
    assert not any(name.startswith("importmonitor_operation") for name in names)


def test_workspace_without_imports_has_state_none() -> None:
    sync(RUNNING, at=NOON - MINUTE)
    sync_nothing(at=NOON)
    assert metric_value("workspace_up") == 1
    assert metric_values("operation_state")["none", "default"] == 1
    assert sum(metric_values("operation_state").values()) == 1
    assert metric_values("operation_info") == {}


def test_failing_workspace_is_down_and_keeps_its_operation() -> None:
    sync(RUNNING, at=NOON - 3 * MINUTE)
    sync_refused(at=NOON - MINUTE)
    assert metric_value("workspace_up") == 0
    assert metric_value("workspace_last_good_look_age_seconds") == 180
    # As of the last successful poll.
    assert metric_value("operation_active") == 1


def test_workspace_not_polled_recently_is_down() -> None:
    sync(RUNNING, at=NOON)
    assert metric_value("workspace_up", NOON + 9 * MINUTE) == 1
    assert metric_value("workspace_up", NOON + 11 * MINUTE) == 0
    assert metric_value("workspace_last_good_look_age_seconds", NOON + 11 * MINUTE) == 660
    # No negative age if the clock was set back.
    assert metric_value("workspace_last_good_look_age_seconds", NOON - MINUTE) == 0


def test_polls_reset_when_the_outcome_changes() -> None:
    def polls() -> dict[str, float]:
        values = metric_values("polls_total")
        assert len(values) == len(POLL_OUTCOMES)
        return {outcome: polls for (outcome, _), polls in values.items() if polls}

    register_configured()
    assert polls() == {}
    sync(RUNNING, at=NOON)
    sync(RUNNING, at=NOON + MINUTE)
    assert polls() == {"ok": 2}
    sync_refused(at=NOON + 2 * MINUTE)
    assert polls() == {"Unauthenticated": 1}
    sync_refused(at=NOON + 3 * MINUTE)
    assert polls() == {"Unauthenticated": 2}
    sync(RUNNING, at=NOON + 4 * MINUTE)
    assert polls() == {"ok": 1}


def test_poll_outcomes_are_complete() -> None:
    kinds = {kind.__name__ for kind in exceptions.RocketChatError.__subclasses__()}
    assert set(POLL_OUTCOMES) == {*GOOD_STATUSES, *kinds, "other"}


def test_only_configured_workspaces_are_exported(settings: Any) -> None:
    sync(RUNNING, at=NOON)
    settings.IMPORTMONITOR = {"WORKSPACES": {"acme": workspace_at("http://127.0.0.1:9")}}
    register_configured()
    assert {sample.labels.get("workspace") for sample in samples()} == {None, "acme"}


# Alerts.


def test_undelivered_alerts_by_channel(settings: Any) -> None:
    backend = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "CHANNELS": {"ops": backend, "idle": backend}
    }
    hour = timedelta(hours=1)
    add_alert(next_attempt_at=NOON, created_at=NOON - MINUTE)
    add_alert(next_attempt_at=NOON + hour, created_at=NOON - 5 * MINUTE, attempts=3)
    add_alert(next_attempt_at=NOON + hour, created_at=NOON - 4 * MINUTE, attempts=1)
    add_alert(delivered_at=NOON, attempts=1, created_at=NOON - 9 * MINUTE)
    add_alert(given_up_at=NOON - 23 * hour, attempts=9)
    add_alert(given_up_at=NOON - 25 * hour, attempts=9)
    add_alert(given_up_at=NOON, attempts=1, event=TEST)
    add_alert("gone", given_up_at=NOON, attempts=9)
    # Of users: one waits for the end of an import, two are late, one may no longer see imports.
    add_alert("@1", event="import.ended")
    add_alert("@1", next_attempt_at=NOON, created_at=NOON)
    add_alert("@2", next_attempt_at=NOON, created_at=NOON)
    add_alert("@3", given_up_at=NOON)
    assert metric_values("alerts_undelivered") == {
        ("@", "due"): 2,
        ("@", "retrying"): 0,
        ("@", "given_up"): 0,
        ("ops", "due"): 1,
        ("ops", "retrying"): 2,
        ("ops", "given_up"): 1,
        ("idle", "due"): 0,
        ("idle", "retrying"): 0,
        ("idle", "given_up"): 0,
        ("gone", "due"): 0,
        ("gone", "retrying"): 0,
        ("gone", "given_up"): 1,
    }
    assert metric_values("alerts_oldest_undelivered_age_seconds") == {("ops",): 300, ("@",): 0}
