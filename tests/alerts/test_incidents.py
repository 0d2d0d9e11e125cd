"""Incidents: opened and closed by the poll that sees what causes it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from importmonitor.choices import IncidentKind
from importmonitor.models import Alert, ImportOperation, Incident
from importmonitor.rocketchat.exceptions import Unauthenticated
from importmonitor.sync.incidents import new_incident
from importmonitor.sync.poll import sync_workspace
from importmonitor.sync.reminders import review_incidents
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import PolledWorkspace, configure_channels
from tests.conftest import AUTH_TOKEN, USER_ID
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db


def open_kinds() -> list[str]:
    return [incident.kind for incident in Incident.objects.open()]


@pytest.mark.parametrize(
    ("ending", "kind"), [("failed", "import.failed"), ("restarted", "import.interrupted")]
)
def test_import_that_ends_badly_is_an_incident_until_one_ends_well(
    polled: PolledWorkspace, ending: str, kind: str
) -> None:
    polled.start_import("failed" if ending == "failed" else "done", seconds=600)
    polled.poll(30)
    assert open_kinds() == []
    if ending == "restarted":
        polled.rocketchat.restart()
    polled.poll_for(1200, 300)
    incident = Incident.objects.open().get()
    assert incident.kind == kind
    assert incident.operation == ImportOperation.objects.get()
    assert incident.since == incident.operation.finished_at
    polled.start_import(seconds=60)
    polled.poll(30)
    assert open_kinds() == [kind]
    polled.poll_for(300, 100)
    assert open_kinds() == []
    incident.refresh_from_db()
    assert incident.until is not None
    assert incident.until > incident.since


def test_import_of_another_importer_leaves_an_incident_open(polled: PolledWorkspace) -> None:
    polled.start_import("failed", seconds=60)
    polled.poll_for(300, 30)
    polled.rocketchat.start_import("slack", seconds=60, user=USER_ID)
    polled.poll_for(300, 30)
    assert open_kinds() == ["import.failed"]


def test_stall_is_an_incident_until_the_import_resumes(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import("stuck", seconds=1200, stuck_for=5400)
    polled.poll_for(5400, 300)
    (incident,) = Incident.objects.open()
    assert (incident.kind, incident.first_alert_at is not None) == ("import.stalled", True)
    polled.poll_for(3600, 300)
    assert open_kinds() == []
    stalled, resumed = Alert.objects.filter(incident=incident).order_by("pk")
    assert [stalled.event, resumed.event] == ["import.stalled", "import.resumed"]
    assert stalled.body["incident"]["since"] == incident.since.isoformat()
    assert resumed.body["incident"]["until"] is not None


def test_waiting_import_is_an_incident_until_a_choice_is_made(polled: PolledWorkspace) -> None:
    polled.start_import("waiting")
    polled.poll_for(7200, 600)
    assert open_kinds() == ["import.waiting"]
    (operation_id,) = ImportOperation.objects.values_list("remote_id", flat=True)
    polled.rocketchat.select(operation_id)
    polled.poll_for(120, 60)
    assert open_kinds() == []


@pytest.mark.parametrize("is_incident", [True, False])
def test_import_with_errors_is_an_incident_if_a_setting_says_so(
    polled: PolledWorkspace, settings: Any, is_incident: bool
) -> None:
    outcomes = ["done_with_errors"] if is_incident else []
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"INCIDENT_OUTCOMES": outcomes}
    polled.start_import("done-with-errors", seconds=60)
    polled.poll_for(300, 30)
    assert ImportOperation.objects.get().outcome == "done_with_errors"
    assert open_kinds() == (["import.done_with_errors"] if is_incident else [])


def test_outage_is_one_incident_of_the_kind_of_its_last_error(polled: PolledWorkspace) -> None:
    polled.fail()
    polled.poll_for(240, 60)
    assert open_kinds() == []
    polled.poll_for(120, 60)
    assert open_kinds() == ["workspace.unreachable"]
    polled.fail(Unauthenticated("default: the token is not accepted."))
    polled.poll_for(120, 60)
    incident = Incident.objects.get()
    assert (incident.kind, incident.message) == (
        "workspace.refused",
        "default: the token is not accepted.",
    )
    polled.restore()
    polled.poll(60)
    assert open_kinds() == []


def test_workspace_that_flaps_is_one_incident(polled: PolledWorkspace) -> None:
    for _ in range(5):
        polled.fail()
        polled.poll_for(600, 300)
        polled.restore()
        polled.poll_for(300, 300)
    assert open_kinds() == ["workspace.flapping"]
    assert Incident.objects.count() == 3
    polled.poll_for(4200, 300)
    assert open_kinds() == []


def test_recovery_says_how_long_and_what_imports_did_meanwhile(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import(seconds=7200)
    polled.poll_for(3600, 60)
    polled.fail()
    polled.poll_for(1800, 300)
    polled.restore()
    polled.poll(300)
    sync = recorder.messages[-1].body["sync"]
    assert recorder.events[-1] == "workspace.recovered"
    assert sync["duration_seconds"] == 1800
    (progress,) = sync["progress"]
    assert progress["file"] == "people.csv"
    assert progress["from_percent"] < progress["to_percent"]


def test_workspace_that_nothing_polls_is_an_incident_while_others_are_polled(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    other = {"URL": "http://127.0.0.1:9", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
    workspaces = settings.IMPORTMONITOR["WORKSPACES"] | {"other": other}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": workspaces}
    client: Any = FakeClient(None)

    def poll_other() -> None:
        sync_workspace("other", client=client, now=polled.clock.now)

    def poll_default_alone(minutes: int) -> None:
        for _ in range(minutes):
            polled.poll(60)
            review_incidents(polled.clock.now())

    for _ in range(4):
        poll_other()
        poll_default_alone(1)
    poll_default_alone(8)
    assert open_kinds() == []
    poll_default_alone(4)
    (incident,) = Incident.objects.open()
    assert (incident.workspace, incident.kind) == ("other", "workspace.unpolled")
    assert Alert.objects.filter(incident=incident).count() == 1
    poll_other()
    assert open_kinds() == []
    polled.poll(60)
    assert recorder.events == ["workspace.unpolled", "workspace.recovered"]


def test_pause_of_all_polling_is_no_incident(polled: PolledWorkspace, settings: Any) -> None:
    polled.poll_for(1200, 60)
    polled.clock.advance(86_400)
    assert review_incidents(polled.clock.now()) == 0
    assert open_kinds() == []


def test_two_open_incidents_of_one_kind_and_subject_cannot_be_stored(
    polled: PolledWorkspace,
) -> None:
    since = polled.clock.now()
    first, second = (new_incident(IncidentKind.UNPOLLED, "default", since) for _ in range(2))
    first.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        second.save()
    Incident.objects.close([first], since - timedelta(minutes=1))
    assert first.until == since
    second.save()


def test_incident_is_recorded_without_a_channel(polled: PolledWorkspace, settings: Any) -> None:
    configure_channels(settings, {})
    polled.fail()
    polled.poll_for(600, 60)
    incident = Incident.objects.open().get()
    assert incident.first_alert_at is None
    configure_channels(settings, {"ops": recording()})
    polled.poll(60)
    assert review_incidents(polled.clock.now()) == 0
