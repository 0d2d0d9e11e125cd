"""The story of the demo: it has every ending, and ends in time."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from simulator import kinds
from simulator.clock import Clock
from simulator.story import story
from simulator.workspace import Workspace

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=90)


@cache
def workspace_after_story(seed: int) -> Workspace:
    """Return a workspace after all steps of the story."""
    clock = Clock(START)
    workspace = Workspace(clock, seed=seed)
    for step in story(seed, start=START, end=END):
        clock.set(step.at)
        step.action(workspace)
    clock.set(END)
    return workspace


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_quarter_has_every_ending(seed: int) -> None:
    workspace = workspace_after_story(seed)
    log = workspace.log
    events = Counter(entry.event for entry in log)
    assert 60 <= events["started"] <= 80
    assert events["restarted"] >= 1
    assert events["selected"] >= 1
    last = {entry.operation_id: entry for entry in log if entry.event in ("started", "moved")}
    statuses = Counter(entry.status for entry in last.values())
    assert all(statuses[status] for status in kinds.FINISHED)
    done = [entry.count for entry in last.values() if entry.status == kinds.DONE]
    assert any(count.get("error") for count in done)
    assert any(count and count["completed"] < count["total"] for count in done)
    assert any(count and count["completed"] > count["total"] for count in done)
    interrupted = [e for e in log if e.event == "invalidated" and e.status not in kinds.FINISHED]
    assert len(interrupted) >= 2  # one by a restart, one by the next import
    assert len({entry.operation_id for entry in last.values()}) == events["started"]


@pytest.mark.long
def test_durations_range_from_moments_to_hours() -> None:
    log = workspace_after_story(0).log
    started_at = {entry.operation_id: entry.at for entry in log if entry.event == "started"}
    durations = [
        e.at - started_at[e.operation_id]
        for e in log
        if e.event == "moved" and e.status == kinds.DONE
    ]
    assert min(durations) < timedelta(seconds=1)
    assert timedelta(hours=4) < max(durations) < timedelta(hours=10)


@pytest.mark.long
def test_all_imports_end_in_time() -> None:
    log = workspace_after_story(0).log
    steps = story(0, start=START, end=END)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert steps[0].at >= START
    assert log[-1].at <= END
    is_running = log[-1].status not in kinds.FINISHED and log[-1].event == "moved"
    assert not is_running


def test_same_seed_gives_same_story() -> None:
    def labels(seed: int) -> list[tuple[datetime, str]]:
        return [(step.at, step.label) for step in story(seed, start=START, end=END)]

    assert labels(5) == labels(5)
    assert labels(5) != labels(6)
