"""What the pages say about an import beyond its badge."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from importmonitor.admin import advice, display, remarks, timeline
from importmonitor.conf.workspaces import WorkspaceLinks
from importmonitor.models import ImportOperation, StatusTransition, Workspace
from importmonitor.models.outcomes import TimeLeft
from tests.admin.helpers import change_url, make_row, page
from tests.api.helpers import NOON

Reason = StatusTransition.Reason
PENDING: dict[str, Any] = {
    "importer_key": "pending-files",
    "status": "importer_importing_files",
    "count_total": 4000,
    "count_completed": 500,
}
INVALID: dict[str, Any] = {"valid": False, "state": "error", "invalidated_at": NOON}
DONE: dict[str, Any] = {"status": "importer_done", "state": "done", "end_reason": "done"}


def said(workspace: Workspace | None = None, **fields: Any) -> str:
    return " ".join(text for text, _tone in remarks.of_operation(make_row(**fields), workspace))


def badge(**fields: Any) -> str:
    return display.operation_badge(make_row(**fields))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"status": "importer_file_loaded", "state": "loading"}, "open the import's prepare page"),
        ({"status": "importer_user_selection", "state": "ready"}, "choose in Rocket.Chat what"),
        ({"status": "importer_importing_messages"}, "counts every 500th record"),
        (PENDING | INVALID, "but it runs on: pending files and avatars"),
        (PENDING | {"status": "importer_done", "state": "done"}, "still arriving"),
        (INVALID | {"payload": {"ts": 1}}, "up to 6.2, Rocket.Chat does not stop"),
    ],
)
def test_active_import_has_a_remark(fields: dict[str, Any], text: str) -> None:
    assert text in said(**fields)


def test_step_that_counts_often_has_no_remark() -> None:
    assert said(status="importer_importing_users") == ""


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"status": "importer_file_loaded", "state": "loading"}, "Waiting"),
        (PENDING | INVALID, "Running"),
        (PENDING | {"status": "importer_done", "state": "done"}, "Running"),
        (PENDING | DONE, "Done"),
        (INVALID | {"end_reason": "interrupted"}, "Interrupted"),
    ],
)
def test_badge_says_whether_it_runs(fields: dict[str, Any], label: str) -> None:
    assert f"\N{NO-BREAK SPACE}{label}<" in badge(**fields)


def test_import_behind_a_newer_one_says_how_it_is_followed() -> None:
    workspace = Workspace(alias="default", current_operation_id=99)
    assert "followed through Rocket.Chat's list" in said(workspace, **PENDING)
    workspace.list_refused = "No permission."
    assert "Its end cannot be seen: No permission." in said(workspace, **PENDING)
    superseded: dict[str, Any] = {**PENDING, "end_reason": "superseded"}
    assert "Whether it still runs cannot be seen: No permission." in said(workspace, **superseded)
    assert said(Workspace(alias="default"), **DONE) == ""


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (INVALID, "Rocket.Chat has abandoned this import"),
        (INVALID | {"status": "importer_done"}, "calls it done, but stopped it early and skipped"),
        (INVALID | PENDING, "no longer moves"),
    ],
)
def test_interrupted_import_says_what_happened(fields: dict[str, Any], text: str) -> None:
    assert text in said(**{**fields, "end_reason": "interrupted"})


def test_superseded_import_that_is_called_done_says_that_it_stopped_early() -> None:
    assert "stopped it early for a newer import" in said(
        **INVALID | {"status": "importer_done", "end_reason": "superseded"}
    )


def test_import_deleted_in_rocketchat_says_since_when() -> None:
    with time_machine.travel(NOON, tick=False):
        text = said(**DONE, gone_at=NOON)
    assert "it was deleted there" in text
    assert "25\N{NO-BREAK SPACE}Mar\N{NO-BREAK SPACE}12:00:00" in text


def test_incomplete_import_counts_users_once() -> None:
    counted: dict[str, Any] = {"count_total": 1324, "count_completed": 1200, "count_users": 120}
    row = make_row(**DONE, **counted, users_twice=True)
    assert "at least 1,080 of 1,324" in display.progress(row)
    row = make_row(**DONE, **counted, users_twice=False)
    assert "at least 1,200 of 1,324" in display.progress(row)
    assert "im-quiet" in display.operation_badge(row)


@pytest.mark.django_db
def test_incomplete_import_that_was_first_seen_invalid_may_have_been_stopped(root: Client) -> None:
    row = make_row(**DONE | {"valid": False, "count_total": 1324, "count_completed": 950})
    row.save()
    transition = StatusTransition(
        operation=row,
        to_status="importer_done",
        to_state="done",
        valid=True,
        reason=Reason.REMOTE,
        observed_at=NOON,
    )
    transition.save()
    text = "may have stopped it early"
    assert text not in page(root.get(change_url(row))).words
    StatusTransition.objects.update(valid=False)
    assert text in page(root.get(change_url(row))).words


def save_history(operation: ImportOperation, *steps: tuple[str, str, bool, Reason]) -> list[str]:
    """Save transitions, a minute apart; return the labels of the timeline."""
    operation.save()
    for number, (status, state, valid, reason) in enumerate(steps):
        StatusTransition.objects.create(
            operation=operation,
            to_status=status,
            to_state=state,
            valid=valid,
            reason=reason,
            observed_at=NOON + timedelta(minutes=number),
        )
    entries = timeline.build(operation, transitions_of(operation), [], NOON)
    return [str(entry.details["badge"].label) for entry in entries]


def transitions_of(operation: ImportOperation) -> list[StatusTransition]:
    return list(operation.transitions.order_by("observed_at", "pk"))


def advice_on(operation: ImportOperation) -> dict[str, Any]:
    return advice.of_operation(
        operation, transitions_of(operation), None, (), WorkspaceLinks(), NOON
    )


@pytest.mark.django_db
def test_timeline_of_an_aborted_import_does_not_end_as_done() -> None:
    row = make_row(**INVALID | {"end_reason": "interrupted", "status": "importer_done"})
    assert save_history(
        row,
        ("importer_importing_users", "importing", True, Reason.REMOTE),
        ("importer_importing_users", "error", False, Reason.INVALIDATED),
        ("importer_done", "done", False, Reason.REMOTE),
    ) == ["Running", "Interrupted", "Called done by Rocket.Chat"]
    context = advice_on(row)
    assert context["log"]["status"] == "importer_importing_users"
    assert not context["may_have_open_settings"]


@pytest.mark.django_db
def test_timeline_of_pending_files_is_done_when_the_last_ones_have_arrived() -> None:
    steps = [
        ("importer_importing_files", "importing", True, Reason.REMOTE),
        ("importer_importing_files", "error", False, Reason.REMOTE),
        ("importer_done", "done", False, Reason.REMOTE),
        ("importer_done", "done", False, Reason.REMOTE),
    ]
    labels = ["Running", "Running", "Called done by Rocket.Chat", "Done"]
    settling = make_row(1, **PENDING | {"status": "importer_done", "state": "done"})
    assert save_history(settling, *steps[:3]) == labels[:3]
    assert save_history(make_row(2, **PENDING | DONE), *steps) == labels


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "importer_importing_users"}, True),
        ({"status": "importer_finishing"}, True),
        ({"status": "importer_preparing_users"}, False),
        ({"status": "importer_done"}, False),
        (PENDING, False),
    ],
)
def test_only_a_killed_import_can_have_left_settings_open(
    fields: dict[str, Any], expected: bool
) -> None:
    row = make_row(**INVALID | fields | {"end_reason": "interrupted"})
    row.save()
    assert advice_on(row)["may_have_open_settings"] is expected


@pytest.mark.django_db
def test_server_log_span_is_never_empty() -> None:
    row = make_row(
        **INVALID, end_reason="interrupted", started_at=NOON - timedelta(hours=2), finished_at=NOON
    )
    row.last_progress_at = NOON
    save_history(row, ("importer_importing_users", "error", False, Reason.INVALIDATED))
    log = advice_on(row)["log"]
    assert log["from"] == f"{NOON - timedelta(hours=2):%Y-%m-%d %H:%M:%S}"
    assert log["to"] == f"{NOON:%Y-%m-%d %H:%M:%S}"


def test_range_of_the_time_left_is_shown_where_it_says_more() -> None:
    exact = TimeLeft(*(timedelta(minutes=10, seconds=seconds) for seconds in (9, 0, 20)))
    assert display.format_time_left(exact, is_waiting=False) == "about 10 min left"
    assert display.format_time_left(exact, is_waiting=True) == "expected to take about 10 min"
    vague = exact._replace(low=timedelta(minutes=5), high=timedelta(hours=1))
    assert display.format_time_left(vague, is_waiting=False) == (
        "about 10 min left (5 min to 1 h 0 min)"
    )
