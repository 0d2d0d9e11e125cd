"""What can be going on when a poll dies: scenes, each with what is told of it."""

from collections.abc import Callable

from importmonitor.choices import Event
from importmonitor.models import (
    Alert,
    ImportOperation,
    ProgressSample,
)
from importmonitor.rocketchat.exceptions import PermissionMissing, Unreachable
from tests.sync.poll_driver import CHANNELS, FEW_SAMPLES, Life


def first_look_at_an_empty_workspace(life: Life) -> None:
    """Nobody has ever looked, and there is nothing to be seen."""


def first_look_at_several(life: Life) -> None:
    """Of three that nobody knows, the last one runs."""
    life.workspace.start_import("csv", seconds=60)
    life.go_on(minutes=10)
    life.workspace.start_import("csv", "failed", seconds=60)
    life.go_on(minutes=10)
    life.workspace.start_import("slack", seconds=3600)
    life.go_on(minutes=20)


def a_first_import(life: Life) -> None:
    life.look()
    life.go_on(minutes=1)
    life.workspace.start_import("csv", seconds=600)
    life.go_on(minutes=2)


def progress(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=5, times=5)
    life.go_on(minutes=5)


def one_that_supersedes_and_one_in_between(life: Life) -> None:
    """One is open, one came and went, one has begun."""
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=5, times=2)
    life.go_on(minutes=1)
    life.workspace.start_import("csv", "failed", seconds=60)
    life.go_on(minutes=2)
    life.workspace.start_import("csv", seconds=600)
    life.go_on(minutes=2)


def a_new_import_where_the_list_is_refused(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.list_refused = PermissionMissing("Not allowed.", permission="view-import-operations")
    life.go_on(minutes=5)


def an_end(life: Life) -> None:
    """With more samples on the way there than are kept."""
    life.look()
    life.workspace.start_import("csv", "done-with-errors", seconds=600)
    life.look(minutes=0.5, times=19)
    assert ProgressSample.objects.count() > FEW_SAMPLES
    life.go_on(minutes=1)


def an_interruption(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=10, times=2)
    life.go_on(minutes=1)
    life.workspace.restart()
    life.go_on(minutes=1)


def a_reopening(life: Life) -> None:
    life.look()
    remote_id = life.workspace.start_import("csv", seconds=60)
    life.look(minutes=2)
    life.workspace.prepare(remote_id)
    life.go_on(minutes=1)


def a_wait(life: Life) -> None:
    life.look()
    life.workspace.start_import("csv", "waiting", seconds=60)
    life.look(minutes=5, times=2)
    life.go_on(minutes=61)


def a_stall(life: Life) -> None:
    life.look()
    life.workspace.start_import("slack", seconds=3600)
    life.look(minutes=20, times=2)
    life.freeze()
    life.look(minutes=5, times=2)
    life.go_on(minutes=5)


def a_resumption(life: Life) -> None:
    a_stall(life)
    life.look()
    assert ImportOperation.objects.exclude(stalled_since=None).exists()
    life.frozen = None
    life.go_on(minutes=1)


def a_stall_that_ends_in_an_interruption(life: Life) -> None:
    a_resumption(life)
    life.workspace.restart()
    life.go_on(minutes=1)


def a_first_failure(life: Life) -> None:
    life.look()
    life.error = Unreachable("Nobody answers.")
    life.go_on(minutes=1)


def failures_past_the_grace(life: Life) -> None:
    a_first_failure(life)
    life.look()
    life.look(minutes=14, times=2)
    life.go_on(minutes=14)


def a_recovery(life: Life) -> None:
    """At the same moment an import is found that failed, and one that runs."""
    failures_past_the_grace(life)
    life.look()
    life.workspace.start_import("csv", "failed", seconds=60)
    life.go_on(minutes=2)
    life.workspace.start_import("csv", seconds=600)
    life.error = None
    life.go_on(minutes=1)


def nothing_new(life: Life) -> None:
    a_first_import(life)
    life.look()
    life.freeze()
    life.go_on(minutes=1)


def alerts_that_are_due(life: Life) -> None:
    """What was to be told could not be delivered, and nothing else is new."""
    life.look()
    life.delivers = False
    life.workspace.start_import("csv", "failed", seconds=60)
    life.look(minutes=2)
    assert Alert.objects.filter(attempts=1, delivered_at=None).count() == len(CHANNELS)
    life.go_on(minutes=2)


def alerts_that_are_due_and_no_answer(life: Life) -> None:
    alerts_that_are_due(life)
    life.error = Unreachable("Nobody answers.")


#: Each with what its poll has to tell.
SCENES: tuple[tuple[Callable[[Life], None], set[Event]], ...] = (
    (one_that_supersedes_and_one_in_between, {Event.STARTED, Event.FAILED, Event.FINISHED}),
    (a_recovery, {Event.RECOVERED, Event.STARTED, Event.FAILED}),
    (first_look_at_several, set()),
    (a_first_import, {Event.STARTED}),
    (an_end, {Event.FINISHED}),
    (a_wait, {Event.WAITING}),
    (an_interruption, {Event.INTERRUPTED}),
    (alerts_that_are_due, set()),
    (a_resumption, {Event.RESUMED}),
    (failures_past_the_grace, {Event.UNREACHABLE}),
    (a_stall_that_ends_in_an_interruption, {Event.INTERRUPTED}),
    (a_stall, {Event.STALLED}),
    (alerts_that_are_due_and_no_answer, set()),
    (a_new_import_where_the_list_is_refused, {Event.STARTED}),
    (a_reopening, set()),
    (progress, set()),
    (a_first_failure, set()),
    (first_look_at_an_empty_workspace, set()),
    (nothing_new, set()),
)
