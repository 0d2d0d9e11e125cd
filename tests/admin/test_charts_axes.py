"""The time axis of the charts, and how they write times and counts."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from importmonitor.charts.scales import Tick, compact, format_period, seconds, time_ticks
from tests.admin.charts import after, minutes
from tests.api.helpers import NOON


def ticks(start: datetime, span: timedelta) -> list[Tick]:
    return time_ticks(seconds(start), seconds(start + span))


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (timedelta(seconds=8), ["12:00:00", "12:00:02", "12:00:04", "12:00:06", "12:00:08"]),
        (minutes(9), ["12:00", "12:02", "12:04", "12:06", "12:08"]),
        (minutes(200), ["12:00", "13:00", "14:00", "15:00"]),
        (timedelta(hours=20), ["12:00", "18:00", "26 Mar", "06:00"]),
        (timedelta(days=3), ["26 Mar", "27 Mar", "28 Mar"]),
        (timedelta(days=20), ["26 Mar", "30 Mar", "3 Apr", "7 Apr", "11 Apr"]),
        (timedelta(days=900), ["Jul 2026", "Dec 2026", "Jun 2027", "Dec 2027", "Jun 2028"]),
    ],
)
def test_time_axis_has_a_few_round_ticks(span: timedelta, labels: list[str]) -> None:
    assert [tick.label for tick in ticks(NOON, span)] == labels


def test_ticks_are_round_in_the_current_zone() -> None:
    with timezone.override(ZoneInfo("Asia/Kathmandu")):  # 5 h 45 min ahead
        assert [tick.label for tick in ticks(NOON, minutes(200))] == [
            "18:00",
            "19:00",
            "20:00",
            "21:00",
        ]
        assert format_period(seconds(NOON), seconds(after(200))) == "25 Mar 17:45 – 21:05"


def test_ticks_stay_round_when_the_clocks_change() -> None:
    saturday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        result = ticks(saturday, timedelta(days=2))
        assert [tick.label for tick in result] == ["29 Mar", "12:00", "30 Mar", "12:00"]
        # That Sunday has 23 hours.
        assert result[1].position - result[0].position == pytest.approx(100 * 11 / 48, abs=0.02)


@pytest.mark.parametrize(
    ("start", "end", "written"),
    [
        (0, 1, "25 Mar 12:00:00 – 12:01:00"),
        (0, 60 * 24, "25 Mar 12:00 – 26 Mar 12:00"),
        (0, 60 * 24 * 365, "25 Mar 2026 12:00 – 25 Mar 2027 12:00"),
    ],
)
def test_period_is_as_exact_as_needed(start: float, end: float, written: str) -> None:
    assert format_period(seconds(after(start)), seconds(after(end))) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (12_560, "12.5 k"),
        (999_999, "999.9 k"),
        (1_250_000, "1.2 M"),
        (2**62, "4.6 E"),
        (-12_500, "-12.5 k"),
    ],
)
def test_compact_count_is_short_and_rounded_down(value: int, written: str) -> None:
    assert compact(value) == written
