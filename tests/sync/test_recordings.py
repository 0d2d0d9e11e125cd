"""Recordings of Rocket.Chat's own importers, replayed: what is stored and sent is what happened.

To see the polls of a failure: `python -m tests.recordings RECORDING --schedule SCHEDULE`.
"""

from functools import cache
from typing import Any

import pytest

from tests.recordings import Recording, load_recording, recording_ids
from tests.recordings.judge import judge
from tests.recordings.replay import CONFIGURATION, Observation, replay
from tests.recordings.schedules import SCHEDULES, poll_times

pytestmark = pytest.mark.django_db

recording = cache(load_recording)


def violations(recorded: Recording, schedule: str, *, is_list_refused: bool = False) -> str:
    """Replay a recording; return what violates its labels, as text."""
    times = poll_times(recorded, SCHEDULES[schedule])
    observations = list(replay(recorded, times, is_list_refused=is_list_refused))
    lines = map(str, judge(recorded, observations, is_list_refused=is_list_refused))
    return "".join(f"\n  {line}" for line in lines)


def check(recording_id: str, schedule: str, *, is_list_refused: bool = False) -> None:
    recorded = recording(recording_id)
    text = violations(recorded, schedule, is_list_refused=is_list_refused)
    option = " --refuse-list" if is_list_refused else ""
    command = f"python -m tests.recordings {recording_id} --schedule {schedule}{option}"
    assert not text, f"{recorded.what}{text}\n  {command}"


@pytest.fixture(autouse=True)
def _recorded_workspace(settings: Any) -> None:
    settings.IMPORTMONITOR = CONFIGURATION


@pytest.mark.thorough(one_in=24)
@pytest.mark.parametrize("recording_id", recording_ids())
def test_poll_at_every_state_tells_what_happened(recording_id: str) -> None:
    check(recording_id, "every-state")


@pytest.mark.thorough(one_in=152)
@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "every-state"])
@pytest.mark.parametrize("recording_id", recording_ids())
def test_fewer_polls_tell_what_happened(recording_id: str, schedule: str) -> None:
    check(recording_id, schedule)


@pytest.mark.thorough(one_in=22)
@pytest.mark.parametrize("recording_id", recording_ids())
def test_without_the_list_nothing_false_is_told(recording_id: str) -> None:
    check(recording_id, "every-60", is_list_refused=True)


@pytest.mark.parametrize("recording_id", ["8-csv-broken-users-file", "6.14-csv-all"])
def test_monitor_that_stores_and_sends_nothing_is_caught(recording_id: str) -> None:
    recorded = recording(recording_id)
    times = poll_times(recorded, SCHEDULES["every-state"])
    observations = [Observation(at, recorded.state(at), {}, [], []) for at in times]
    checks = {violation.check for violation in judge(recorded, observations)}
    [label] = recorded.labels.values()
    expected = {"stall"} if label.stall == "must" else {"endings"}
    assert checks == expected | {"outcome"}
