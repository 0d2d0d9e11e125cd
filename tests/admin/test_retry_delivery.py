"""The action “Retry delivery” on the page of alerts."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from importmonitor.alerts import drafts
from importmonitor.models import Alert
from tests.admin.conftest import LogIn
from tests.admin.helpers import messages as messages_of
from tests.api.helpers import NOON

ALERTS = "/admin/importmonitor/alert/"


@pytest.fixture(autouse=True)
def _channels(settings: Any) -> None:
    backend = "importmonitor.alerts.channels.EmailChannel"
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {
        "CHANNELS": {
            "ops": {"BACKEND": backend, "TO": ["ops@example.org"]},
        }
    }


def make_alert(key: str, **fields: Any) -> Alert:
    defaults = {
        "event": drafts.TEST,
        "workspace": "default",
        "channel": "ops",
        "body": drafts.draft_test_alert("default", at=NOON, key=key).body,
        "created_at": NOON,
        "next_attempt_at": None,
        "given_up_at": NOON,
        "attempts": 60,
    }
    return Alert.objects.create(key=key, **defaults | fields)


def press(client: Client, *alerts: Alert) -> list[tuple[str, str]]:
    keys = [alert.pk for alert in alerts]
    data = {"action": "retry_delivery", "_selected_action": keys}
    return messages_of(client.post(ALERTS, data, follow=True))


def test_alert_that_was_given_up_is_delivered(root: Client) -> None:
    one, another = make_alert("one"), make_alert("another")
    assert press(root, one) == [("success", "1 alert delivered.")]
    assert len(mail.outbox) == 1
    one.refresh_from_db()
    another.refresh_from_db()
    assert one.delivered_at is not None
    assert one.given_up_at is None
    assert another.delivered_at is None


def test_alert_that_waits_for_its_next_attempt_is_delivered_now(root: Client) -> None:
    later = timezone.now() + timedelta(hours=1)
    alert = make_alert("one", given_up_at=None, next_attempt_at=later, attempts=3)
    assert press(root, alert, make_alert("two"))[0][1] == "2 alerts delivered."


def test_only_selected_alerts_are_counted(root: Client) -> None:
    make_alert("due", given_up_at=None, next_attempt_at=NOON)
    gone = make_alert("gone", channel="gone")
    assert press(root, gone) == [("warning", "0 of 1 delivered; see the error column.")]
    # What was due anyway was delivered meanwhile.
    assert len(mail.outbox) == 1


def test_delivered_alert_is_not_sent_twice(root: Client) -> None:
    alert = make_alert("one", delivered_at=NOON, given_up_at=None)
    assert press(root, alert) == [("info", "All selected alerts were already delivered.")]
    assert mail.outbox == []


def test_alert_that_fails_again_shows_its_error(root: Client) -> None:
    alerts = [make_alert("one"), make_alert("two", channel="gone")]
    [(level, text)] = press(root, *alerts)
    assert level == "warning"
    assert text == "1 of 2 delivered; see the error column."
    alerts[1].refresh_from_db()
    assert alerts[1].last_error == "No channel of this name is configured any more."
    assert alerts[1].last_error in root.get(ALERTS).content.decode()


@pytest.mark.parametrize(("codename", "can_retry"), [("run-import", True), ("view_alert", False)])
def test_only_users_who_can_run_imports_can_retry(
    log_in: LogIn, codename: str, can_retry: bool
) -> None:
    alert = make_alert("one")
    client = log_in(codename)
    assert (b'value="retry_delivery"' in client.get(ALERTS).content) == can_retry
    press(client, alert)
    assert len(mail.outbox) == can_retry


def test_users_who_cannot_see_alerts_cannot_retry(log_in: LogIn) -> None:
    alert = make_alert("one")
    data = {"action": "retry_delivery", "_selected_action": [alert.pk]}
    assert log_in("view-import-operations").post(ALERTS, data).status_code == 403
    assert mail.outbox == []
