"""The axes of the charts: round values, round times, and only labels that have room."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from importmonitor.charts.scales import (
    compact,
    count_ticks,
    period_of,
    room_of,
    seconds,
    time_ticks,
)
from tests.admin.charts import NARROW, WIDE, after, minutes
from tests.api.helpers import NOON


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (timedelta(seconds=8), ["12:00:00", "12:00:01", "12:00:02", "12:00:03"]),
        (minutes(9), [f"12:0{each}" for each in range(10)]),
        (minutes(200), ["12:00", "12:30", "13:00", "13:30", "14:00", "14:30", "15:00"]),
        (timedelta(hours=20), ["12:00", "14:00", "16:00", "18:00", "20:00", "22:00", "26 Mar"]),
        (timedelta(days=3), ["12:00", "26 Mar", "12:00", "27 Mar", "12:00", "28 Mar", "12:00"]),
        (timedelta(days=20), ["26 Mar", "28 Mar", "30 Mar"]),
        (timedelta(days=60), ["30 Mar", "6 Apr", "13 Apr"]),
        (timedelta(days=900), ["Aug 2026", "Feb 2027", "Aug 2027"]),
    ],
)
def test_the_ticks_of_time(span: timedelta, labels: list[str]) -> None:
    ticks = time_ticks(seconds(NOON), seconds(NOON + span), WIDE)
    assert [each.label for each in ticks][: len(labels)] == labels
    assert 3 <= len(ticks) <= 11
    assert len(time_ticks(seconds(NOON), seconds(NOON + span), NARROW)) <= 5


def test_ticks_are_round_in_the_current_zone() -> None:
    with timezone.override(ZoneInfo("Asia/Kathmandu")):  # 5 h 45 min ahead
        ticks = time_ticks(seconds(NOON), seconds(after(200)), WIDE)
        assert [each.label for each in ticks][:3] == ["18:00", "18:30", "19:00"]
        assert period_of(seconds(NOON), seconds(after(200))) == "25 Mar 17:45 – 21:05"


def test_the_last_day_is_named_where_it_began_earlier() -> None:
    with timezone.override(ZoneInfo("Pacific/Kiritimati")):  # 14 h ahead
        start = datetime(2026, 3, 25, 12, tzinfo=UTC)
        end = start + timedelta(days=12, hours=23)
        assert time_ticks(seconds(start), seconds(end), WIDE)[-1].label == "7 Apr"


def test_ticks_across_a_change_of_the_clock() -> None:
    saturday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        ticks = time_ticks(seconds(saturday), seconds(saturday + timedelta(days=2)), WIDE)
        assert [each.label for each in ticks] == [
            "18:00",
            "29 Mar",
            "06:00",
            "12:00",
            "18:00",
            "30 Mar",
            "06:00",
            "12:00",
        ]
        # That Sunday has 23 hours.
        assert ticks[2].place - ticks[1].place == pytest.approx(568 * 5 / 48, abs=0.2)


def test_a_label_without_room_is_left_out() -> None:
    ticks = time_ticks(seconds(NOON), seconds(after(200)), NARROW)
    assert all(room_of(each.label) / 2 <= each.place for each in ticks)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10 k"),
        (12_560, "12.5 k"),
        (999_999, "999 k"),
        (1_250_000, "1.25 M"),
        (2**62, "4.61 E"),
        (-12_500, "-12.5 k"),
    ],
)
def test_counts_are_written_short(value: int, written: str) -> None:
    assert compact(value) == written


@pytest.mark.parametrize(
    ("peak", "values"),
    [
        (0, [0, 1]),
        (3, [0, 1, 2, 3]),
        (7, [0, 2, 4, 6, 8]),
        (9_000, [0, 5_000, 10_000]),
        (2**62, [0, 2 * 10**18, 4 * 10**18, 6 * 10**18]),
    ],
)
def test_the_ticks_of_counts(peak: int, values: list[int]) -> None:
    assert count_ticks(peak) == values
