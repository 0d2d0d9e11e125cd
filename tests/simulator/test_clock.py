"""The simulated clock, and the formats of Rocket.Chat's times."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from simulator.clock import Clock, parse_time, to_iso, to_milliseconds, whole_milliseconds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_manual_clock_moves_only_by_hand() -> None:
    clock = Clock(NOON)
    time.sleep(0.002)
    assert clock.now() == NOON
    clock.advance(90.5)
    assert clock.now() == NOON + timedelta(seconds=90.5)
    clock.set(datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=1))))
    assert clock.now() == datetime(2026, 3, 2, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


def test_clock_runs_at_its_speed_and_stops() -> None:
    clock = Clock(NOON, speed=36_000)
    time.sleep(0.01)
    assert clock.now() >= NOON + timedelta(seconds=360)
    clock.speed = 0
    stopped = clock.now()
    time.sleep(0.002)
    assert clock.now() == stopped
    assert clock.speed == 0


def test_invalid_times_and_speeds_are_rejected() -> None:
    clock = Clock(NOON)
    with pytest.raises(ValueError, match="go back"):
        clock.set(NOON - timedelta(microseconds=1))
    with pytest.raises(ValueError, match="advanced by -1"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="speed -1"):
        clock.speed = -1
    with pytest.raises(ValueError, match="no time zone"):
        Clock(NOON.replace(tzinfo=None))


def test_times_are_cut_to_milliseconds() -> None:
    moment = datetime(2021, 10, 27, 12, 20, 34, 169_999, tzinfo=UTC)
    assert to_iso(moment) == "2021-10-27T12:20:34.169Z"
    assert to_milliseconds(moment) == 1635337234169
    assert whole_milliseconds(moment).microsecond == 169_000


@pytest.mark.parametrize("value", ["2021-10-27T12:20:34.169Z", 1635337234169, "1635337234169"])
def test_time_is_parsed_in_every_format(value: object) -> None:
    assert parse_time(value) == datetime(2021, 10, 27, 12, 20, 34, 169_000, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, True, {}, 1.5, "soon", "2021-10-27", 10**20, "9" * 5000])
def test_other_values_are_no_time(value: object) -> None:
    assert parse_time(value) is None
