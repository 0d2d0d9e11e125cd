"""The page of alerts and of their delivery."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from importmonitor.models import Alert
from tests.admin.conftest import LogIn
from tests.admin.helpers import page
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
