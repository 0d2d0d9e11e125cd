"""An interruption that turns out to be a supersession."""

from typing import Any

import pytest

from importmonitor.models import Alert, ImportOperation
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace

pytestmark = pytest.mark.django_db

ENDS = ("import.finished", "import.failed", "import.interrupted")


@pytest.fixture(autouse=True)
def channel(rocketchat: Workspace, settings: Any) -> None:
    channel = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}
    settings.IMPORTMONITOR |= {"CHANNELS": {"ops": channel}}


def poll(rocketchat: Workspace, *pauses: float) -> None:
    for pause in pauses:
        rocketchat.clock.advance(pause)
        sync_workspace("default", now=rocketchat.clock.now)


def ends() -> list[tuple[str, str]]:
    """Return the events and outcomes of the alerts about ends."""
    alerts = Alert.objects.filter(event__in=ENDS).order_by("pk")
    return [(alert.event, alert.body["operation"]["outcome"]) for alert in alerts]


def test_supersession_is_alerted_once_as_what_it_is(rocketchat: Workspace) -> None:
    """Between invalidating the old operation and inserting the new one, a poll sees it invalid."""
    poll(rocketchat, 0, 60)
    rocketchat.start_import("csv", seconds=1800, records=9000)
    poll(rocketchat, *[60] * 15)
    rocketchat.start_import("csv", seconds=600, insert_after=30)
    poll(rocketchat, 10)
    assert ImportOperation.objects.get().outcome == "interrupted"
    assert ends() == [("import.interrupted", "interrupted")]
    poll(rocketchat, 60, 60, 60, 60)
    assert ImportOperation.objects.earliest("started_at").outcome == "superseded"
    assert ends() == [("import.finished", "superseded")]


def test_interruption_is_alerted_after_the_pause(
    rocketchat: Workspace,
    mailoutbox: list[Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    poll(rocketchat, 0, 60)
    rocketchat.start_import("csv", seconds=1800, records=9000)
    poll(rocketchat, *[60] * 15)
    rocketchat.restart()
    with django_capture_on_commit_callbacks(execute=True):
        poll(rocketchat, 10)
    assert not any("interrupted" in mail.subject for mail in mailoutbox)
    with django_capture_on_commit_callbacks(execute=True):
        poll(rocketchat, 60, 60)
    assert sum("interrupted" in mail.subject for mail in mailoutbox) == 1
    # Whatever starts later is no reason to correct it.
    rocketchat.start_import("csv", seconds=600)
    poll(rocketchat, 60, 60)
    assert ends() == [("import.interrupted", "interrupted")]


def test_old_interruption_is_alerted_at_once(
    rocketchat: Workspace,
    mailoutbox: list[Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    poll(rocketchat, 0, 60)
    rocketchat.start_import("csv", seconds=1800, records=9000)
    poll(rocketchat, *[60] * 15)
    rocketchat.restart()
    with django_capture_on_commit_callbacks(execute=True):
        poll(rocketchat, 300)
    assert sum("interrupted" in mail.subject for mail in mailoutbox) == 1
