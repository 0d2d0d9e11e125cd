"""The order of alerts: by subject, oldest first, workspaces in turn, outages in one message."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import TestCase

from importmonitor.alerts import outbox
from importmonitor.alerts.channels import Undelivered
from importmonitor.alerts.drafts import draft_workspace_alert
from importmonitor.choices import Event
from importmonitor.models import Alert
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import poll_workspace, sync_workspace
from simulator.clock import Clock
from tests.alerts.backends import Recorder, Recording, recording
from tests.alerts.helpers import PolledWorkspace, configure_channels, deliver, write_alerts
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

MINUTE = 60.0


def write(
    clock: Clock,
    event: Event = Event.UNREACHABLE,
    workspace: str = "default",
    since: float = 0.0,
    key: str = "",
) -> None:
    """Write an alert about a workspace that was unreachable for some seconds."""
    now = clock.now()
    draft = draft_workspace_alert(
        event,
        WorkspaceRow(alias=workspace),
        at=now,
        since=now - timedelta(seconds=since),
        outcome="Unreachable",
        message="no answer",
    )
    outbox.write([replace(draft, key=key) if key else draft], now)


def test_alerts_about_an_import_keep_their_order(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    recorder.fail(Undelivered("no"))
    polled.start_import("failed", seconds=60)
    polled.poll()
    polled.poll(after=300)
    recorder.restore()
    polled.poll_for(3600, 60)
    assert recorder.events == ["import.started", "import.failed"]


def test_everything_of_an_outage_of_both_is_told_once_it_is_over(
    polled: PolledWorkspace, recorder: Recorder
) -> None:
    """Rocket.Chat and the channel are behind the same uplink, which is down for 45 minutes."""
    recorder.fail(Undelivered("no"))
    polled.fail()
    polled.poll_for(45 * 60, 60)
    polled.restore()
    recorder.restore()
    polled.poll(after=60)
    assert recorder.events == ["workspace.recovered"]
    (message,) = recorder.messages
    assert "Since: 2026-01-05 09:01:01 UTC" in message.text
    assert "Until: 2026-01-05 09:46:01 UTC" in message.text
    polled.poll_for(7200, 60)
    assert len(recorder.messages) == 1
    assert not Alert.objects.filter(delivered_at=None).exists()


def test_restored_channel_gets_the_oldest_first(clock: Clock, recorder: Recorder) -> None:
    recorder.fail(Undelivered("no"))
    for number in range(4):
        write(clock, workspace=f"w{number}")
        deliver(clock, after=20 * MINUTE)
    recorder.restore()
    write(clock, workspace="new")
    assert deliver(clock) == 5
    workspaces = [message.body["workspace"] for message in recorder.messages]
    assert workspaces == ["w0", "w1", "w2", "w3", "new"]


def test_message_that_is_always_refused_delays_no_other_subject(
    clock: Clock, recorder: Recorder
) -> None:
    write(clock, workspace="refused")

    def refuse() -> None:
        if recorder.attempted[-1][1].body["workspace"] == "refused":
            raise Undelivered("HTTP status 400")

    recorder.on_send["ops"] = refuse
    deliver(clock)
    for number in range(3):
        clock.advance(3 * MINUTE)
        write(clock, workspace=f"w{number}")
        assert deliver(clock) == 1


def test_workspaces_take_turns(clock: Clock, recorder: Recorder) -> None:
    """A workspace with many alerts does not hold up another's."""
    write_alerts(clock, *(f"busy{number}" for number in range(5)), workspace="busy")
    clock.advance(5 * MINUTE)
    write_alerts(clock, "quiet", workspace="quiet")
    deliver(clock)
    workspaces = [message.body["workspace"] for message in recorder.messages]
    assert workspaces[:2] == ["busy", "quiet"]
    assert len(workspaces) == 6


