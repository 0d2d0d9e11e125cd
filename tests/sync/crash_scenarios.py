"""Situations in which a poll is killed, each with the events that it alerts."""

from collections.abc import Callable

from django.contrib.auth.models import User

from importmonitor.alerts import subscriptions
from importmonitor.choices import Event
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
)
from importmonitor.rocketchat.exceptions import PermissionMissing, Unreachable
from tests.sync.poll_driver import CHANNELS, FEW_SAMPLES, PollDriver


def first_poll_of_an_empty_workspace(driver: PollDriver) -> None:
    """There was no poll and no import."""


def first_poll_of_several_imports(driver: PollDriver) -> None:
    """Three imports are new, and the last one runs."""
    driver.workspace.start_import("csv", seconds=60)
    driver.advance(minutes=10)
    driver.workspace.start_import("csv", "failed", seconds=60)
    driver.advance(minutes=10)
    driver.workspace.start_import("slack", seconds=3600)
    driver.advance(minutes=20)


def first_import(driver: PollDriver) -> None:
    driver.poll()
    driver.advance(minutes=1)
    driver.workspace.start_import("csv", seconds=600)
    driver.advance(minutes=2)


def progress(driver: PollDriver) -> None:
    driver.poll()
    driver.workspace.start_import("slack", seconds=3600)
    driver.poll(minutes=5, times=5)
    driver.advance(minutes=5)


def superseded_import_and_one_between_polls(driver: PollDriver) -> None:
    """One import runs, the second starts and fails, the third starts."""
    driver.poll()
    driver.workspace.start_import("slack", seconds=3600)
    driver.poll(minutes=5, times=2)
    driver.advance(minutes=1)
    driver.workspace.start_import("csv", "failed", seconds=60)
    driver.advance(minutes=2)
    driver.workspace.start_import("csv", seconds=600)
    driver.advance(minutes=2)


def new_import_with_refused_list(driver: PollDriver) -> None:
    driver.poll()
    driver.workspace.start_import("slack", seconds=3600)
    driver.list_refused = PermissionMissing("Not allowed.", permission="view-import-operations")
    driver.advance(minutes=5)


def end(driver: PollDriver) -> None:
    """The import has more samples than are kept."""
    driver.poll()
    driver.workspace.start_import("csv", "done-with-errors", seconds=600)
    driver.poll(minutes=0.5, times=19)
    assert ProgressSample.objects.count() > FEW_SAMPLES
    driver.advance(minutes=1)


def interruption(driver: PollDriver) -> None:
    driver.poll()
    driver.workspace.start_import("slack", seconds=3600)
    # It imports then: one that waits for a selection survives a restart.
    driver.poll(minutes=15, times=2)
    driver.advance(minutes=1)
    driver.workspace.restart()
    driver.advance(minutes=1)


def end_with_subscriber(driver: PollDriver) -> None:
    """A user has asked for an e-mail."""
    driver.poll()
    driver.workspace.start_import("csv", "failed", seconds=600)
    driver.poll(minutes=1)
    subscribe(driver)
    driver.advance(minutes=20)


def correction_for_subscriber(driver: PollDriver) -> None:
    """The interruption, of which no alert was sent, turns out to be a supersession."""
    driver.poll()
    driver.workspace.start_import("slack", seconds=3600)
    driver.poll(minutes=15, times=2)
    subscribe(driver)
    driver.advance(minutes=1)
    driver.workspace.restart()
    driver.poll(minutes=0.5)
    driver.workspace.start_import("csv", seconds=3600)
    driver.advance(minutes=0.5)


def subscribe(driver: PollDriver) -> None:
    user = User.objects.create(username="ada", is_superuser=True)
    # KillableEmail has the channel from there.
    User.objects.filter(pk=user.pk).update(email=f"{user.pk}@example.org")
    assert subscriptions.subscribe(user, ImportOperation.objects.get(), driver.now)


def reopening(driver: PollDriver) -> None:
    driver.poll()
    remote_id = driver.workspace.start_import("csv", seconds=60)
    driver.poll(minutes=2)
    driver.workspace.prepare(remote_id)
    driver.advance(minutes=1)


def wait_for_input(driver: PollDriver) -> None:
    driver.poll()
    driver.workspace.start_import("csv", "waiting", seconds=60)
    driver.poll(minutes=5, times=2)
    driver.advance(minutes=61)


def stall(driver: PollDriver) -> None:
    driver.poll()
    driver.workspace.start_import("slack", seconds=6 * 3600)
    driver.poll(minutes=120, times=2)
    driver.freeze()
    # Messages are counted every 500: the threshold is an hour.
    driver.poll(minutes=5, times=11)
    driver.advance(minutes=5)


def resumption(driver: PollDriver) -> None:
    stall(driver)
    driver.poll()
    assert ImportOperation.objects.exclude(stalled_since=None).exists()
    driver.frozen = None
    driver.advance(minutes=1)


def interruption_of_a_stalled_import(driver: PollDriver) -> None:
    resumption(driver)
    driver.workspace.restart()
    driver.advance(minutes=1)


def first_failed_poll(driver: PollDriver) -> None:
    driver.poll()
    driver.error = Unreachable("No response.")
    driver.advance(minutes=1)


def long_outage(driver: PollDriver) -> None:
    first_failed_poll(driver)
    driver.poll()
    driver.poll(minutes=14, times=2)
    driver.advance(minutes=14)


def recovery(driver: PollDriver) -> None:
    """The same poll finds an import that failed, and one that runs."""
    long_outage(driver)
    driver.poll()
    driver.workspace.start_import("csv", "failed", seconds=60)
    driver.advance(minutes=2)
    driver.workspace.start_import("csv", seconds=600)
    driver.error = None
    driver.advance(minutes=1)


def no_change(driver: PollDriver) -> None:
    first_import(driver)
    driver.poll()
    driver.freeze()
    driver.advance(minutes=1)


def due_alerts(driver: PollDriver) -> None:
    """Alerts could not be delivered, and nothing else is new."""
    driver.poll()
    driver.delivers = False
    driver.workspace.start_import("csv", "failed", seconds=60)
    driver.poll(minutes=2)
    assert Alert.objects.filter(attempts=1, delivered_at=None).count() == len(CHANNELS)
    driver.advance(minutes=2)


def due_alerts_and_failed_poll(driver: PollDriver) -> None:
    due_alerts(driver)
    driver.error = Unreachable("No response.")


#: Each with the events that its poll alerts.
SCENARIOS: tuple[tuple[Callable[[PollDriver], None], set[Event]], ...] = (
    (superseded_import_and_one_between_polls, {Event.STARTED, Event.FAILED, Event.FINISHED}),
    (recovery, {Event.RECOVERED, Event.STARTED, Event.FAILED}),
    (first_poll_of_several_imports, set()),
    (first_import, {Event.STARTED}),
    (end, {Event.FINISHED}),
    (wait_for_input, {Event.WAITING}),
    (interruption, {Event.INTERRUPTED}),
    (due_alerts, set()),
    (resumption, {Event.RESUMED}),
    (long_outage, {Event.UNREACHABLE}),
    (interruption_of_a_stalled_import, {Event.INTERRUPTED}),
    (end_with_subscriber, {Event.FAILED}),
    (correction_for_subscriber, {Event.FINISHED, Event.STARTED}),
    (stall, {Event.STALLED}),
    (due_alerts_and_failed_poll, set()),
    (new_import_with_refused_list, {Event.STARTED}),
    (reopening, set()),
    (progress, set()),
    (first_failed_poll, set()),
    (first_poll_of_an_empty_workspace, set()),
    (no_change, set()),
)
