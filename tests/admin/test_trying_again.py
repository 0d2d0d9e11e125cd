"""“Try again to deliver”, on the page of alerts: who may, and what becomes of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from importmonitor.alerts import messages
from importmonitor.models import Alert
from tests.admin.conftest import LogIn
from tests.admin.helpers import messages as told
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
    known = {
        "event": messages.TEST,
        "workspace": "default",
        "channel": "ops",
        "body": messages.draft_test_alert("default", at=NOON, key=key).body,
        "created_at": NOON,
        "next_attempt_at": None,
        "given_up_at": NOON,
        "attempts": 60,
    }
    return Alert.objects.create(key=key, **known | fields)


def press(client: Client, *alerts: Alert) -> list[tuple[str, str]]:
    keys = [alert.pk for alert in alerts]
    asked = {"action": "try_again", "_selected_action": keys}
    return told(client.post(ALERTS, asked, follow=True))


def test_what_was_given_up_is_delivered(root: Client) -> None:
    one, another = make_alert("one"), make_alert("another")
    assert press(root, one) == [("success", "1 alert was delivered.")]
    assert len(mail.outbox) == 1
    one.refresh_from_db()
    another.refresh_from_db()
    assert one.delivered_at is not None
    assert one.given_up_at is None
    assert another.delivered_at is None


def test_what_waits_for_its_next_attempt_is_tried_now(root: Client) -> None:
    later = timezone.now() + timedelta(hours=1)
    alert = make_alert("one", given_up_at=None, next_attempt_at=later, attempts=3)
    assert press(root, alert, make_alert("two"))[0][1] == "2 alerts were delivered."


def test_what_was_delivered_is_not_sent_twice(root: Client) -> None:
    alert = make_alert("one", delivered_at=NOON, given_up_at=None)
    assert press(root, alert) == [("info", "All of these had been delivered.")]
    assert mail.outbox == []


def test_what_fails_again_says_why(root: Client) -> None:
    alerts = [make_alert("one"), make_alert("two", channel="gone")]
    [(level, text)] = press(root, *alerts)
    assert level == "warning"
    assert text == "1 of 2 were delivered. Beside the others stands why not."
    alerts[1].refresh_from_db()
    assert alerts[1].last_error == "No channel of this name is configured any more."
    assert alerts[1].last_error in root.get(ALERTS).content.decode()


@pytest.mark.parametrize(("codename", "may"), [("run-import", True), ("view_alert", False)])
def test_who_may(log_in: LogIn, codename: str, may: bool) -> None:
    alert = make_alert("one")
    client = log_in(codename)
    assert (b'value="try_again"' in client.get(ALERTS).content) == may
    press(client, alert)
    assert len(mail.outbox) == may


def test_others_may_not(log_in: LogIn) -> None:
    alert = make_alert("one")
    asked = {"action": "try_again", "_selected_action": [alert.pk]}
    assert log_in("view-import-operations").post(ALERTS, asked).status_code == 403
    assert mail.outbox == []
