"""The page of one operation: status, timeline, server log, raw document and neighbours."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from importmonitor.admin import operation_page
from importmonitor.models import ImportOperation, StatusTransition
from tests.admin.helpers import Page, change_url, make_row, page
from tests.api.helpers import NOON, RUNNING, sync


def show(client: Client) -> Page:
    """Return the page of the only operation."""
    return page(client.get(change_url(ImportOperation.objects.get())))


def test_summary_shows_status_progress_and_counters(root: Client) -> None:
    count = {"total": 2_000, "completed": 500, "error": 3, "users": 1_234, "messages": 0}
    with time_machine.travel(NOON, tick=False):
        # With so few records at this step, users are counted once.
        sync({**RUNNING, "status": "importer_importing_messages", "count": count}, at=NOON)
        shown = show(root)
    words = shown.words
    for text in ("Running", "25 %", "500 of 2,000", "3 errors", "1,234", "people.csv", "1 h 0 m"):
        assert text in words
    assert "d26x6zSkaPSe5gCyy" in words
    assert "03/25/2026 11 a.m." in words
    assert "25" in shown.bars
    # Rocket.Chat did not send this counter.
    assert "Contacts" not in words


def test_summary_shows_the_outcome_and_the_raw_status(root: Client) -> None:
    sync(RUNNING, at=NOON)
    done = {
        **RUNNING,
        "status": "importer_done",
        "count": {"total": 10, "completed": 9},
        "_updatedAt": "2026-03-25T12:30:00.000Z",
    }
    sync(done, at=NOON + timedelta(minutes=30))
    words = show(root).words
    assert "Incomplete" in words
    assert "1 h 30 min" in words
    assert "importer_done" in words


def test_timeline_shows_states_times_and_unusual_reasons(root: Client) -> None:
    steps = [
        ("importer_new", True, "New"),
        ("importer_user_selection", True, "Waiting"),
        ("importer_importing_users", True, "Running"),
        ("importer_importing_users", False, "Interrupted"),
    ]
    for number, (status, valid, _) in enumerate(steps):
        sync(
            {
                **RUNNING,
                "status": status,
                "valid": valid,
                "_updatedAt": f"2026-03-25T12:{number:02d}:00.000Z",
            },
            at=NOON + timedelta(minutes=number * 20),
        )
    assert StatusTransition.objects.count() == 4
    words = show(root).words
    timeline = words[words.index("Timeline") : words.index("Note")]
    position = 0
    for status, _, word in steps:
        position = timeline.index(f"{word} {status}", position) + 1
    assert timeline.count("after 20 min") == 3
    assert "Reported by" not in timeline
    assert "Invalidated by Rocket.Chat" in timeline
    assert "Interrupted" in words


def test_timeline_can_be_empty(root: Client) -> None:
    make_row().save()
    assert "No status changes recorded" in show(root).words


def test_payload_is_indented_and_escaped(root: Client) -> None:
    document = {**RUNNING, "unknown": {"keys": ["of any kind", 'a "quote" & <b>', "ümläut 🎉"]}}
    sync(document)
    html = root.get(change_url(ImportOperation.objects.get())).content.decode()
    words = Page(html).words
    start = words.index('{ "')
    shown, _ = json.JSONDecoder().raw_decode(words[start:])
    assert shown == document
    assert "<b>" not in html
    assert html.count("\n  &quot;") >= len(document)
    assert "ümläut 🎉" in html


def test_unreadable_fields_are_listed(root: Client) -> None:
    sync({**RUNNING, "valid": "perhaps", "count": {"total": {}, "completed": 4}})
    words = show(root).words
    assert "valid, count.total" in words
    assert "4 of –" in words


def test_no_unreadable_fields_are_listed_as_none(root: Client) -> None:
    sync(RUNNING)
    assert "Unreadable fields: none" in show(root).words


def test_imported_data_is_not_shown(root: Client) -> None:
    sync({**RUNNING, "fileData": {"users": [{"email": "ada@example.org"}]}})
    assert b"ada@example.org" not in root.get(change_url(ImportOperation.objects.get())).content


def test_times_are_in_the_admin_s_time_zone(root: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    sync(RUNNING, at=NOON)
    assert "03/25/2026 noon" in show(root).words


def test_older_and_newer_import_are_of_the_same_workspace(root: Client) -> None:
    rows = [make_row(number, workspace="a" if number % 2 else "b") for number in range(5)]
    for row in rows:
        row.save()
    # Numbered from the newest back: 0, 2 and 4 are of one workspace.
    expected = {0: (None, 2), 2: (0, 4), 4: (2, None), 1: (None, 3), 3: (1, None)}
    for number, (newer, older) in expected.items():
        shown = page(root.get(change_url(rows[number])))
        paths = [link.split("?")[0] for link in shown.links]
        for text, neighbour in (("Newer import", newer), ("Older import", older)):
            assert (text in shown.words) == (neighbour is not None)
            assert neighbour is None or change_url(rows[neighbour]) in paths


@pytest.mark.django_db
def test_neighbours_that_started_together_are_in_order_of_their_keys() -> None:
    rows = [make_row(number, started_at=NOON) for number in range(3)]
    for row in rows:
        row.save()
    first, second, third = (row.pk for row in rows)
    neighbours = [ImportOperation.objects.neighbours(row)[:2] for row in rows]
    assert neighbours == [(None, second), (first, third), (second, None)]


def server_log(operation: ImportOperation) -> dict[str, Any]:
    operation.save()
    return operation_page.server_log(operation)


@pytest.mark.django_db
def test_server_log_span_is_around_the_failure() -> None:
    failed = make_row(1, end_reason="failed", status="importer_import_failed", state="error")
    failed.last_progress_at, failed.finished_at = NOON, NOON + timedelta(minutes=1)
    failed.save()
    for minutes in (0, 2):
        StatusTransition.objects.create(
            operation=failed,
            to_status="importer_import_failed",
            to_state="error",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=NOON + timedelta(minutes=minutes),
        )
    context = operation_page.server_log(failed)
    assert context["stopped"]
    assert "noon" in context["from"]
    assert "12:02 p.m." in context["to"]
    assert not context["is_interrupted"]

    stalled = make_row(2, stalled_since=NOON - timedelta(hours=2), count_completed=1200)
    stalled.last_progress_at, stalled.last_seen_at = NOON - timedelta(hours=3), NOON
    context = server_log(stalled)
    assert context["stopped"]
    assert "9 a.m." in context["from"]
    assert "noon" in context["to"]
    assert context["completed"] == "1,200 of –"

    assert not server_log(make_row(3))["stopped"]
    errors = server_log(make_row(4, end_reason="done", status="importer_done", count_error=3))
    assert (errors["stopped"], errors["errors"]) == (False, "3")
    assert server_log(make_row(5, end_reason="interrupted", valid=False))["is_interrupted"]


def test_page_of_an_interrupted_import_explains_where_the_reason_is(root: Client) -> None:
    sync({**RUNNING, "valid": False}, at=NOON)
    words = page(root.get(change_url(ImportOperation.objects.get()))).words
    assert "Rocket.Chat's log should give the reason" in words
    assert "Rocket.Chat has abandoned this import" in words
    assert "it may not have restored four settings" in words
    assert "FileUpload_MaxFileSize" in words
    assert RUNNING["_id"] in words[words.index("Search it for") :]


def test_page_of_an_incomplete_import_does_not_point_to_the_log(root: Client) -> None:
    row = make_row(1, end_reason="done", status="importer_done", state="done", finished_at=NOON)
    row.count_completed, row.count_total = 7, 10
    row.outcome = row.end_outcome()
    row.save()
    words = page(root.get(change_url(row))).words
    assert "at least 7 of 10" in words
    assert "Rocket.Chat does not say what was chosen" in words
    assert "need not be checked" in words
    assert "Search it" not in words


def test_timeline_is_cut_to_the_newest_transitions(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_page, "MAX_TRANSITIONS", 3)
    row = make_row(1)
    row.save()
    for number in range(5):
        StatusTransition.objects.create(
            operation=row,
            to_status=f"importer_step_{number}",
            to_state="importing",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=NOON + timedelta(minutes=number),
        )
    words = page(root.get(change_url(row))).words
    assert "Earlier changes are not shown." in words
    assert "importer_step_4" in words
    assert "importer_step_1" not in words


def test_rate_is_shown_when_there_is_no_estimate_of_the_time_left(root: Client) -> None:
    row = make_row(1, rate=2.0, count_completed=5)
    row.save()
    words = page(root.get(change_url(row))).words
    assert "120 per minute" in words
    assert "left" not in words.partition("120 per minute")[2][:20]


def test_import_that_runs_again_is_shown_as_running(root: Client) -> None:
    row = make_row(1, end_reason="done", finished_at=NOON)
    row.save()
    words = page(root.get(change_url(row))).words
    assert "Running for" in words
    assert "Duration" not in words
