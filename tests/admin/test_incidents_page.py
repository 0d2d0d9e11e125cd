"""The incidents in the admin: they are acknowledged, and maintenance is planned and ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from importmonitor.models import Alert, ImportOperation, Incident
from tests.admin.conftest import LogIn
from tests.admin.helpers import HISTORY, change_url, make_row, messages, page
from tests.admin.workspace_states import WORKSPACES, save_period
from tests.api.helpers import NOON

INCIDENTS = "/admin/importmonitor/incident/"
ACKNOWLEDGE = f"{INCIDENTS}acknowledge/"
MUTE = f"{INCIDENTS}mute/"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with time_machine.travel(NOON, tick=False):
        yield


def make_incident(kind: str = "workspace.unreachable", **fields: Any) -> Incident:
    defaults: dict[str, Any] = {"workspace": "default", "since": NOON - HOUR}
    incident = Incident(kind=kind, **defaults | fields)
    if incident.is_open and kind != "maintenance":
        incident.open_key = incident.key
    incident.save()
    return incident


def make_import(**fields: Any) -> ImportOperation:
    operation = make_row(**{"file": "people.csv"} | fields)
    operation.save()
    return operation


def change_incident_url(incident: Incident) -> str:
    return f"{INCIDENTS}{incident.pk}/change/"


def test_list_shows_what_is_open_and_the_rest_on_request(root: Client) -> None:
    make_incident("import.stalled", operation=make_import(), note="IT knows")
    make_incident("workspace.unreachable", until=NOON, workspace="gone")
    [row] = page(root.get(INCIDENTS)).rows
    assert "Stalled" in row[1]
    assert "people.csv" in row[2]
    assert len(page(root.get(f"{INCIDENTS}?status=all")).rows) == 2
    [row] = page(root.get(f"{INCIDENTS}?status=over")).rows
    assert "gone" in row[2]


def test_list_without_incidents_says_so(root: Client) -> None:
    assert "No open incidents." in page(root.get(INCIDENTS)).words
    assert "No incidents match" in page(root.get(f"{INCIDENTS}?status=acknowledged")).words


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("hour", NOON + HOUR),
        # Noon in UTC is one o'clock in Berlin, where the next morning is at 7:00 UTC.
        ("tomorrow", datetime(2026, 3, 26, 7, tzinfo=UTC)),
        ("over", None),
    ],
)
def test_incident_is_acknowledged_until_a_time_or_until_it_is_over(
    root: Client, settings: Any, until: str, expected: datetime | None
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    incident = make_incident("import.stalled", operation=make_import())
    data = {"incident": incident.pk, "until": until, "note": "<b>IT knows</b>"}
    response = root.post(ACKNOWLEDGE, data | {"next": change_incident_url(incident)}, follow=True)
    assert messages(response) == [("success", "1 incident acknowledged.")]
    incident.refresh_from_db()
    assert incident.acknowledged_until == expected
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("root", NOON)
    shown = page(response)
    assert "by root , just now" in shown.words
    assert "<b>IT knows</b>" in shown.words
    assert b"<b>IT" not in response.content


def test_selected_incidents_are_acknowledged_at_once(root: Client) -> None:
    incidents = [make_incident(workspace=alias) for alias in ("one", "two", "three")]
    keys = [incident.pk for incident in incidents[:2]]
    response = root.post(INCIDENTS, {"action": "acknowledge_selected", "_selected_action": keys})
    form = page(response)
    assert ACKNOWLEDGE in form.actions
    assert "Until tomorrow, 08:00" in form.words
    data = {"incident": keys, "until": "hour", "note": "move", "next": INCIDENTS}
    response = root.post(ACKNOWLEDGE, data, follow=True)
    assert messages(response) == [("success", "2 incidents acknowledged.")]
    assert [row.note for row in Incident.objects.order_by("pk")] == ["move", "move", ""]
    assert len(page(root.get(f"{INCIDENTS}?status=unacknowledged")).rows) == 1


def test_incident_that_is_over_cannot_be_acknowledged(root: Client) -> None:
    incident = make_incident(until=NOON)
    data = {"incident": incident.pk, "until": "hour"}
    assert messages(root.post(ACKNOWLEDGE, data, follow=True))[0][0] == "info"
    data = {"action": "acknowledge_selected", "_selected_action": incident.pk}
    response = root.post(f"{INCIDENTS}?status=all", data, follow=True)
    assert messages(response) == [("info", "The selected incidents are over.")]
    incident.refresh_from_db()
    assert incident.acknowledged_at is None


def test_form_does_not_lead_to_another_site(root: Client) -> None:
    for url in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "\0"):
        response = root.post(ACKNOWLEDGE, {"until": "hour", "next": url})
        assert response["Location"] == INCIDENTS


@pytest.mark.parametrize("codename", ["run-import", "view_incident"])
def test_viewers_can_change_nothing(log_in: LogIn, codename: str) -> None:
    incident, maintenance = make_incident(), make_incident("maintenance")
    client = log_in(codename)
    assert len(page(client.get(INCIDENTS)).rows) == 1
    shown = page(client.get(change_incident_url(incident)))
    assert not {"note", "until"} & shown.fields
    assert ACKNOWLEDGE not in shown.actions
    assert client.post(ACKNOWLEDGE, {"incident": incident.pk, "until": "hour"}).status_code == 403
    assert client.post(MUTE, {"workspace": "default", "hours": 2}).status_code == 403
    assert client.post(f"{INCIDENTS}{maintenance.pk}/end/").status_code == 403
    assert client.post(change_incident_url(incident), {"note": "x"}).status_code == 403
    assert not Incident.objects.exclude(acknowledged_at=None).exists()


def test_change_permission_allows_acknowledging_and_the_note_alone(log_in: LogIn) -> None:
    incident = make_incident(message="It is down.")
    client = log_in("change_incident")
    shown = page(client.get(change_incident_url(incident)))
    assert ACKNOWLEDGE in shown.actions
    assert "It is down." in shown.words
    data = {"note": "asked IT", "message": "x", "_save": "Save"}
    assert client.post(change_incident_url(incident), data).status_code == 302
    incident.refresh_from_db()
    assert (incident.note, incident.message) == ("asked IT", "It is down.")


def test_page_lists_the_alerts(root: Client) -> None:
    incident = make_incident(first_alert_at=NOON)
    Alert.objects.create(
        event="workspace.unreachable",
        workspace="default",
        incident=incident,
        channel="ops",
        body={},
        created_at=NOON,
        attempts=3,
        last_error="It answered 451.",
    )
    words = page(root.get(change_incident_url(incident))).words
    assert "Workspace unreachable ops" in words
    assert "It answered 451." in words


def test_maintenance_is_planned_and_canceled_on_the_page_of_a_workspace(root: Client) -> None:
    save_period("default")
    [url] = [link for link in page(root.get(WORKSPACES)).links if link.endswith("/change/")]
    assert "Plan maintenance" in page(root.get(url)).words
    data = {"workspace": "default", "since": "2026-03-25T22:00", "hours": "2", "note": "restart"}
    response = root.post(MUTE, data | {"next": url}, follow=True)
    assert messages(response) == [("success", "Maintenance is planned.")]
    incident = Incident.objects.get()
    assert incident.since == NOON + 10 * HOUR
    assert incident.until == NOON + 12 * HOUR
    shown = page(response)
    assert "muted from 25 Mar 22:00:00 to 26 Mar 00:00:00" in shown.words
    assert "restart" in shown.words
    assert "Cancel maintenance" in shown.words
    root.post(f"{INCIDENTS}{incident.pk}/end/", {"next": url})
    assert not Incident.objects.exists()


def test_present_maintenance_ends_at_once(root: Client) -> None:
    root.post(MUTE, {"workspace": "default", "hours": "2"})
    later = make_incident("maintenance", since=NOON + 5 * HOUR, until=NOON + 6 * HOUR)
    incident = Incident.objects.exclude(pk=later.pk).get()
    response = root.post(f"{INCIDENTS}{incident.pk}/end/", follow=True)
    assert messages(response)[0][0] == "success"
    incident.refresh_from_db()
    assert incident.until == NOON
    # The other one stays planned.
    assert Incident.objects.filter(pk=later.pk).exists()
    response = root.post(f"{INCIDENTS}{incident.pk}/end/", follow=True)
    assert messages(response) == [("info", "This maintenance is over.")]


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Say until when, or for how many hours."),
        ({"hours": "nan"}, "Enter a number."),
        ({"hours": "1e9"}, "Ensure this value is less than or equal to 8784."),
        ({"hours": "1", "since": "2026-03-25T10:00"}, "This maintenance would already be over."),
        ({"hours": "1", "since": "9999-12-31T23:59"}, "This is more than a year away."),
        ({"hours": "1", "since": "soon"}, "Enter a valid date/time."),
        ({"workspace": "nowhere", "hours": "1"}, "This workspace is not configured."),
        ({"operation": "77"}, "This import has ended."),
        ({"hours": "1", "note": "x" * 1001}, "Ensure this value has at most 1000 characters"),
    ],
)
def test_impossible_maintenance_is_refused(
    root: Client, data: dict[str, str], message: str
) -> None:
    response = root.post(MUTE, {"workspace": "default"} | data, follow=True)
    [(level, text)] = messages(response)
    assert level == "error"
    assert message in text
    assert not Incident.objects.exists()


def test_acknowledgement_says_how_long_it_lasts(root: Client) -> None:
    incident = make_incident()
    rows = Incident.objects.filter(pk=incident.pk)
    for until, words in (
        (None, "by ada , just now (12:00:00) , until it is over"),
        (NOON + HOUR, "by ada , just now (12:00:00) , until 25 Mar 13:00:00"),
        (NOON, "by ada , just now (12:00:00) ; not since 25 Mar 12:00:00"),
    ):
        rows.acknowledge(by="ada", at=NOON, until=until)
        assert words in page(root.get(change_incident_url(incident))).words


def test_alerts_about_an_import_are_muted_on_its_page_until_it_ends(root: Client) -> None:
    operation = make_import()
    url = change_url(operation)
    assert MUTE in root.get(url).content.decode()
    data = {"workspace": "default", "operation": operation.pk, "next": url}
    response = root.post(MUTE, data, follow=True)
    assert messages(response)[0][1] == "Alerts about this import are muted until it ends."
    incident = Incident.objects.get()
    assert (incident.operation, incident.until) == (operation, None)
    # Not twice.
    assert MUTE not in response.content.decode()
    assert "End now" in page(response).words


def test_page_of_an_import_shows_its_own_incidents_alone(root: Client) -> None:
    first, second = make_import(), make_import(number=1, end_reason="failed", state="error")
    make_incident("import.stalled", operation=first)
    make_incident("import.failed", operation=second)
    make_incident("workspace.unreachable")
    words = page(root.get(change_url(second))).words
    assert "Failed since" in words
    assert "Stalled since" not in words
    assert "Unreachable since" not in words
    assert "Mute alerts" not in words


def test_history_shows_open_incidents_with_the_acknowledged_last(root: Client) -> None:
    assert "open incident" not in page(root.get(HISTORY)).words
    for number in range(7):
        make_incident(workspace=f"w{number}", since=NOON - (number + 1) * HOUR)
    Incident.objects.filter(workspace="w6").acknowledge(by="ada", at=NOON)
    make_incident("maintenance")
    shown = page(root.get(HISTORY))
    assert "7 open incidents , 1 acknowledged, the oldest 7 hours ago" in shown.words
    assert "and 2 more" in shown.words
    linked = [link for link in shown.links if link.startswith(INCIDENTS) and "change" in link]
    assert linked == [change_incident_url(row) for row in Incident.objects.open()[1:6]]
