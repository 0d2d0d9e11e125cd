"""The page of alerts and of their delivery."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from importmonitor.models import Alert
from tests.admin.conftest import LogIn
from tests.admin.helpers import make_row, messages, page
from tests.api.helpers import NOON

ALERTS = "/admin/importmonitor/alert/"


def make_alert(key: str, **fields: Any) -> Alert:
    defaults = {
        "event": "import.failed",
        "workspace": "acme",
        "channel": "ops",
        "body": {"event": "import.failed", "workspace": "acme"},
        "created_at": NOON,
        "next_attempt_at": NOON,
    }
    return Alert.objects.create(key=key, **defaults | fields)


STATES: list[tuple[str, dict[str, Any]]] = [
    ("Pending", {}),
    ("Retrying", {"attempts": 2, "last_error": "The mail server answered 451."}),
    ("Delivered", {"attempts": 1, "delivered_at": NOON, "next_attempt_at": None}),
    (
        "Given up",
        {"attempts": 60, "given_up_at": NOON + timedelta(days=2), "next_attempt_at": None},
    ),
]


def test_alert_is_named_by_its_event_in_the_users_language(root: Client) -> None:
    alert = make_alert("one")
    for language, words in (("en", "Import failed → ops"), ("de", "Import fehlgeschlagen → ops")):
        response = root.get(f"{ALERTS}{alert.pk}/change/", headers={"Accept-Language": language})
        assert words in page(response).words
    # An event of another version has no label.
    assert str(make_alert("two", event="import.danced")) == "import.danced → ops"


def test_list_shows_the_delivery_of_each_alert(root: Client) -> None:
    for word, fields in STATES:
        make_alert(word, **fields)
    rows = page(root.get(ALERTS)).rows
    # The newest first.
    assert [row[1].split(" ", 1)[1] for row in reversed(rows)] == [word for word, _ in STATES]
    assert all("Import failed" in " ".join(row) for row in rows)
    assert "The mail server answered 451." in rows[2]


def test_alert_page_shows_the_body_as_text(root: Client) -> None:
    alert = make_alert("the-key", body={"event": "import.failed", "workspace": "<b>acme</b>"})
    response = root.get(f"{ALERTS}{alert.pk}/change/")
    words = page(response).words
    assert "the-key" in words
    assert "<b>acme</b>" in words
    assert b"<b>acme" not in response.content


@pytest.mark.parametrize("codename", ["run-import", "view_alert"])
def test_alerts_are_view_only(log_in: LogIn, codename: str) -> None:
    alert = make_alert("one")
    client = log_in(codename)
    assert client.get(ALERTS).status_code == 200
    assert client.get(f"{ALERTS}{alert.pk}/change/").status_code == 200
    assert client.post(f"{ALERTS}{alert.pk}/change/", {"event": "x"}).status_code == 403
    assert client.get(f"{ALERTS}add/").status_code == 403
    assert client.post(f"{ALERTS}{alert.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Alert.objects.get().event == "import.failed"


def test_other_users_cannot_see_alerts(log_in: LogIn) -> None:
    alert = make_alert("one")
    client = log_in("view-import-operations")
    assert client.get(ALERTS).status_code == 403
    assert client.get(f"{ALERTS}{alert.pk}/change/").status_code == 403


EMAIL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
HOOK = {
    "BACKEND": "importmonitor.alerts.channels.AppriseChannel",
    "URL": "json://127.0.0.1:9/secret-path?rto=1",
    "WORKSPACES": ["acme", "eu-*"],
    "EVENTS": ["import.failed"],
    "SEVERITY": "critical",
    "REMIND_EVERY": timedelta(days=1),
}


@pytest.fixture
def _channels(settings: Any) -> None:
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"CHANNELS": {"ops": EMAIL, "hook": HOOK}}


def test_page_without_alerts_and_channels_explains_how_to_configure_one(root: Client) -> None:
    words = page(root.get(ALERTS)).words
    assert "No channel is configured, so nothing is sent." in words
    assert "IMPORTMONITOR_ALERT_EMAILS" in words
    assert "No alerts yet." in words
    assert "No alerts match these filters." in page(root.get(f"{ALERTS}?delivery=due")).words


@pytest.mark.usefixtures("_channels")
def test_page_shows_what_each_channel_wants_but_not_its_options(root: Client) -> None:
    shown = page(root.get(ALERTS))
    assert "ops EmailChannel All alerts Send a test" in shown.words
    filters = (
        "Workspaces: acme, eu-* · Events: Import failed · Critical alerts only · "
        "Reminders every 1 d 0 h"
    )
    assert f"hook AppriseChannel {filters} Send a test" in shown.words
    assert "secret-path" not in shown.words + shown.spoken
    assert "ops@example.org" not in shown.words + shown.spoken


@pytest.mark.usefixtures("_channels")
def test_test_message_is_sent_through_one_channel(root: Client) -> None:
    response = root.post(f"{ALERTS}test/", {"channel": "ops"}, follow=True)
    assert messages(response) == [("success", "The test message was delivered by ops.")]
    assert [message.to for message in mail.outbox] == [["ops@example.org"]]
    [(level, text)] = messages(root.post(f"{ALERTS}test/", {"channel": "hook"}, follow=True))
    assert level == "error"
    assert text.startswith("The test message was not delivered by hook: ")
    assert "secret-path" not in text
    # It is not retried later.
    assert not Alert.objects.exclude(next_attempt_at=None).exists()
    [(level, _text)] = messages(root.post(f"{ALERTS}test/", {"channel": "pager"}, follow=True))
    assert level == "error"


@pytest.mark.usefixtures("_channels")
def test_viewers_cannot_send_a_test_message(log_in: LogIn) -> None:
    client = log_in("view_alert")
    assert "Send a test" not in page(client.get(ALERTS)).words
    assert client.post(f"{ALERTS}test/", {"channel": "ops"}).status_code == 403
    assert mail.outbox == []


def test_alerts_are_filtered_by_import_and_workspace(root: Client) -> None:
    first, second = make_row(file="one.csv"), make_row(number=1, file="two.csv")
    first.save()
    second.save()
    make_alert("one", operation=first, workspace="acme")
    make_alert("two", operation=second, workspace="default")
    shown = page(root.get(f"{ALERTS}?operation__id={second.pk}"))
    [row] = shown.rows
    assert "default" in row
    assert "By import operation All two.csv" in shown.words
    [row] = page(root.get(f"{ALERTS}?workspace=acme")).rows
    assert "acme" in row
    for nonsense in ("x", "0", "-1", "9" * 30):
        assert page(root.get(f"{ALERTS}?operation__id={nonsense}")).rows == []


def test_reminders_can_be_told_from_other_alerts(root: Client) -> None:
    make_alert("first", body={"incident": {"reminder": 0}})
    make_alert("again", body={"incident": {"reminder": 2}})
    again, first = page(root.get(ALERTS)).rows
    assert "Import failed Reminder" in again
    assert "Import failed" in first
