"""The rate of an import."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isfinite

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from importmonitor.sync.rate import Sample, records_per_second

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def sample(seconds: float, completed: int, error: int = 0, total: int | None = 100_000) -> Sample:
    """Return the counters some seconds past noon."""
    return Sample(NOON + timedelta(seconds=seconds), completed, error, total)


def samples_of(counts: Iterable[int], every: float = 30) -> list[Sample]:
    """Return a sample of each count, some seconds apart; none where the count is the same."""
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
def test_too_few_samples_have_no_rate(samples: list[Sample]) -> None:
    assert records_per_second(samples) is None


def test_new_step_has_a_rate_from_its_third_sample() -> None:
    # The counters include earlier steps, which must not add to the rate.
    samples = [sample(0, 40_000), sample(30, 40_060), sample(60, 40_120)]
    assert records_per_second(samples[:2]) is None
    assert records_per_second(samples) == pytest.approx(2)


@pytest.mark.parametrize("every", [30, 60])
def test_steady_import_has_its_rate(every: int) -> None:
    assert records_per_second(samples_of(range(0, 200 * 100, 100), every)) == pytest.approx(
        100 / every
    )


def test_failed_records_count_as_handled() -> None:
    samples = [sample(30 * i, completed=45 * i, error=15 * i) for i in range(10)]
    assert records_per_second(samples) == pytest.approx(2)


def test_coarse_counters_have_about_the_same_rate() -> None:
    # 2 per second, written every 500 records, sampled by the next poll.
    samples = samples_of(30 * number * 2 // 500 * 500 for number in range(60))
    assert records_per_second(samples) == pytest.approx(2, rel=0.1)


def test_gap_does_not_change_the_rate() -> None:
    samples = samples_of(range(0, 100 * 60, 60))
    assert records_per_second(samples[:60] + samples[90:]) == pytest.approx(2)


@pytest.mark.parametrize("wrong", [0, 1_000_000])
@pytest.mark.parametrize("place", [20, 60, 80])
def test_single_wrong_sample_does_not_change_the_rate(wrong: int, place: int) -> None:
    samples = samples_of(range(0, 100 * 60, 60))
    samples[place] = samples[place]._replace(completed=wrong)
    assert records_per_second(samples) == pytest.approx(2, rel=0.01)


def test_samples_before_a_decrease_are_ignored() -> None:
    before = samples_of(range(5_000, 5_000 + 40 * 300, 300))
    after = [sample(1200 + 30 * i, 60 * i) for i in range(20)]
    assert records_per_second(before + after[:1]) is None
    assert records_per_second(before + after) == pytest.approx(2)


def test_slower_import_has_its_recent_rate() -> None:
    # 10 per second for half an hour, then 2 per second for half an hour.
    fast = list(range(0, 60 * 300, 300))
    slow = [fast[-1] + 60 * i for i in range(1, 61)]
    assert records_per_second(samples_of(fast + slow)) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("polls", range(60, 120, 5))
def test_bursts_are_averaged_with_their_pauses(polls: int) -> None:
    # Every 15 minutes 1800 records within 5 minutes: 2 per second at any time.
    counts = [number // 30 * 1800 + min(number % 30, 10) * 180 for number in range(polls)]
    assert records_per_second(samples_of(counts)) == pytest.approx(2, rel=0.25)


def test_growing_total_does_not_change_the_rate() -> None:
    samples = [sample(30 * i, 60 * i, total=5_000 + 40 * i) for i in range(10)]
    assert records_per_second(samples) == pytest.approx(2)


BIGINT = st.integers(-(2**63), 2**63 - 1)


@example([(0, 0, 0), (1, 1, 0), (60_000_000, 2**63 - 1, 2**63 - 1)])
@given(st.lists(st.tuples(st.integers(0, 10**13), BIGINT, BIGINT), max_size=200))
def test_rate_of_any_counters_is_none_or_positive(
    rows: list[tuple[int, int, int]],
) -> None:
    """The times are microseconds past noon."""
    rate = records_per_second(
        [
            Sample(NOON + timedelta(microseconds=at), completed, error, None)
            for at, completed, error in sorted(rows)
        ]
    )
    assert rate is None or (rate > 0 and isfinite(rate))
