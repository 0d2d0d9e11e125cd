"""The history of the demo's workspaces, polled as a cron job would have, by a simulated clock."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from simulator.clock import Clock
from simulator.story import Step, story
from simulator.workspace import Workspace
from simulator.writes import Ending

#: Between polls in the past while no import is active.
IDLE_INTERVAL = timedelta(hours=2)
#: Between polls during an outage, at most.
OUTAGE_INTERVAL = timedelta(minutes=30)
#: Alerts are sent about the last days alone: an inbox with three months of them shows nothing.
ALERT_DAYS = timedelta(days=4)


@dataclass(frozen=True)
class DemoWorkspace:
    """A simulated workspace: its imports by `seed`, and what else happens to it.

    `outages` are pairs of how long before the present one starts and how long it lasts; `last` is
    how its last import ends, a day before the present, if it has one of its own.
    """

    alias: str
    rocketchat: Workspace
    seed: int
    outages: Sequence[tuple[timedelta, timedelta]] = ()
    last: Ending | None = None

    @property
    def clock(self) -> Clock:
        return self.rocketchat.clock


def simulate_history(
    workspace: DemoWorkspace,
    end: datetime,
    stop: threading.Event,
    channels: Callable[[bool], None],
) -> None:
    """Run a workspace's story until a time; `channels` turns alerts on or off."""
    from importmonitor import conf
    from importmonitor.rocketchat.client import Client
    from importmonitor.sync.poll import sync_workspace
    from importmonitor.sync.reminders import review_and_deliver

    rocketchat, clock = workspace.rocketchat, workspace.clock
    config = conf.get_workspace(workspace.alias)
    # During an outage, a deadline too short for a second attempt: retries would take ten seconds.
    hasty_config = replace(config, deadline=0.1)
    steps = _steps(workspace, end)
    with Client(config) as client, Client(hasty_config) as hasty_client:
        for step, next_step in zip(steps, [*steps[1:], None], strict=True):
            clock.set(step.at)
            step.action(rocketchat)
            until = next_step.at if next_step else end
            pause = timedelta(seconds=30)
            while not stop.is_set():
                is_recent = clock.now() > end - ALERT_DAYS
                channels(is_recent)
                is_down = rocketchat.outage is not None
                result = sync_workspace(
                    workspace.alias, client=hasty_client if is_down else client, now=clock.now
                )
                if is_recent:
                    review_and_deliver(clock.now)
                pause = min(pause * 3, OUTAGE_INTERVAL)
                is_idle = result.operation is None or result.operation.finished_at is not None
                if is_idle and not is_down:
                    # As rarely as possible without a gap in the sync periods.
                    pause = IDLE_INTERVAL
                if clock.now() + pause >= until:
                    break
                clock.set(clock.now() + pause)


def _steps(workspace: DemoWorkspace, end: datetime) -> list[Step]:
    """Return what happens in a workspace, in the order of the times."""
    busy_until = end - timedelta(hours=1 if workspace.last is None else 30)
    steps = story(seed=workspace.seed, start=workspace.clock.now(), end=busy_until)
    if workspace.last is not None:
        start = partial(_start_import, ending=workspace.last)
        steps.append(Step(end - timedelta(hours=26), start, "the last import"))
    for before_end, duration in workspace.outages:
        start_at = end - before_end
        # A successful poll shortly before, so that the start is known.
        steps.append(Step(start_at - timedelta(minutes=5), partial(_set_outage, None), "up"))
        # The proxy in front of the workspace responds with 502.
        steps.append(Step(start_at, partial(_set_outage, 502), "down"))
        if duration < before_end:
            steps.append(Step(start_at + duration, partial(_set_outage, None), "up again"))
    return sorted(steps, key=lambda step: step.at)


def _set_outage(status: int | None, rocketchat: Workspace) -> None:
    rocketchat.outage = status


def _start_import(rocketchat: Workspace, ending: Ending) -> None:
    rocketchat.start_import("csv", ending, 1800.0, records=24_000, file_name="customers.zip")
