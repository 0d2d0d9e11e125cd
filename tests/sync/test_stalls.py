"""Stalls: found once, and only by time in which the workspace could be polled."""

from datetime import timedelta
from typing import Any

import pytest

from importmonitor import conf
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from importmonitor.models import Workspace as Monitored
from importmonitor.rocketchat.exceptions import Unreachable
from importmonitor.sync.poll import sync_workspace
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

MINUTE = 60.0
STUCK_AT = 300.0


@pytest.fixture
def rocketchat(workspace: Workspace) -> Workspace:
    """A workspace that is polled by a fake client: these tests poll often."""
    return workspace


@pytest.fixture
def stuck(rocketchat: Workspace) -> Workspace:
    """An import that makes no progress for two hours after its first five minutes."""
    rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=7200, records=4000)
    return rocketchat


def poll(rocketchat: Workspace, *, every: float, times: int = 1) -> ImportOperation:
    client: Any = FakeClient(rocketchat)
    if rocketchat.outage:
        client.error = Unreachable("down")
    for _ in range(times):
        rocketchat.clock.advance(every)
        sync_workspace("default", client=client, now=rocketchat.clock.now)
    return ImportOperation.objects.get()


def reasons() -> list[str]:
    transitions = StatusTransition.objects.filter(reason__in=["stalled", "resumed"])
    return [str(transition.reason) for transition in transitions.order_by("pk")]


def poll_until_stuck(rocketchat: Workspace) -> ImportOperation:
    """Poll every minute until the import makes no progress."""
    before = poll(rocketchat, every=MINUTE)
    while True:
        after = poll(rocketchat, every=MINUTE)
        if after.state == "importing" and after.last_progress_at == before.last_progress_at:
            return after
        before = after


def test_import_stalls_and_resumes_once_each(stuck: Workspace) -> None:
    idle = poll_until_stuck(stuck)
    poll(stuck, every=MINUTE, times=12)
    assert reasons() == []
    operation = poll(stuck, every=MINUTE, times=3)
    assert reasons() == ["stalled"]
    assert operation.stalled_since == idle.last_progress_at
    poll(stuck, every=5 * MINUTE, times=12)
    assert reasons() == ["stalled"]
    operation = poll(stuck, every=5 * MINUTE, times=10)
    assert reasons() == ["stalled", "resumed"]
    assert operation.stalled_since is None
    operation = poll(stuck, every=5 * MINUTE, times=4)
    assert operation.state == "done"
    assert reasons() == ["stalled", "resumed"]


def test_outage_does_not_count_towards_a_stall(stuck: Workspace) -> None:
    poll_until_stuck(stuck)
    poll(stuck, every=MINUTE, times=10)
    stuck.outage = 503
    poll(stuck, every=MINUTE, times=30)
    stuck.outage = None
    poll(stuck, every=MINUTE, times=3)
    assert reasons() == []
    poll(stuck, every=MINUTE, times=3)
    assert reasons() == ["stalled"]


def test_first_poll_after_a_pause_finds_no_stall(stuck: Workspace) -> None:
    poll_until_stuck(stuck)
    poll(stuck, every=3600)
    assert reasons() == []
    poll(stuck, every=MINUTE, times=7)
    assert reasons() == ["stalled"]


def test_rare_polls_find_a_stall_at_the_second(rocketchat: Workspace) -> None:
    rocketchat.start_import("slack", "stuck", seconds=600, stuck_for=20_000, records=4000)
    poll(rocketchat, every=400)
    assert poll(rocketchat, every=3600).state == "importing"
    assert reasons() == []
    poll(rocketchat, every=3600)
    assert reasons() == ["stalled"]


def test_stall_threshold_depends_on_the_state(stuck: Workspace, settings: Any) -> None:
    thresholds = {"importing": timedelta(hours=1), "loading": timedelta(minutes=5)}
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"STALLED_AFTER": thresholds}
    poll_until_stuck(stuck)
    poll(stuck, every=2 * MINUTE, times=27)
    assert reasons() == []
    poll(stuck, every=2 * MINUTE, times=3)
    assert reasons() == ["stalled"]


