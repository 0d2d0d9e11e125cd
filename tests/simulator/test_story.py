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
def told(seed: int) -> Workspace:
    """A workspace in which the whole story has happened."""
    clock = Clock(START)
    workspace = Workspace(clock, seed=seed)
    for step in story(seed, start=START, end=END):
        clock.set(step.at)
        step.action(workspace)
    clock.set(END)
    return workspace


@pytest.mark.parametrize("seed", range(3))
def test_a_quarter_has_some_of_everything(seed: int) -> None:
    workspace = told(seed)
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


def test_lengths_go_from_moments_to_most_of_a_night() -> None:
    log = told(0).log
    begun = {entry.operation_id: entry.at for entry in log if entry.event == "started"}
    lengths = [
        e.at - begun[e.operation_id] for e in log if e.event == "moved" and e.status == kinds.DONE
    ]
    assert min(lengths) < timedelta(seconds=1)
    assert timedelta(hours=4) < max(lengths) < timedelta(hours=10)


def test_everything_is_over_by_the_end() -> None:
    log = told(0).log
    steps = story(0, start=START, end=END)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert steps[0].at >= START
    assert log[-1].at <= END
    running = log[-1].status not in kinds.FINISHED and log[-1].event == "moved"
    assert not running


def test_a_story_is_the_same_under_the_same_seed() -> None:
    def told_as(seed: int) -> list[tuple[datetime, str]]:
        return [(step.at, step.label) for step in story(seed, start=START, end=END)]

    assert told_as(5) == told_as(5)
    assert told_as(5) != told_as(6)
