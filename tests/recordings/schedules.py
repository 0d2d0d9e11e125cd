"""The times at which a recording is polled."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from tests.recordings import Recording

MINUTE = timedelta(minutes=1)
#: "At the end" is this long after the last state.
SETTLED_AFTER = 16 * MINUTE

#: Schedules by their names, for the time from the first state to the last.
Schedule = Callable[[Recording], list[datetime]]


def poll_times(recording: Recording, schedule: Schedule) -> list[datetime]:
    """Return the times of all polls: before the first state, by the schedule, and after the end."""
    start, end = recording.states[0].at, recording.states[-1].at
    during = [at for at in schedule(recording) if start <= at <= end]
    return [
        *(start + minutes * MINUTE for minutes in (-3, -2, -1)),
        *sorted(set(during)),
        *(end + minutes * MINUTE for minutes in range(1, 21)),
        *(end + timedelta(days=1) + minutes * MINUTE for minutes in range(4)),
    ]


def every_state(recording: Recording) -> list[datetime]:
    return [state.at for state in recording.states]


def every(seconds: float) -> Schedule:
    """Return the schedule of a poll every so many seconds."""

    def times(recording: Recording) -> list[datetime]:
        start, end = recording.states[0].at, recording.states[-1].at
        count = int((end - start).total_seconds() // seconds) + 1
        # Not at the very time of the first state.
        offset = seconds * 0.4
        return [start + timedelta(seconds=offset + seconds * number) for number in range(count)]

    return times


def some(seed: int) -> Schedule:
    """Return the schedule of a poll after some of the states, with a pause in polling."""

    def times(recording: Recording) -> list[datetime]:
        rng = random.Random(f"{recording.id} {seed}")
        states = recording.states
        start, length = states[0].at, states[-1].at - states[0].at
        part = rng.choice((0.15, 0.3, 0.5, 0.8))
        pause_from = start + length * rng.random()
        pause_until = pause_from + length * rng.uniform(0.1, 0.4)
        polls = []
        for state, following in pairwise(states):
            if rng.random() < part:
                longest = min((following.at - state.at).total_seconds(), 240)
                polls.append(state.at + timedelta(seconds=rng.uniform(0, longest)))
        return [at for at in polls if not pause_from <= at <= pause_until]

    return times


def after_the_end(recording: Recording) -> list[datetime]:
    return []


SCHEDULES: dict[str, Schedule] = {
    "every-state": every_state,
    "every-60": every(60),
    "every-15": every(15),
    "every-600": every(600),
    **{f"some-{seed}": some(seed) for seed in range(1, 6)},
    "after-the-end": after_the_end,
}
