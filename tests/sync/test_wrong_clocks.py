"""Our own clock was ahead, or stands still while the machine sleeps: nothing lasts too long."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from importmonitor.choices import Event
from importmonitor.models import Alert, Freshness
from importmonitor.models import Workspace as WorkspaceRow
from importmonitor.rocketchat.exceptions import RateLimited, RocketChatError, Unreachable
from importmonitor.sync.lease import Lease
from importmonitor.sync.poll import SyncResult, sync_workspace
from simulator.clock import Clock
from simulator.workspace import Workspace
from tests.fake_client import FakeClient

pytestmark = pytest.mark.django_db

AHEAD = [timedelta(minutes=11), timedelta(hours=2), timedelta(days=1), timedelta(days=400)]
MINUTE = timedelta(minutes=1)
CHANNEL = {"BACKEND": "importmonitor.alerts.channels.EmailChannel", "TO": ["ops@example.org"]}


@pytest.fixture(autouse=True)
def _channels(settings: Any) -> None:
    settings.IMPORTMONITOR = {**settings.IMPORTMONITOR, "CHANNELS": {"ops": CHANNEL}}


def poll(workspace: Workspace, at: datetime, error: RocketChatError | None = None) -> SyncResult:
    client: Any = FakeClient(workspace)
    client.error = error
    return sync_workspace("default", client=client, now=lambda: at)


def events() -> list[str]:
    return list(Alert.objects.order_by("pk").values_list("event", flat=True))


def poll_by_date(workspace: Workspace, at: datetime, step: timedelta = timedelta(0)) -> SyncResult:
    """Poll a workspace whose responses have a Date header, by a clock that was stepped."""
    client: Any = FakeClient(workspace)
    client.clock_offset = workspace.clock.now() + step - at
    return sync_workspace("default", client=client, now=lambda: at)


@pytest.mark.thorough(one_in=2)
@pytest.mark.parametrize(
    "ahead", [timedelta(0), timedelta(seconds=20), 10 * MINUTE, timedelta(hours=3)]
)
def test_hosts_with_different_clocks_see_a_stall_in_time(
    workspace: Workspace, ahead: timedelta
) -> None:
    """The time that passes from a poll of one to a poll of the other counts once."""
    workspace.start_import("csv", "stuck", seconds=600, records=100, stuck_for=7200)
    while Event.STALLED not in events():
        workspace.clock.advance(30)
        poll_by_date(workspace, workspace.clock.now() + ahead)
        workspace.clock.advance(30)
        poll_by_date(workspace, workspace.clock.now())
    operation = WorkspaceRow.objects.get().current_operation
    assert operation is not None
    # An importer that counts every 500th record stalls after an hour.
    late = workspace.clock.now() - operation.last_progress_at - timedelta(hours=1)
    assert timedelta(0) <= late <= (30 * MINUTE if timedelta(0) < ahead < MINUTE else timedelta(0))


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("step", [-timedelta(hours=1), -40 * MINUTE / 60, timedelta(hours=1)])
def test_step_of_either_clock_is_no_stall(workspace: Workspace, step: timedelta) -> None:
    workspace.start_import("csv", seconds=86_400, records=10)
    ours = theirs = timedelta(0)
    for number in range(200):
        workspace.clock.advance(60)
        ours += step if number % 4 == 0 else timedelta(0)
        theirs += step if number % 4 == 2 else timedelta(0)
        poll_by_date(workspace, workspace.clock.now() + ours, theirs)
    operation = WorkspaceRow.objects.get().current_operation
    assert operation is not None
    watched = WorkspaceRow.objects.get().watched
    assert 120 * MINUTE < watched <= 200 * MINUTE


@pytest.mark.parametrize("ahead", AHEAD)
def test_lease_of_the_future_is_not_believed(workspace: Workspace, ahead: timedelta) -> None:
    now = workspace.clock.now()
    lease = Lease("default", lambda: now + ahead, deadline=30)
    # Its process is killed.
    lease.__enter__()
    assert poll(workspace, now).skipped is None


@pytest.mark.parametrize("ahead", AHEAD)
def test_rate_limit_of_the_future_is_not_believed(workspace: Workspace, ahead: timedelta) -> None:
    now = workspace.clock.now()
    until = now + ahead + timedelta(seconds=40)
    poll(workspace, now + ahead, RateLimited("wait", until=until))
    assert poll(workspace, now).ok
    assert poll(workspace, now + MINUTE).skipped is None


def test_rate_limit_is_kept(workspace: Workspace) -> None:
    now = workspace.clock.now()
    poll(workspace, now, RateLimited("wait", until=now + timedelta(hours=1)))
    skipped = poll(workspace, now + 59 * MINUTE).skipped
    assert skipped is not None
    assert skipped.startswith("not before")
    assert poll(workspace, now + 61 * MINUTE).skipped is None


@pytest.mark.parametrize("ahead", AHEAD)
def test_first_failure_in_the_future_is_told_in_time(
    workspace: Workspace, ahead: timedelta
) -> None:
    now = workspace.clock.now()
    poll(workspace, now)
    poll(workspace, now + ahead, Unreachable("no answer"))
    for minute in range(7):
        poll(workspace, now + minute * MINUTE, Unreachable("no answer"))
    assert events() == ["workspace.unreachable"]
    since = WorkspaceRow.objects.get().failing_since
    assert since == now


@pytest.mark.parametrize("ahead", AHEAD)
def test_first_poll_in_the_future_is_corrected(workspace: Workspace, ahead: timedelta) -> None:
    now = workspace.clock.now()
    poll(workspace, now + ahead)
    row = WorkspaceRow.objects.get()
    assert row.freshness(now) == Freshness.STALE
    poll(workspace, now)
    row.refresh_from_db()
    assert row.freshness(now) == Freshness.OK
    assert row.period_started_at == row.first_synced_at == row.last_polled_at == now


@pytest.mark.parametrize("hours", [1, 8, 200])
def test_sleep_is_no_outage(workspace: Workspace, hours: int) -> None:
    """Good polls each minute, one that fails, and then the machine sleeps."""
    now = workspace.clock.now()
    for minute in range(10):
        poll(workspace, now + minute * MINUTE)
    asleep = now + 10 * MINUTE
    poll(workspace, asleep, Unreachable("no answer"))
    awake = asleep + timedelta(hours=hours)
    for minute in range(5):
        poll(workspace, awake + minute * MINUTE, Unreachable("no answer"))
    assert events() == []
    poll(workspace, awake + 5 * MINUTE, Unreachable("no answer"))
    assert events() == ["workspace.unreachable"]
    assert WorkspaceRow.objects.get().failing_since == awake


@pytest.mark.parametrize("every", [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)])
def test_outage_is_told_at_any_interval(workspace: Workspace, every: timedelta) -> None:
    now = workspace.clock.now()
    for number in range(4):
        poll(workspace, now + number * every)
    poll(workspace, now + 4 * every, Unreachable("no answer"))
    poll(workspace, now + 5 * every, Unreachable("no answer"))
    assert events() == ["workspace.unreachable"]


def test_live_lease_that_another_clock_takes_writes_nothing_twice(workspace: Workspace) -> None:
    """Two hosts whose clocks are ten minutes apart: the later answer is the one that counts."""
    now = workspace.clock.now()
    poll(workspace, now)
    workspace.clock.advance(60)
    workspace.start_import("csv", seconds=600)

    class Slow(FakeClient):
        def current_operation(self) -> Any:
            answer = super().current_operation()
            assert poll(workspace, now + 11 * MINUTE).skipped is None
            return answer

    client: Any = Slow(workspace)
    result = sync_workspace("default", client=client, now=lambda: now + MINUTE)
    assert result.skipped == "leased"
    assert events() == ["import.started"]


def test_any_exception_is_a_failed_poll(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told after the threshold, and raised again for the log."""
    now = workspace.clock.now()
    poll(workspace, now)

    class Broken(FakeClient):
        def current_operation(self) -> Any:
            raise OverflowError("hush")

    for minute in range(1, 8):
        client: Any = Broken(workspace)
        clock = Clock(now + minute * MINUTE)
        with pytest.raises(OverflowError):
            sync_workspace("default", client=client, now=clock.now)
    row = WorkspaceRow.objects.get()
    assert row.sync_status == "InternalError"
    assert "OverflowError" in row.message
    assert "hush" not in row.message
    assert row.period_polls == 7
    assert row.holder == ""
    assert events() == ["workspace.unreachable"]
    assert poll(workspace, now + 8 * MINUTE).ok
