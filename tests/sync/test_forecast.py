"""The forecast of an import: what it learns, what it says, and how accurate it is."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importmonitor.rocketchat.states import STEPS
from importmonitor.sync.forecast import (
    Counts,
    PastImport,
    PresentImport,
    Sample,
    StepSpeed,
    Transition,
    forecast,
    learn,
)
from simulator.writes import PACES, Pace
from tests.truth.estimates import (
    FIRST,
    FORECAST,
    GOALS,
    HALF,
    measure,
    median_error,
    simulated,
    stepwise,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SELECTION, STARTED = "importer_user_selection", "importer_importing_started"
USERS, CHANNELS = "importer_importing_users", "importer_importing_channels"
MESSAGES, FILES = "importer_importing_messages", "importer_importing_files"
FINISHING, DONE = "importer_finishing", "importer_done"

#: 1,000 users at 1 s, 100 channels at 0.5 s, 10,000 messages at 0.1 s: 2,050 s.
COUNTS = Counts(total=11_100, users=1_000, channels=100, messages=10_000)
SPEEDS = (
    StepSpeed(USERS, 1_000, 1_000),
    StepSpeed(CHANNELS, 100, 50),
    StepSpeed(MESSAGES, 10_000, 1_000),
    StepSpeed(FINISHING, 0, 0),
)
PAST = PastImport("default", "csv", SPEEDS)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def present(
    status: str,
    counts: Counts = COUNTS,
    transitions: Sequence[Transition] = (),
    samples: Sequence[Sample] = (),
) -> PresentImport:
    return PresentImport("default", "csv", status, counts, transitions, samples)


def in_messages(
    points: Iterable[tuple[float, int]], before: int = 1_100, counts: Counts = COUNTS
) -> PresentImport:
    """Return an import that began its messages at noon and has handled some at these times."""
    transitions = [
        Transition(at(-1_050), STARTED, 0, 0, counts.total),
        Transition(at(-1_050), USERS, 0, 0, counts.total),
        Transition(at(-50), CHANNELS, before - 100, 0, counts.total),
        Transition(at(0), MESSAGES, before, 0, counts.total),
    ]
    samples = [Sample(at(time), before + count, 0, counts.total) for time, count in points]
    counts = counts._replace(completed=samples[-1].completed if samples else before)
    return present(MESSAGES, counts, [Transition(at(-2_000), SELECTION), *transitions], samples)


def steady(seconds: int, per_second: float) -> list[tuple[float, int]]:
    return [(time, int(time * per_second)) for time in range(50, seconds + 1, 50)]


def seconds_left(
    operation: PresentImport, history: Sequence[PastImport], seconds: float = 0
) -> float:
    result = forecast(operation, history, at(seconds))
    assert result is not None
    return result.seconds


@pytest.mark.parametrize("status", [*STEPS[:9], *STEPS[-3:], "", "importer_unheard_of"])
def test_import_that_neither_waits_for_a_selection_nor_runs_has_no_forecast(status: str) -> None:
    assert forecast(present(status), [PAST], NOON) is None


@pytest.mark.parametrize("status", [SELECTION, STARTED, USERS])
def test_nothing_is_forecast_from_nothing(status: str) -> None:
    assert forecast(present(status), [], NOON) is None
    other = PastImport("default", "slack", SPEEDS)
    assert forecast(present(status), [other], NOON) is None
    assert forecast(present(status, Counts()), [PAST], NOON) is None


def test_waiting_import_is_expected_to_take_what_its_records_took_before() -> None:
    result = forecast(present(SELECTION), [PAST], NOON)
    assert result is not None
    assert result.seconds == pytest.approx(2_050)
    assert result.low < result.seconds < result.high
    twice = Counts(total=22_200, users=2_000, channels=200, messages=20_000)
    assert seconds_left(present(SELECTION, twice), [PAST]) == pytest.approx(4_100)


def test_steps_that_are_left_go_by_their_own_speeds() -> None:
    counts = COUNTS._replace(completed=500)
    steps = [Transition(at(-600), SELECTION), Transition(at(-500), USERS, 0, 0, 11_100)]
    samples = [Sample(at(-500 + done), done, 0, 11_100) for done in range(50, 501, 50)]
    # By the present rate it would be 10,600 s.
    left = seconds_left(present(USERS, counts, steps, samples), [PAST])
    assert left == pytest.approx(1_550, rel=0.01)


def test_workspace_knows_better_than_other_workspaces_and_these_than_nothing() -> None:
    slow = tuple(speed._replace(seconds=speed.seconds * 3) for speed in SPEEDS)
    elsewhere = PastImport("other", "csv", slow)
    known = forecast(present(SELECTION), [elsewhere, PAST], NOON)
    guessed = forecast(present(SELECTION), [elsewhere], NOON)
    first = forecast(in_messages(steady(500, 10)), [], at(500))
    assert known is not None
    assert guessed is not None
    assert first is not None
    assert known.seconds == pytest.approx(2_050)
    assert guessed.seconds == pytest.approx(6_150)
    assert known.high / known.low < guessed.high / guessed.low
    assert [one.basis for one in (known, guessed, first)] == ["workspace", "importer", "rate"]
    assert first.seconds == pytest.approx(500, rel=0.1)


def test_odd_import_does_not_matter() -> None:
    odd = PastImport("default", "csv", tuple(s._replace(seconds=s.seconds * 50) for s in SPEEDS))
    assert seconds_left(present(SELECTION), [odd, PAST, PAST]) == pytest.approx(2_050)


def test_only_the_newest_imports_count() -> None:
    old = PastImport("default", "csv", tuple(s._replace(seconds=s.seconds * 50) for s in SPEEDS))
    history = [*[PAST] * 10, *[old] * 30]
    assert seconds_left(present(SELECTION), history) == pytest.approx(2_050)


def test_import_twice_as_slow_as_before_is_believed_more_and_more() -> None:
    left = [
        # 5 messages per second, not 10.
        seconds_left(in_messages(steady(seconds, 5)), [PAST], seconds) / (2_000 - seconds)
        for seconds in (0, 100, 1_000)
    ]
    assert left[0] == pytest.approx(0.5, rel=0.05)
    assert left[0] < left[1] <= left[2]
    assert left[2] == pytest.approx(1, rel=0.05)


def test_steps_behind_an_import_say_how_slow_those_ahead_will_be() -> None:
    slow = present(
        MESSAGES,
        COUNTS._replace(completed=1_100),
        [
            Transition(at(-4_200), SELECTION),
            Transition(at(-4_100), USERS, 0, 0),
            Transition(at(-100), CHANNELS, 1_000, 0),
            Transition(at(0), MESSAGES, 1_100, 0),
        ],
    )
    assert seconds_left(slow, [PAST]) > 1_200


@pytest.mark.parametrize("before", [1_100, 2_100], ids=["once", "twice"])
def test_users_that_were_counted_twice_are_not_taken_for_messages(before: int) -> None:
    operation = in_messages(steady(500, 10), before)
    assert seconds_left(operation, [PAST], 500) == pytest.approx(500, rel=0.05)
    assert seconds_left(operation, [], 500) == pytest.approx(500, rel=0.1)


def test_users_step_is_over_when_its_users_are_counted_again() -> None:
    steps = [Transition(at(-1_100), SELECTION), Transition(at(-1_000), USERS, 0, 0)]
    samples = [Sample(at(-1_000 + done), done, 0, 11_100) for done in range(50, 1_001, 50)]
    samples.append(Sample(at(1), 2_000, 0, 11_100))
    operation = present(USERS, COUNTS._replace(completed=2_000), steps, samples)
    assert seconds_left(operation, [PAST], 1) == pytest.approx(1_050, rel=0.01)


def test_selection_of_a_part_is_counted_from_the_beginning_of_the_step() -> None:
    # 40 of the 1,000 users were selected.
    operation = in_messages(steady(500, 10), before=140)
    assert seconds_left(operation, [PAST], 500) == pytest.approx(500, rel=0.05)


def test_slowing_import_is_expected_to_go_on_slowing() -> None:
    # A message takes as long as the messages before it are many: 10,000 take 1,000 s.
    points = [(count**2 / 1e5, count) for count in range(500, 5_001, 500)]
    assert seconds_left(in_messages(points), [], 250) == pytest.approx(750, rel=0.15)


def test_step_that_slowed_before_is_expected_to_do_so_again() -> None:
    curve = tuple((tenth / 10) ** 2 for tenth in range(1, 10))
    past = PastImport("default", "csv", (*SPEEDS[:2], SPEEDS[2]._replace(curve=curve), SPEEDS[3]))
    points = [(count**2 / 1e5, count) for count in range(500, 2_001, 500)]
    assert seconds_left(in_messages(points), [past], 40) == pytest.approx(960, rel=0.05)


def test_bursts_are_no_trend() -> None:
    # 1,000 messages in 10 s, and then a pause of 90 s: the sixth burst is just over.
    points = [
        (burst * 100 + second, burst * 1_000 + second * 100)
        for burst in range(6)
        for second in range(2, 11, 2)
    ]
    assert seconds_left(in_messages(points), [], 510) == pytest.approx(490, rel=0.3)


def test_total_is_expected_to_grow_as_it_did_before() -> None:
    past = PastImport("default", "csv", SPEEDS, growth=2)
    few = Counts(total=5_550, users=1_000, channels=100, messages=4_450)
    assert seconds_left(present(SELECTION, few), [past]) == pytest.approx(2_050)


def test_growing_total_is_expected_to_go_on_growing() -> None:
    counts = Counts(total=10_000)
    samples = [Sample(at(time), time * 10, 0, 7_500 + time * 5) for time in range(50, 501, 50)]
    steps = [Transition(at(-100), SELECTION), Transition(at(0), MESSAGES, 0, 0, 7_500)]
    counts = counts._replace(completed=5_000)
    growing = seconds_left(present(MESSAGES, counts, steps, samples), [], 500)
    fixed = [sample._replace(total=10_000) for sample in samples]
    assert seconds_left(present(MESSAGES, counts, steps, fixed), [], 500) == pytest.approx(
        500, rel=0.05
    )
    assert growing == pytest.approx(750, rel=0.05)


def test_kinds_that_are_more_than_the_total_are_believed() -> None:
    counts = COUNTS._replace(total=5_000)
    assert seconds_left(present(SELECTION, counts), [PAST]) == pytest.approx(2_050)


def test_files_are_counted_by_the_total() -> None:
    counts = Counts(total=1_000, completed=500, messages=1_000)
    steps = [Transition(at(-10), "importer_preparing_started"), Transition(at(0), FILES)]
    samples = [Sample(at(done * 2), done, 0, 1_000) for done in range(50, 501, 50)]
    operation = PresentImport("default", "pending-files", FILES, counts, steps, samples)
    assert seconds_left(operation, [], 1_000) == pytest.approx(1_000, rel=0.05)


def test_late_write_leaves_what_comes_after_it() -> None:
    operation = in_messages(steady(500, 10))
    # 5,000 messages are left, of which 500 are being handled.
    assert seconds_left(operation, [PAST], 5_000) == pytest.approx(450, rel=0.05)


def test_range_becomes_narrower() -> None:
    results = [
        forecast(in_messages(steady(seconds, 10)), [PAST], at(seconds)) for seconds in (0, 100, 500)
    ]
    widths = [result.high / result.low for result in results if result is not None]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 3


def test_overheads_are_learned_as_a_share_of_the_time() -> None:
    steps = (StepSpeed(STARTED, 0, 205), *SPEEDS[:3], StepSpeed(FINISHING, 0, 410))
    past = PastImport("default", "csv", steps)
    assert seconds_left(present(SELECTION), [past]) == pytest.approx(2_050 * 1.3)
    begun = [
        Transition(at(-2_100), SELECTION),
        Transition(at(-2_050), USERS),
        Transition(at(0), FINISHING, 11_100),
    ]
    finishing = present(FINISHING, COUNTS._replace(completed=11_100), begun)
    assert seconds_left(finishing, [past], 100) == pytest.approx(310)


TRANSITIONS = [
    Transition(at(0), SELECTION, None, None, 11_100),
    Transition(at(100), STARTED, None, None, 11_100),
    Transition(at(110), USERS, 0, 0, 11_100),
    Transition(at(1_110), CHANNELS, 950, 50, 11_100),
    Transition(at(1_160), MESSAGES, 1_050, 50, 11_100),
    # It stalled, and resumed.
    Transition(at(1_500), MESSAGES, 2_000, 50, 11_100),
    Transition(at(2_160), FINISHING, 11_050, 50, 11_100),
    Transition(at(2_190), DONE, 11_050, 50, 11_100),
]
LEARNED = (
    StepSpeed(STARTED, 0, 10),
    StepSpeed(USERS, 1_000, 1_000),
    StepSpeed(CHANNELS, 100, 50),
    StepSpeed(MESSAGES, 10_000, 1_000),
    StepSpeed(FINISHING, 0, 30),
)


def test_speeds_are_learned_from_transitions() -> None:
    assert learn("default", "csv", TRANSITIONS, COUNTS) == PastImport("default", "csv", LEARNED)


def test_users_counted_twice_are_learned_once() -> None:
    twice = [
        transition._replace(completed=transition.completed + 1_000)
        if transition.completed
        else transition
        for transition in TRANSITIONS
    ]
    assert learn("default", "csv", twice, COUNTS).steps == LEARNED


def test_import_that_was_run_again_is_learned_from_its_last_run() -> None:
    first = [
        transition._replace(at=transition.at - timedelta(days=1), completed=7)
        for transition in TRANSITIONS
    ]
    assert learn("default", "csv", [*first, *TRANSITIONS], COUNTS).steps == LEARNED


def test_step_in_which_the_import_was_first_seen_is_not_learned() -> None:
    assert learn("default", "csv", TRANSITIONS[4:], COUNTS).steps == LEARNED[-1:]
    assert learn("default", "csv", [], COUNTS).steps == ()


def test_growth_of_the_total_is_learned() -> None:
    assert learn("default", "csv", TRANSITIONS, Counts(total=16_650)).growth == 1.5
    assert learn("default", "csv", TRANSITIONS, Counts(total=-5)).growth == 1


def test_curve_of_a_step_is_learned_from_samples() -> None:
    samples = [
        Sample(at(1_160 + 1_000 * (tenth / 20) ** 2), 1_050 + tenth * 500, 50, None)
        for tenth in range(1, 20)
    ]
    curve = learn("default", "csv", TRANSITIONS, COUNTS, samples).steps[3].curve
    assert curve == pytest.approx([(tenth / 10) ** 2 for tenth in range(1, 10)])


ANY_INT = st.none() | st.integers(-(2**70), 2**70) | st.integers(0, 20_000)
ANY_FLOAT = st.floats() | st.floats(0, 1e6)
ANY_TIME = st.integers(-(10**6), 10**6).map(at)
ANY_STATUS = st.sampled_from([*STEPS, "importer_importing_somehow", "?"])
ANY_COUNTS = st.builds(Counts, *[ANY_INT] * 7)
ANY_TRANSITIONS = st.lists(
    st.builds(Transition, ANY_TIME, ANY_STATUS, ANY_INT, ANY_INT, ANY_INT), max_size=8
)
ANY_SAMPLES = st.lists(
    st.builds(Sample, ANY_TIME, st.integers(-(2**63), 2**63), st.integers(-9, 2**63), ANY_INT),
    max_size=30,
)
ANY_SPEED = st.builds(
    StepSpeed,
    ANY_STATUS,
    st.integers(-(2**70), 2**70) | st.integers(0, 20_000),
    ANY_FLOAT,
    st.lists(ANY_FLOAT, min_size=9, max_size=9).map(tuple) | st.just(()),
)
ANY_PAST = st.builds(
    PastImport,
    st.sampled_from(["default", "other"]),
    st.just("csv"),
    st.lists(ANY_SPEED, max_size=6).map(tuple),
    ANY_FLOAT,
)


@given(
    st.builds(present, ANY_STATUS, ANY_COUNTS, ANY_TRANSITIONS, ANY_SAMPLES),
    st.lists(ANY_PAST, max_size=4),
    ANY_TIME,
)
def test_forecast_of_anything_is_none_or_a_range(
    operation: PresentImport, history: list[PastImport], now: datetime
) -> None:
    result = forecast(operation, history, now)
    if result is not None:
        assert 0 <= result.low <= result.seconds <= result.high
        assert result.seconds > 0
        assert isfinite(result.high)


@given(ANY_TRANSITIONS, ANY_COUNTS, ANY_SAMPLES)
def test_anything_can_be_learned_from(
    transitions: list[Transition], counts: Counts, samples: list[Sample]
) -> None:
    for speed in learn("default", "csv", transitions, counts, samples).steps:
        assert speed.records >= 0
        assert speed.seconds >= 0
        assert list(speed.curve) == sorted(speed.curve)


@pytest.mark.long
@pytest.mark.parametrize("pace", PACES)
def test_first_import_is_forecast_within_the_goal_at_half_of_the_time(pace: Pace) -> None:
    measured = measure(partial(simulated, history=0), pace, 12)[HALF]
    assert median_error(measured, FIRST) <= GOALS[pace]


@pytest.mark.thorough(one_in=5)
@pytest.mark.parametrize("pace", PACES)
def test_import_like_those_before_is_forecast_within_the_goal(pace: Pace) -> None:
    measured = measure(stepwise, pace, 12)[HALF]
    assert median_error(measured, FORECAST) <= GOALS[pace]