def test_stalled_import_that_ends_has_not_resumed(stuck: Workspace) -> None:
    poll_until_stuck(stuck)
    poll(stuck, every=MINUTE, times=20)
    stuck.restart()
    operation = poll(stuck, every=MINUTE)
    assert operation.end_reason == "interrupted"
    assert operation.stalled_since is None
    assert reasons() == ["stalled"]


def test_waiting_import_does_not_stall(rocketchat: Workspace) -> None:
    rocketchat.start_import("csv", "waiting", seconds=60)
    operation = poll(rocketchat, every=5 * MINUTE, times=11)
    assert (operation.state, operation.waiting_since) == ("ready", None)
    operation = poll(rocketchat, every=5 * MINUTE, times=3)
    assert operation.waiting_since == operation.last_progress_at
    assert reasons() == []
    rocketchat.select(operation.remote_id)
    operation = poll(rocketchat, every=1)
    assert operation.waiting_since is None


def test_polls_of_a_stalled_import_add_no_rows(stuck: Workspace) -> None:
    """A poll of a stalled import only counts in its period."""
    poll_until_stuck(stuck)
    poll(stuck, every=MINUTE, times=16)
    before = (StatusTransition.objects.count(), ProgressSample.objects.count())
    polls = Monitored.objects.get().period_polls
    poll(stuck, every=MINUTE, times=20)
    assert (StatusTransition.objects.count(), ProgressSample.objects.count()) == before
    assert Monitored.objects.get().period_polls == polls + 20


def test_uploaded_file_waits_and_does_not_stall(rocketchat: Workspace) -> None:
    document = {
        "_id": "A" * 17,
        "importerKey": "csv",
        "ts": rocketchat.clock.now().isoformat(),
        "status": "importer_file_loaded",
        "valid": True,
    }
    rocketchat.put_operation(document)
    operation = poll(rocketchat, every=5 * MINUTE, times=11)
    assert reasons() == []
    assert operation.waiting_since is None
    operation = poll(rocketchat, every=5 * MINUTE, times=3)
    assert operation.waiting_since == operation.last_progress_at


@pytest.mark.parametrize(
    ("importer", "status", "rate", "minutes"),
    [
        ("csv", "importer_preparing_users", None, 15),
        ("csv", "importer_importing_users", None, 30),
        ("csv", "importer_importing_messages", None, 60),
        # At ten a second, 500 take fifty seconds.
        ("csv", "importer_importing_messages", 10.0, 15),
        ("csv", "importer_importing_messages", 1.0, 500 / 15),
        ("csv", "importer_importing_messages", 0.01, 60),
        ("csv", "importer_finishing", None, 15),
        ("pending-files", "importer_importing_files", 10.0, 360),
        ("csv", "importer_file_loaded", None, None),
        ("csv", "importer_user_selection", None, None),
    ],
)
def test_threshold_fits_the_counters(
    importer: str, status: str, rate: float | None, minutes: float | None
) -> None:
    threshold = conf.get_options().stalled_after.threshold(importer, status, rate)
    expected = None if minutes is None else pytest.approx(minutes * 60)
    assert (threshold and threshold.total_seconds()) == expected


def test_threshold_can_be_set_by_importer_step_and_state(settings: Any) -> None:
    thresholds = {
        "pending-files": timedelta(hours=1),
        "importer_importing_messages": timedelta(hours=2),
        "importing": timedelta(hours=3),
    }
    settings.IMPORTMONITOR = settings.IMPORTMONITOR | {"STALLED_AFTER": thresholds}
    stalled_after = conf.get_options().stalled_after
    assert [
        stalled_after.threshold(importer, f"importer_{step}", 10.0)
        for importer, step in (
            ("pending-files", "importing_files"),
            ("csv", "importing_messages"),
            ("csv", "importing_users"),
            ("csv", "preparing_users"),
        )
    ] == [*thresholds.values(), timedelta(minutes=15)]
