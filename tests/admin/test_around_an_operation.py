"""Beside an operation: the ones before and after it, and where the log has its reasons."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from importmonitor.admin import operation_page
from importmonitor.models import ImportOperation, StatusTransition
from tests.admin.helpers import change_url, make_row, page
from tests.api.helpers import NOON, RUNNING, sync

# The operation page.


def test_neighbours_are_of_the_same_workspace(root: Client) -> None:
    rows = [make_row(number, workspace="a" if number % 2 else "b") for number in range(5)]
    for row in rows:
        row.save()
    # Numbered from the newest back: 0, 2 and 4 are of one workspace.
    expected = {0: (None, 2), 2: (0, 4), 4: (2, None), 1: (None, 3), 3: (1, None)}
    for number, (newer, older) in expected.items():
        found = page(root.get(change_url(rows[number])))
        paths = [each.split("?")[0] for each in found.links]
        for word, neighbour in (("Newer import", newer), ("Older import", older)):
            assert (word in found.words) == (neighbour is not None)
            assert neighbour is None or change_url(rows[neighbour]) in paths


@pytest.mark.django_db
def test_neighbours_that_began_at_the_same_moment() -> None:
    rows = [make_row(number, started_at=NOON) for number in range(3)]
    for row in rows:
        row.save()
    first, second, third = rows
    around = ImportOperation.objects.neighbours
    assert [around(each) for each in rows] == [(None, second), (first, third), (second, None)]


def in_log(operation: ImportOperation) -> dict[str, Any]:
    operation.save()
    return operation_page.server_log(operation)


@pytest.mark.django_db
def test_where_to_look_in_the_server_log() -> None:
    last, end = NOON, NOON + timedelta(minutes=1)
    broken = make_row(1, end_reason="failed", status="importer_import_failed", state="error")
    broken.last_progress_at, broken.finished_at = last, end
    broken.save()
    for minutes in (0, 2):
        StatusTransition.objects.create(
            operation=broken,
            to_status="importer_import_failed",
            to_state="error",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=NOON + timedelta(minutes=minutes),
        )
    found = operation_page.server_log(broken)
    assert found["trouble"]
    assert "noon" in found["from"]
    assert "12:02 p.m." in found["to"]
    assert not found["interrupted"]

    stalled = make_row(2, stalled_since=NOON - timedelta(hours=2), count_completed=1200)
    stalled.last_progress_at, stalled.last_seen_at = NOON - timedelta(hours=3), NOON
    found = in_log(stalled)
    assert found["trouble"]
    assert "9 a.m." in found["from"]
    assert "noon" in found["to"]
    assert found["counted"] == "1,200 of –"

    assert not in_log(make_row(3))["trouble"]
    errors = in_log(make_row(4, end_reason="done", status="importer_done", count_error=3))
    assert (errors["trouble"], errors["errors"]) == (False, "3")
    assert in_log(make_row(5, end_reason="interrupted", valid=False))["interrupted"]


def test_its_words_on_the_page(root: Client) -> None:
    sync({**RUNNING, "valid": False}, at=NOON)
    words = page(root.get(change_url(ImportOperation.objects.get()))).words
    assert "Rocket.Chat itself gives no reasons" in words
    assert "may have left them so" in words
    assert RUNNING["_id"] in words[words.index("Search it for") :]


def test_what_is_missing_of_a_done_import_is_looked_for_too(root: Client) -> None:
    row = make_row(1, end_reason="done", status="importer_done", state="done", finished_at=NOON)
    row.count_completed, row.count_total = 7, 10
    row.outcome = row.end_outcome()
    row.save()
    words = page(root.get(change_url(row))).words
    assert "fewer records were completed than there were" in words
    assert "Nothing calls for it" not in words


def test_of_very_many_transitions_the_end_is_shown(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_page, "MOST_TRANSITIONS", 3)
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
    assert "What was before is not shown." in words
    assert "importer_step_4" in words
    assert "importer_step_1" not in words


def test_the_speed_is_told_where_the_time_left_cannot_be(root: Client) -> None:
    row = make_row(1, rate=2.0, count_completed=5)
    row.save()
    words = page(root.get(change_url(row))).words
    assert "120 a minute" in words
    assert "left" not in words.partition("120 a minute")[2][:20]


def test_what_runs_once_more_has_not_finished(root: Client) -> None:
    row = make_row(1, end_reason="done", finished_at=NOON)
    row.save()
    words = page(root.get(change_url(row))).words
    assert "Running for" in words
    assert "Took" not in words
