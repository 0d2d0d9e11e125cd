"""Reminders of what is still open, and what acknowledging and maintenance do to alerts."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor.models import Alert, ImportOperation, Incident
from importmonitor.sync.reminders import review_and_deliver, review_incidents
from tests.alerts.backends import Recorder, recording
from tests.alerts.helpers import PolledWorkspace, configure_channels

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def reminded(polled: PolledWorkspace, recorder: Recorder, settings: Any) -> PolledWorkspace:
    """A workspace whose polls have failed for ten minutes, and a channel with reminders."""
    configure_channels(settings, {"ops": recording(REMIND_EVERY=DAY)})
    polled.fail()
    polled.poll_for(600, 60)
    assert recorder.events == ["workspace.unreachable"]
    return polled


def pass_time(polled: PolledWorkspace, hours: float, every: float = 1) -> None:
    """Poll, and review the incidents, at intervals for some hours."""
    for _ in range(round(hours / every)):
        polled.poll(every * 3600)
        review_and_deliver(polled.clock.now)


def reminders(recorder: Recorder) -> list[int]:
    return [message.body["incident"]["reminder"] for message in recorder.messages]


def test_open_incident_is_repeated_until_it_is_over(
    reminded: PolledWorkspace, recorder: Recorder
) -> None:
    pass_time(reminded, 23)
    assert reminders(recorder) == [0]
    pass_time(reminded, 50)
    assert reminders(recorder) == [0, 1, 2, 3]
    assert {message.body["incident"]["id"] for message in recorder.messages} == {
        Incident.objects.get().pk
    }
    reminded.restore()
    pass_time(reminded, 50)
    assert recorder.events[4:] == ["workspace.recovered"]


def test_pause_of_the_monitor_is_one_reminder(
    reminded: PolledWorkspace, recorder: Recorder
) -> None:
    reminded.clock.advance(5.5 * 86_400)
    review_and_deliver(reminded.clock.now)
    review_and_deliver(reminded.clock.now)
    assert reminders(recorder) == [0, 5]
    pass_time(reminded, 12)
    assert reminders(recorder) == [0, 5, 6]


def test_channels_are_reminded_at_their_own_intervals(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    channels = {
        "hourly": recording("hourly", REMIND_EVERY=timedelta(hours=6)),
        "daily": recording("daily", REMIND_EVERY=DAY),
        "once": recording("once"),
    }
    configure_channels(settings, channels)
    polled.start_import("failed", seconds=60)
    polled.poll_for(300, 30)
    recorder.delivered.clear()
    pass_time(polled, 26)
    assert [
        (name, message.body["incident"]["reminder"]) for name, message in recorder.delivered
    ] == [
        ("hourly", 1),
        ("hourly", 2),
        ("hourly", 3),
        ("hourly", 4),
        ("daily", 1),
    ]


def test_incident_from_before_the_reminders_were_configured_is_repeated(
    polled: PolledWorkspace, recorder: Recorder, settings: Any
) -> None:
    polled.fail()
    pass_time(polled, 30)
    assert reminders(recorder) == [0]
    configure_channels(settings, {"ops": recording(REMIND_EVERY=DAY)})
    pass_time(polled, 30)
    assert reminders(recorder) == [0, 1, 2]
    Incident.objects.acknowledge(by="ada", at=polled.clock.now())
    pass_time(polled, 30)
    assert reminders(recorder) == [0, 1, 2]


def test_acknowledged_stall_that_becomes_an_interruption_is_alerted(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import("stuck", seconds=1200, stuck_for=14 * 3600)
    pass_time(polled, 2, every=0.25)
    assert Incident.objects.acknowledge(by="ada", at=polled.clock.now()) == 1
    polled.rocketchat.restart()
    pass_time(polled, 1, every=0.25)
    assert recorder.events == ["import.started", "import.stalled", "import.interrupted"]
    assert not Incident.objects.open().get().is_acknowledged(polled.clock.now())


def test_reminder_that_is_outdated_when_the_channel_works_is_not_sent(
    reminded: PolledWorkspace, recorder: Recorder
) -> None:
    recorder.fail(ConnectionRefusedError())
    pass_time(reminded, 25)
    assert Alert.objects.filter(delivered_at=None).count() == 1
    recorder.restore()
    reminded.restore()
    pass_time(reminded, 2)
    assert recorder.events == ["workspace.unreachable", "workspace.recovered"]
    assert not Alert.objects.filter(delivered_at=None).exists()


@pytest.mark.parametrize("until_hours", [None, 30])
def test_acknowledged_incident_is_not_repeated(
    reminded: PolledWorkspace, recorder: Recorder, until_hours: int | None
) -> None:
    now = reminded.clock.now()
    until = None if until_hours is None else now + timedelta(hours=until_hours)
    count = Incident.objects.acknowledge(by="ada", at=now, until=until, note="The disk is full.")
    assert count == 1
    incident = Incident.objects.get()
    assert (incident.acknowledged_by, incident.note) == ("ada", "The disk is full.")
    assert incident.is_open
    pass_time(reminded, 29)
    assert reminders(recorder) == [0]
    pass_time(reminded, 25)
    assert reminders(recorder) == ([0] if until is None else [0, 1, 2])
    reminded.restore()
    pass_time(reminded, 1)
    assert recorder.events[-1] == "workspace.recovered"


def test_acknowledging_an_import_that_has_ended_closes_its_incident(
    polled: PolledWorkspace,
) -> None:
    polled.start_import("failed", seconds=60)
    polled.poll_for(300, 30)
    now = polled.clock.now()
    Incident.objects.acknowledge(by="ada", at=now, until=now + DAY)
    assert Incident.objects.get().is_open
    Incident.objects.acknowledge(by="ada", at=now)
    assert Incident.objects.get().until == now


def test_planned_maintenance_keeps_a_restart_quiet(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    now = polled.clock.now()
    start, end = now + timedelta(hours=1), now + timedelta(hours=3)
    Incident.objects.mute("default", since=start, until=end, by="ada", at=now, note="Restart")
    pass_time(polled, 1.1, every=0.1)
    polled.fail()
    pass_time(polled, 1, every=0.1)
    assert Incident.objects.open().count() == 1
    polled.restore()
    pass_time(polled, 2, every=0.1)
    assert recorder.events == []
    assert not Alert.objects.exists()


def test_what_is_not_over_after_maintenance_is_alerted_then(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    now = polled.clock.now()
    end = now + timedelta(hours=2)
    Incident.objects.mute("default", since=now, until=end, by="ada", at=now)
    polled.start_import("failed", seconds=60)
    pass_time(polled, 0.5, every=0.05)
    polled.fail()
    pass_time(polled, 1, every=0.1)
    assert recorder.events == []
    pass_time(polled, 1, every=0.1)
    assert sorted(recorder.events) == ["import.failed", "workspace.unreachable"]
    polled.restore()
    polled.poll(60)
    assert recorder.events[2:] == ["workspace.recovered"]


def test_maintenance_of_an_import_lasts_until_its_end(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    polled.start_import("stuck", seconds=1200, stuck_for=5400)
    polled.poll(60)
    now, operation = polled.clock.now(), ImportOperation.objects.get()
    Incident.objects.mute("default", operation=operation, since=now, until=None, by="ada", at=now)
    pass_time(polled, 3, every=0.1)
    assert recorder.events == ["import.started", "import.finished"]
    assert not Incident.objects.filter(until=None).exists()


def test_ending_maintenance_early_releases_what_it_held_back(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    now = polled.clock.now()
    Incident.objects.mute("default", since=now, until=now + DAY, by="ada", at=now)
    Incident.objects.mute("default", since=now + DAY, until=now + 2 * DAY, by="ada", at=now)
    polled.fail()
    polled.poll_for(600, 60)
    assert review_incidents(polled.clock.now()) == 0
    assert Incident.objects.unmute("default", polled.clock.now()) == 2
    pass_time(polled, 0.1, every=0.1)
    assert recorder.events == ["workspace.unreachable"]
    assert Incident.objects.filter(kind="maintenance").count() == 1


def test_ending_maintenance_without_an_end_releases_what_it_held_back(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    now = polled.clock.now()
    polled.fail()
    Incident.objects.mute("default", since=now, until=None, by="ada", at=now)
    pass_time(polled, 1, every=0.1)
    assert recorder.events == []
    # One row of maintenance can be ended by itself.
    maintenance = Incident.objects.filter(kind="maintenance")
    assert maintenance.unmute("default", polled.clock.now()) == 1
    pass_time(polled, 0.1, every=0.1)
    assert recorder.events == ["workspace.unreachable"]
