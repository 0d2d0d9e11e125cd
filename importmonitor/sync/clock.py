"""The difference between Rocket.Chat's clock and ours, measured over several polls."""

from datetime import datetime, timedelta

from importmonitor.models import Workspace

#: Measurements that differ by at most this are of the same clock: each is exact to a second, and
#: a response can take a while.
_TOLERANCE = timedelta(seconds=2)
#: So many measurements in a row establish the offset, and so many another one: a single header
#: can be wrong.
_MIN_FIRST, _MIN_CHANGED = 2, 3
_MAX_SAMPLES = 100
#: Two measurements at nearly the same time do not show that the clocks run alike.
_MIN_INTERVAL = timedelta(seconds=5)


def measure_offset(workspace: Workspace, sample: timedelta | None, at: datetime) -> None:
    """Update a workspace's clock offset by the measurement of one poll, if there is one.

    The offset is rounded to a second, and does not change by less than that, so that nothing
    depends on the network's delay.
    """
    if sample is None:
        return
    if workspace.last_polled_at is not None and at - workspace.last_polled_at < _MIN_INTERVAL:
        return
    candidate, count = workspace.clock_candidate, workspace.clock_samples
    if candidate is None or abs(sample - candidate) > _TOLERANCE:
        candidate, count = sample, 0
    count = min(count + 1, _MAX_SAMPLES)
    # The mean of all measurements, and later one of the last hundred.
    candidate += (sample - candidate) / count
    workspace.clock_candidate, workspace.clock_samples = candidate, count
    offset = workspace.clock_offset
    if count < (_MIN_FIRST if offset is None else _MIN_CHANGED):
        return
    if offset is None or abs(candidate - offset) >= timedelta(seconds=1):
        workspace.clock_offset = timedelta(seconds=round(candidate.total_seconds()))