@pytest.mark.parametrize(("count", "messages"), [(10, 10), (11, 1)])
def test_more_than_ten_alerts_of_one_poll_are_one_message(
    polled: PolledWorkspace, recorder: Recorder, count: int, messages: int
) -> None:
    at = polled.clock.now()
    polled.start_import()
    recorder.fail(Undelivered("no"))
    polled.poll()
    alert = Alert.objects.get()
    alert.delete()
    Alert.objects.bulk_create(
        Alert(
            event=alert.event,
            workspace="default",
            transition=alert.transition,
            operation=alert.operation if number == 0 else None,
            channel="ops",
            key=f"key{number}",
            body=alert.body | {"idempotency_key": f"key{number}"},
            created_at=at,
            next_attempt_at=at,
        )
        for number in range(count)
    )
    recorder.restore()
    deliver(polled.clock)
    assert len(recorder.messages) == messages
    if messages == 1:
        (message,) = recorder.messages
        assert message.title == "default: 11 alerts"
        assert message.body["event"] == "group"
        assert len(message.body["alerts"]) == 11
        assert message.text.count("Import started") == 11
    assert not Alert.objects.filter(delivered_at=None).exists()


class Fleet:
    """Workspaces that are polled every minute by one process."""

    def __init__(self, settings: Any, clock: Clock, count: int) -> None:
        self.clock = clock
        self.aliases = [f"w{number:02}" for number in range(count)]
        self.clients = {alias: FakeClient(None) for alias in self.aliases}
        workspaces = {
            alias: {"URL": "http://127.0.0.1:9", "USER_ID": USER_ID, "AUTH_TOKEN": AUTH_TOKEN}
            for alias in self.aliases
        }
        settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"WORKSPACES": workspaces}

    def poll(self, minutes: int = 1, *, down: bool = False, only: int | None = None) -> None:
        for _ in range(minutes):
            self.clock.advance(MINUTE - len(self.aliases))
            for alias in self.aliases[:only]:
                self.clock.advance(1)
                client: Any = self.clients[alias]
                client.error = Unreachable(f"{alias}: no answer.") if down else None
                with TestCase.captureOnCommitCallbacks(execute=True):
                    sync_workspace(alias, client=client, now=self.clock.now)


@pytest.fixture
def fleet(settings: Any, clock: Clock, recorder: Recorder) -> Fleet:
    fleet = Fleet(settings, clock, 6)
    configure_channels(settings, {"ops": recording()})
    fleet.poll(3)
    return fleet


def test_outage_of_many_workspaces_is_one_message(fleet: Fleet, recorder: Recorder) -> None:
    fleet.poll(9, down=True)
    (message,) = recorder.messages
    assert message.title == "6 workspaces unreachable since 09:03"
    assert message.body["event"] == "workspace.unreachable"
    assert [body["workspace"] for body in message.body["alerts"]] == fleet.aliases
    assert "w04: since " in message.text
    fleet.poll(10)
    assert len(recorder.messages) == 2
    assert recorder.messages[1].title == "6 workspaces reachable again"
    assert recorder.messages[1].text.count(": from ") == 6


def test_outage_of_one_workspace_is_told_at_once(fleet: Fleet, recorder: Recorder) -> None:
    fleet.aliases = fleet.aliases[:1]
    fleet.poll(5, down=True)
    assert recorder.messages == []
    fleet.poll(1, down=True)
    assert [message.title for message in recorder.messages] == ["w00: Workspace unreachable"]


def test_outage_behind_a_channel_that_is_down_is_one_message(
    fleet: Fleet, recorder: Recorder
) -> None:
    recorder.fail(Undelivered("no"))
    fleet.poll(45, down=True)
    recorder.restore()
    fleet.poll(5)
    assert [message.title for message in recorder.messages] == ["6 workspaces reachable again"]
    assert not Alert.objects.filter(delivered_at=None).exists()


def test_link_that_flaps_for_hours_is_told_once_as_flapping(
    fleet: Fleet, recorder: Recorder
) -> None:
    fleet.aliases = fleet.aliases[:1]
    for _ in range(20):
        fleet.poll(6, down=True)
        fleet.poll(2)
    assert recorder.events == [
        *("workspace.unreachable", "workspace.recovered") * 2,
        "workspace.unreachable",
    ]
    assert "flapping" in recorder.messages[-1].title
    fleet.poll(57)
    assert len(recorder.messages) == 5
    fleet.poll(5)
    assert recorder.events[5:] == ["workspace.recovered"]
    assert WorkspaceRow.objects.get(alias="w00").flapping_since is None


