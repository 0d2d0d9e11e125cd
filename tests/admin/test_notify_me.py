"""The button “Notify me when it ends” on the page of an import."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from importmonitor.models import Alert, Delivery, ImportOperation
from tests.admin.conftest import LogIn
from tests.admin.helpers import change_url, messages, page
from tests.admin.test_alerts_page import ALERTS
from tests.api.helpers import RUNNING, sync

DONE = {**RUNNING, "status": "importer_done", "_updatedAt": "2026-03-25T11:45:00.000Z"}


@pytest.fixture
def operation(db: None) -> ImportOperation:
    sync(RUNNING)
    return ImportOperation.objects.get()


@pytest.fixture
def viewer(log_in: LogIn) -> Client:
    return log_in("view_importoperation", email="ada@example.org")


def notify_url(operation: ImportOperation) -> str:
    return reverse("admin:importmonitor_importoperation_notify", args=[operation.pk])


def press(client: Client, operation: ImportOperation, notify: str) -> list[tuple[str, str]]:
    return messages(client.post(notify_url(operation), {"notify": notify}, follow=True))


def test_button_subscribes_and_unsubscribes(viewer: Client, operation: ImportOperation) -> None:
    assert "Notify me when it ends" in page(viewer.get(change_url(operation))).words
    text = "An e-mail will be sent to ada@example.org when this import ends."
    for _ in range(2):
        assert press(viewer, operation, "yes") == [("success", text)]
    alert = Alert.objects.get()
    user = User.objects.get(email="ada@example.org")
    assert (alert.channel, alert.delivery) == (f"@{user.pk}", Delivery.WAITING)
    words = page(viewer.get(change_url(operation))).words
    assert text in words
    assert "Do not notify me" in words
    for _ in range(2):
        assert press(viewer, operation, "no") == [
            ("success", "You will not be notified of the end of this import.")
        ]
    assert not Alert.objects.exists()


def test_button_is_disabled_without_an_email_address(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("run-import")
    response = client.get(change_url(operation))
    assert "Notify me when it ends Your user has no e-mail address." in page(response).words
    assert press(client, operation, "yes") == [("error", "Your user has no e-mail address.")]
    assert not Alert.objects.exists()


def test_import_that_has_ended_has_no_button(viewer: Client, operation: ImportOperation) -> None:
    sync(DONE)
    assert notify_url(operation) not in page(viewer.get(change_url(operation))).actions
    assert press(viewer, operation, "yes") == [("info", "This import has already ended.")]
    assert not Alert.objects.exists()


def test_users_who_cannot_see_the_import_cannot_subscribe(
    log_in: LogIn, operation: ImportOperation
) -> None:
    client = log_in("view-import-operations", email="ada@example.org")
    assert client.post(notify_url(operation), {"notify": "yes"}).status_code == 403
    assert not Alert.objects.exists()


def test_waiting_alert_is_listed_and_cannot_be_retried(
    root: Client, viewer: Client, operation: ImportOperation
) -> None:
    press(viewer, operation, "yes")
    alert = Alert.objects.get()
    change = f"{ALERTS}{alert.pk}/change/"
    (row,) = page(root.get(f"{ALERTS}?delivery=waiting")).rows
    assert "Waiting for the end of the import" in row[1]
    assert "End of the import" in row[2]
    assert row[4] == "Notify me: someone"
    assert page(root.get(f"{ALERTS}?delivery=due")).rows == []
    assert "→ Notify me: someone" in page(root.get(change)).words
    User.objects.filter(username="someone").delete()
    assert f"Notify me: User {alert.channel[1:]}" in page(root.get(change)).words
    data = {"action": "retry_delivery", "_selected_action": [alert.pk]}
    assert messages(root.post(ALERTS, data, follow=True)) == [
        ("info", "The selected alerts wait for the end of an import.")
    ]


def test_timeline_names_the_user_who_was_notified(
    root: Client, viewer: Client, operation: ImportOperation
) -> None:
    press(viewer, operation, "yes")
    sync(DONE)
    assert "Notify me: someone" in page(root.get(change_url(operation))).words
