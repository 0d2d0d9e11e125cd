"""What an import's page says to do: input, downloads, and where to search the log."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from importmonitor.admin import advice
from importmonitor.conf.workspaces import WorkspaceLinks
from importmonitor.models import ImportOperation, StatusTransition
from tests.admin.helpers import change_url, make_row, page
from tests.api.helpers import NOON

DONE: dict[str, Any] = {"end_reason": "done", "status": "importer_done", "state": "done"}
AVATARS, FILES = "Download Pending Avatars", "Download Pending Files"


def advice_on(operation: ImportOperation, downloads: tuple[str, ...] = ()) -> dict[str, Any]:
    operation.save()
    transitions = list(operation.transitions.order_by("observed_at", "pk"))
    return advice.of_operation(operation, transitions, None, downloads, WorkspaceLinks(), NOON)


@pytest.mark.django_db
def test_log_is_to_be_searched_around_the_failure() -> None:
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
    log = advice_on(failed)["log"]
    assert (log["stopped"], log["from"], log["to"]) == (
        True,
        "2026-03-25 12:00:00",
        "2026-03-25 12:02:00",
    )
    stalled = make_row(2, stalled_since=NOON - timedelta(hours=2), count_completed=1200)
    stalled.last_progress_at, stalled.last_seen_at = NOON - timedelta(hours=3), NOON
    log = advice_on(stalled)["log"]
    assert (log["stopped"], log["from"], log["to"]) == (
        True,
        "2026-03-25 09:00:00",
        "2026-03-25 12:00:00",
    )
    assert log["completed"] == "1,200 of –"
    assert advice_on(make_row(3))["log"] is None
    log = advice_on(make_row(4, **DONE, count_error=3))["log"]
    assert (log["stopped"], log["errors"], log["status"]) == (False, "3", "")


@pytest.mark.django_db
def test_log_of_an_end_that_came_with_progress_begins_at_the_poll_before() -> None:
    end = NOON + timedelta(seconds=30, milliseconds=200)
    seen = NOON + timedelta(seconds=31)
    row = make_row(1, end_reason="failed", status="importer_import_failed", state="error")
    row.finished_at, row.last_progress_at, row.last_seen_at = end, seen, seen
    row.save()
    for status, at in (("importer_importing_users", NOON), ("importer_import_failed", seen)):
        StatusTransition.objects.create(
            operation=row,
            to_status=status,
            to_state="error",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=at,
        )
    log = advice_on(row)["log"]
    assert (log["from"], log["to"]) == ("2026-03-25 12:00:00", "2026-03-25 12:00:31")


def test_log_is_linked_where_a_viewer_is_configured(root: Client, settings: Any) -> None:
    row = make_row(1, end_reason="failed", status="importer_import_failed", state="error")
    row.save()
    assert "Open the log" not in page(root.get(change_url(row))).words
    options = {"LOG_URL": "https://logs.example.org/{id}", "URL": "https://chat.example.org"}
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": options}}
    links = page(root.get(change_url(row))).links
    assert f"https://logs.example.org/{row.remote_id}" in links
    assert "https://chat.example.org/admin/import" in links


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "downloads", "expected"),
    [
        ({"importer_key": "slack"}, (), (True, True)),
        ({"importer_key": "slack"}, ("pending-files",), (True, False)),
        ({"importer_key": "slack"}, ("pending-files", "pending-avatars"), (False, False)),
        ({"importer_key": "slack", "count_users": 0, "count_messages": 0}, (), (False, False)),
        ({"importer_key": "slack-users", "count_messages": None}, (), (True, False)),
        # Its files have neither.
        ({"importer_key": "csv"}, (), (False, False)),
        ({"importer_key": "slack", "end_reason": "failed"}, (), (False, False)),
    ],
)
def test_pending_files_and_avatars_are_to_be_downloaded(
    fields: dict[str, Any], downloads: tuple[str, ...], expected: tuple[bool, bool]
) -> None:
    row = make_row(**DONE | {"count_users": 3, "count_messages": 9} | fields)
    context = advice_on(row, downloads)
    assert (context["needs_avatars"], context["needs_files"]) == expected


def test_page_says_which_downloads_have_not_been_made_since(root: Client) -> None:
    slack = make_row(5, importer_key="slack", count_users=3, count_messages=9, **DONE)
    slack.save()
    # One that ran before it does not count.
    make_row(9, importer_key="pending-avatars", **DONE).save()
    words = page(root.get(change_url(slack))).words
    assert AVATARS in words
    assert FILES in words
    make_row(1, importer_key="pending-avatars", **DONE).save()
    words = page(root.get(change_url(slack))).words
    assert AVATARS not in words
    assert FILES in words


@pytest.mark.django_db
def test_waiting_import_says_since_when() -> None:
    row = make_row(60, status="importer_user_selection", state="ready")
    row.save()
    StatusTransition.objects.create(
        operation=row,
        to_status=row.status,
        to_state=row.state,
        reason=StatusTransition.Reason.REMOTE,
        observed_at=NOON - timedelta(minutes=12),
    )
    context = advice_on(row)
    assert "11:48:00" in context["waiting_since"]
    assert "12 min" in context["waiting_for"]
    assert not advice_on(make_row(1))["has_any"]