def test_lasting_outage_of_a_flapping_workspace_is_told(fleet: Fleet, recorder: Recorder) -> None:
    fleet.aliases = fleet.aliases[:1]
    for _ in range(5):
        fleet.poll(6, down=True)
        fleet.poll(2)
    assert len(recorder.messages) == 5
    fleet.poll(59, down=True)
    assert len(recorder.messages) == 5
    fleet.poll(5, down=True)
    fleet.poll(2)
    assert recorder.events[5:] == ["workspace.unreachable", "workspace.recovered"]


def test_late_message_says_how_late_it_is(clock: Clock, recorder: Recorder) -> None:
    write(clock)
    recorder.fail(Undelivered("no"))
    deliver(clock)
    recorder.restore()
    deliver(clock, after=90 * MINUTE)
    assert recorder.messages[0].title == "default: Workspace unreachable, 1 h 30 min ago"


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=1)])
def test_attempt_that_failed_in_the_future_is_repeated(
    clock: Clock, recorder: Recorder, ahead: timedelta
) -> None:
    """Our clock was ahead at boot, and then stepped back."""
    clock.advance(ahead.total_seconds())
    write(clock)
    recorder.fail(Undelivered("no"))
    deliver(clock)
    recorder.restore()
    assert deliver(Clock(MONDAY), after=MINUTE) == 1


@pytest.mark.parametrize("offset", [-600, 600])
def test_host_with_another_clock_does_not_deliver_what_is_being_delivered(
    clock: Clock, recorder: Recorder, offset: float
) -> None:
    write(clock)
    other = Clock(clock.now() + timedelta(seconds=offset))
    counts: list[int] = []

    def deliver_elsewhere() -> None:
        recorder.restore()
        counts.append(outbox.deliver(now=other.now))

    recorder.on_send["ops"] = deliver_elsewhere
    assert deliver(clock) == 1
    assert counts == [0]
    assert len(recorder.messages) == 1


def test_retry_during_a_delivery_sends_nothing_twice(clock: Clock, recorder: Recorder) -> None:
    write(clock)
    results: list[tuple[int, int]] = []

    def click() -> None:
        results.extend(outbox.retry(Alert.objects.all(), now=clock.now) for _ in range(4))

    recorder.on_send["ops"] = click
    assert deliver(clock) == 1
    assert results == [(0, 0)] * 4
    assert len(recorder.attempted) == 1


def test_outage_of_everything_is_probably_the_monitors_own(
    fleet: Fleet, recorder: Recorder
) -> None:
    down = fleet.aliases[:3]
    fleet.poll(9, down=True, only=3)
    # The others are polled no more, and their last poll was good.
    assert [message.title[:26] for message in recorder.messages] == ["3 workspaces unreachable s"]
    assert "own network" not in recorder.messages[0].text
    assert [body["workspace"] for body in recorder.messages[0].body["alerts"]] == down
    fleet.poll(3)
    fleet.poll(9, down=True)
    assert "probably it is the monitor's own network" in recorder.messages[-1].text


def test_same_event_of_several_imports_is_one_message_but_for_hooks(
    fleet: Fleet, recorder: Recorder, settings: Any
) -> None:
    hook = recording("hook") | {"BACKEND": f"{__name__}.OneByOne"}
    configure_channels(settings, {"ops": recording(), "hook": hook})
    running = {
        "_id": "a" * 24,
        "importerKey": "csv",
        "valid": True,
        "_updatedAt": MONDAY.isoformat(),
    }
    for fake in fleet.clients.values():
        fake.source = running | {"status": "importer_importing_messages"}
    fleet.poll(1)
    recorder.delivered.clear()
    for fake in fleet.clients.values():
        fake.source = running | {"status": "importer_import_failed"}
    for alias in fleet.aliases:
        client: Any = fleet.clients[alias]
        poll_workspace(alias, client=client, now=fleet.clock.now)
    deliver(fleet.clock)
    titles = [message.title for name, message in recorder.delivered if name == "ops"]
    assert titles == ["Import failed: 6 imports"]
    assert len([name for name, _message in recorder.delivered if name == "hook"]) == 6


class OneByOne(Recording):
    can_group = False
