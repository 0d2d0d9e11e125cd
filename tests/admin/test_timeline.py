"""Alerts and notes on an import's timeline, between its steps."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from importmonitor.alerts.drafts import draft_test_alert
from importmonitor.choices import IncidentKind
from importmonitor.models import Alert, ImportOperation, Incident, StatusTransition
from importmonitor.sync.incidents import new_incident
from tests.admin.conftest import LogIn
from tests.admin.helpers import change_url, make_row, messages, page
from tests.api.helpers import NOON

RETRY = "Try again: ops"


@pytest.fixture
def operation(db: None, settings: Any) -> ImportOperation:
    """A failed import with two steps."""
    backend = "importmonitor.alerts.channels.EmailChannel"
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "CHANNELS": {"ops": {"BACKEND": backend, "TO": ["ops@example.org"]}}
    }
    row = make_row(30, end_reason="failed", status="importer_import_failed", state="error")
    row.finished_at = NOON
    row.save()
    steps = ("importer_importing_users", row.status)
    for status, before, minutes in zip(steps, ("", steps[0]), (-20, 0), strict=True):
        StatusTransition.objects.create(
            operation=row,
            from_status=before,
            to_status=status,
            to_state="importing",
            reason=StatusTransition.Reason.REMOTE,
            observed_at=NOON + timedelta(minutes=minutes),
        )
    return row


def add_alert(operation: ImportOperation, event: str, minutes: int, **fields: Any) -> Alert:
    return Alert.objects.create(
        **{
            "event": event,
            "workspace": operation.workspace,
            "operation": operation,
            "channel": "ops",
            "key": event,
            "body": draft_test_alert("default", at=NOON, key=event).body,
            "created_at": NOON + timedelta(minutes=minutes),
        }
        | fields
    )


def retry_url(operation: ImportOperation) -> str:
    return reverse("admin:importmonitor_importoperation_retry", args=[operation.pk])


def timeline_of(client: Client, operation: ImportOperation) -> str:
    words = page(client.get(change_url(operation))).words
    return words[words.index("Timeline") : words.index(" Raw fields")]


def test_alerts_say_who_was_alerted_when_and_how_between_the_steps(
    root: Client, operation: ImportOperation
) -> None:
    at = NOON + timedelta(seconds=3)
    add_alert(operation, "import.started", -19, delivered_at=at, attempts=1)
    add_alert(operation, "import.failed", 0, delivered_at=at, attempts=2)
    failed: dict[str, Any] = {"channel": "pager", "attempts": 60, "last_error": "It answered 451."}
    add_alert(operation, "import.failed", 0, given_up_at=at, **failed)
    add_alert(operation, "import.failed", 0, next_attempt_at=at, **failed | {"channel": "hook"})
    add_alert(operation, "import.failed", 0, next_attempt_at=at, channel="late")
    assert timeline_of(root, operation) == (
        "Timeline ▶ 11:40:00 Running importer_importing_users 20 min"
        " ✉ 11:41:00 Alert: Import started ops ( ops@example.org ): delivered 12:00:03"
        " ▶ 12:00:00 Running importer_import_failed"
        " ✉ 12:00:00 Alert: Import failed"
        " ops ( ops@example.org ): delivered 12:00:03 , 2 attempts"
        " pager : failed , 60 attempts · It answered 451. Try again"
        " hook : failed, next attempt 12:00:03 , 60 attempts · It answered 451. Try again"
        " late : pending"
    )


def test_note_is_on_the_timeline_with_its_author(root: Client, operation: ImportOperation) -> None:
    root.post(change_url(operation), {"note": "asked the vendor"})
    assert "Note by root: asked the vendor" in timeline_of(root, operation)


def test_note_keeps_its_author_until_its_text_changes(
    root: Client, log_in: LogIn, operation: ImportOperation
) -> None:
    root.post(change_url(operation), {"note": "asked the vendor"})
    written = ImportOperation.objects.get()
    other = log_in("change_importoperation")
    other.post(change_url(operation), {"note": "asked the vendor"})
    operation.refresh_from_db()
    assert (operation.note_by, operation.note_at) == ("root", written.note_at)
    response = other.post(change_url(operation), {"note": "got it"}, follow=True)
    assert response.request["PATH_INFO"] == change_url(operation)
    operation.refresh_from_db()
    assert operation.note_by == "someone"


def test_alert_is_tried_again_from_the_page(root: Client, operation: ImportOperation) -> None:
    alert = add_alert(operation, "import.failed", 0, given_up_at=NOON, attempts=60)
    assert RETRY in page(root.get(change_url(operation))).spoken
    response = root.post(retry_url(operation), {"alert": alert.pk}, follow=True)
    assert messages(response) == [("success", "1 alert delivered.")]
    assert response.request["PATH_INFO"] == change_url(operation)
    assert len(mail.outbox) == 1
    assert RETRY not in page(response).spoken


def test_only_alerts_about_the_import_are_tried_again(
    root: Client, operation: ImportOperation
) -> None:
    other = make_row(1)
    other.save()
    alert = add_alert(other, "import.failed", 0, given_up_at=NOON, attempts=60)
    root.post(retry_url(operation), {"alert": alert.pk})
    assert mail.outbox == []
    for key in ("", "x", "9" * 30):
        assert root.post(retry_url(operation), {"alert": key}).status_code == 404
    assert root.get(retry_url(operation)).status_code == 405


@pytest.mark.parametrize(
    ("codename", "sees_alerts", "can_retry"),
    [
        ("run-import", True, True),
        ("view_importoperation", False, False),
        ("change_importoperation", False, False),
    ],
)
def test_alerts_are_for_those_who_may_see_them(
    log_in: LogIn, operation: ImportOperation, codename: str, sees_alerts: bool, can_retry: bool
) -> None:
    alert = add_alert(operation, "import.failed", 0, given_up_at=NOON, attempts=60)
    client = log_in(codename)
    shown = page(client.get(change_url(operation)))
    assert ("ops@example.org" in shown.words) is sees_alerts
    assert (RETRY in shown.spoken) is can_retry
    status = client.post(retry_url(operation), {"alert": alert.pk}).status_code
    assert status == (302 if can_retry else 403)


def test_viewer_of_alerts_sees_them_without_a_button(
    log_in: LogIn, operation: ImportOperation
) -> None:
    add_alert(operation, "import.failed", 0, given_up_at=NOON, attempts=60)
    shown = page(log_in("view_importoperation", "view_alert").get(change_url(operation)))
    assert "ops@example.org" in shown.words
    assert RETRY not in shown.spoken


def test_acknowledgement_is_between_the_steps(root: Client, operation: ImportOperation) -> None:
    incident = new_incident(IncidentKind.FAILED, "default", NOON, operation=operation)
    incident.save()
    at = NOON - timedelta(minutes=10)
    Incident.objects.acknowledge(by="ada", at=at, note="The disk is full.")
    words = page(root.get(change_url(operation))).words
    assert "Failed: acknowledged by ada “ The disk is full. ”" in words
    assert words.index("importer_importing_users") < words.index("acknowledged by")
