"""How many records a second an import handles, and how far off the time left is that it gives."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from importmonitor.sync.rate import Sample, records_per_second
from simulator.writes import PACES, Pace
from tests.truth.time_left import GOAL, HALF_OF_RECORDS, HALF_OF_TIME, measure, median_error

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def sample(seconds: float, completed: int, error: int = 0, total: int | None = 100_000) -> Sample:
    """The counters so many seconds past noon."""
    return Sample(NOON + timedelta(seconds=seconds), completed, error, total)


def counting(counts: Iterable[int], every: float = 30) -> list[Sample]:
    """A sample of each count, so many seconds apart; none where the counter did not move."""
    samples: list[Sample] = []
    for number, completed in enumerate(counts):
        if not samples or samples[-1].completed != completed:
            samples.append(sample(number * every, completed))
    return samples


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [sample(0, 50)],
        [sample(0, 50), sample(3600, 5000)],
        [sample(0, 50), sample(20, 100), sample(40, 150)],
        [sample(0, 50, total=60), sample(60, 50, total=70), sample(120, 50, total=80)],
        [sample(0, 50), sample(0, 100), sample(0, 150)],
    ],
    ids=["none", "one", "two", "too close", "only the total moved", "all at once"],
)
def test_there_is_nothing_to_say_yet(samples: list[Sample]) -> None:
    assert records_per_second(samples) is None


def test_a_step_that_begins_has_a_rate_from_its_third_sample_on() -> None:
    # Counters run on over steps: what an earlier step has counted must not look like speed.
    samples = [sample(0, 40_000), sample(30, 40_060), sample(60, 40_120)]
    assert records_per_second(samples[:2]) is None
    assert records_per_second(samples) == pytest.approx(2)


@pytest.mark.parametrize("every", [30, 60])
def test_a_steady_import(every: int) -> None:
    assert records_per_second(counting(range(0, 200 * 100, 100), every)) == pytest.approx(
        100 / every
    )


def test_a_record_that_failed_is_handled_too() -> None:
    samples = [sample(30 * i, completed=45 * i, error=15 * i) for i in range(10)]
    assert records_per_second(samples) == pytest.approx(2)


def test_counters_that_are_written_seldom_and_seen_late() -> None:
    # 2 a second, written every 500 records, seen by the next poll.
    samples = counting(30 * number * 2 // 500 * 500 for number in range(60))
    assert records_per_second(samples) == pytest.approx(2, rel=0.1)


def test_an_outage_leaves_a_gap_and_the_same_rate() -> None:
    samples = counting(range(0, 100 * 60, 60))
    assert records_per_second(samples[:60] + samples[90:]) == pytest.approx(2)


@pytest.mark.parametrize("wrong", [0, 1_000_000])
@pytest.mark.parametrize("place", [20, 60, 80])
def test_one_wrong_sample_is_outvoted(wrong: int, place: int) -> None:
    samples = counting(range(0, 100 * 60, 60))
    samples[place] = samples[place]._replace(completed=wrong)
    assert records_per_second(samples) == pytest.approx(2, rel=0.01)


def test_a_counter_that_went_back_is_taken_from_there() -> None:
    before = counting(range(5_000, 5_000 + 40 * 300, 300))
    after = [sample(1200 + 30 * i, 60 * i) for i in range(20)]
    assert records_per_second(before + after[:1]) is None
    assert records_per_second(before + after) == pytest.approx(2)


def test_an_import_that_slows_down_goes_as_fast_as_it_went_of_late() -> None:
    # 10 a second for half an hour, then 2 a second for as long.
    fast = list(range(0, 60 * 300, 300))
    slow = [fast[-1] + 60 * i for i in range(1, 61)]
    assert records_per_second(counting(fast + slow)) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("looks", range(60, 120, 5))
def test_bursts_are_averaged_with_the_pauses_between_them(looks: int) -> None:
    # Every 15 minutes 1800 records within 5: 2 a second, whatever moment one looks at.
    counts = [number // 30 * 1800 + min(number % 30, 10) * 180 for number in range(looks)]
    assert records_per_second(counting(counts)) == pytest.approx(2, rel=0.25)


def test_a_total_that_grows_is_no_slowness() -> None:
    samples = [sample(30 * i, 60 * i, total=5_000 + 40 * i) for i in range(10)]
    assert records_per_second(samples) == pytest.approx(2)


BIGINT = st.integers(-(2**63), 2**63 - 1)


@example([(0, 0, 0), (1, 1, 0), (60_000_000, 2**63 - 1, 2**63 - 1)])
@given(st.lists(st.tuples(st.integers(0, 10**13), BIGINT, BIGINT), max_size=200))
def test_whatever_the_counters_say_it_is_nothing_or_a_speed(
    rows: list[tuple[int, int, int]],
) -> None:
    """The times are microseconds past noon."""
    found = records_per_second(
        [
            Sample(NOON + timedelta(microseconds=at), completed, error, None)
            for at, completed, error in sorted(rows)
        ]
    )
    assert found is None or (found > 0 and isfinite(found))


def test_half_way_through_a_steady_import_its_time_left_is_known() -> None:
    assert median_error(measure("steady", 12)[HALF_OF_TIME]) < GOAL


@pytest.mark.parametrize("pace", PACES)
def test_when_half_of_the_records_are_handled_no_pace_is_far_from_known(pace: Pace) -> None:
    assert median_error(measure(pace, 5)[HALF_OF_RECORDS]) < 0.5
