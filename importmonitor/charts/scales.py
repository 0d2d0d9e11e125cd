"""Positions on an axis, the ticks of a time axis, and how charts write times and counts."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import NamedTuple

from django.utils import formats, timezone
from django.utils.translation import pgettext

from importmonitor.humanize import format_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A year from the limits of datetime, so that no time zone leads past them.
_MIN = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_MAX = (datetime(9998, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()

#: A Monday, so whole weeks counted from it begin on one.
_FIRST_DAY = datetime.min  # noqa: DTZ901 - by the wall clock
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: The steps of a time axis in seconds; longer ones are whole days.
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * count for count in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * count for count in (1, 2, 3, 6, 12)),
)
#: As many labels fit under a chart on a phone.
_MAX_STEPS = 5
#: From this step on, a label is a month with its year.
_MONTHS_STEP = 90 * _DAY


class Tick(NamedTuple):
    """A labelled position on an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to positions from `start` to `end`.

    A value outside is mapped to the nearest end.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return self.start
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 2)


def seconds(moment: datetime) -> float:
    """Return a time as seconds since 1970, at least a year from the limits of datetime."""
    if timezone.is_naive(moment):
        moment = moment.replace(tzinfo=UTC)
    return min(_MAX, max(_MIN, (moment - _EPOCH).total_seconds()))


def local(at: float) -> datetime:
    """Return seconds since 1970 as a time in the current time zone."""
    return timezone.localtime(_EPOCH + timedelta(seconds=at))


def time_ticks(start: float, end: float) -> list[Tick]:
    """Return at most six ticks in percent, at round times of the current time zone."""
    span = end - start
    days = ceil(span / _MAX_STEPS / _DAY)
    step = next((step for step in _STEPS if step * _MAX_STEPS >= span), days * _DAY)
    # By the wall clock, so that ticks stay round when the clocks change.
    first, last = local(start), local(end).replace(tzinfo=None)
    wall, delta = first.replace(tzinfo=None), timedelta(seconds=step)
    wall -= (wall - _FIRST_DAY) % delta
    walls = [wall + delta * count for count in range((last - wall) // delta + 1)]
    # Sorted: a time that the clocks skip is that of an hour later.
    times = sorted({seconds(wall.replace(tzinfo=first.tzinfo)) for wall in walls})
    across = Scale(start, end, 0, 100)
    return [Tick(across(at), _time_label(at, step)) for at in times if start <= at <= end]


def day_ticks(start: float, end: float) -> list[Tick]:
    """Return a tick in percent at each midnight of the current time zone."""
    across = Scale(start, end, 0, 100)
    ticks = []
    day = local(start).date() + timedelta(days=1)
    while (at := seconds(midnight(day))) <= end:
        ticks.append(Tick(across(at), short_date(day)))
        day += timedelta(days=1)
    return ticks


def midnight(day: date) -> datetime:
    """Return when a day begins in the current time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


def _time_label(at: float, step: int) -> str:
    moment = local(at)
    if step >= _MONTHS_STEP:
        return formats.date_format(moment, pgettext("date format: month and year", "M Y"))
    if step >= _DAY or (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return short_date(moment)
    return f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%H:%M}"


def short_date(day: date) -> str:
    """Return a day as 12 Oct."""
    return formats.date_format(day, pgettext("date format: day and month", "j M"))


def short_time(at: float, clock: str = "%H:%M:%S") -> str:
    """Return a time without its year: 12 Oct 14:03:20."""
    moment = local(at)
    return f"{short_date(moment)} {moment.strftime(clock)}"


def format_period(start: float, end: float) -> str:
    """Return a period as 12 Oct 14:03 – 17:20; with the second day, and the years, if different."""
    first, last = local(start), local(end)
    # To the second where minutes would not tell the two apart.
    clock = "%H:%M:%S" if end - start < 2 * _MINUTE else "%H:%M"
    days = [short_date(first), short_date(last)]
    if first.year != last.year:
        days = [f"{days[0]} {first.year}", f"{days[1]} {last.year}"]
    day = "" if first.date() == last.date() else f"{days[1]} "
    return f"{days[0]} {first.strftime(clock)} – {day}{last.strftime(clock)}"


def compact(value: int) -> str:
    """Return a count in at most seven characters, rounded down: 9,999, 12.5 k, 4.6 E."""
    if abs(value) < 10_000:
        return format_number(value)
    power = min(6, (len(str(abs(value))) - 1) // 3)
    tenths = abs(value) // 10 ** (3 * power - 1)
    scaled = format_number(tenths / 10 if value > 0 else -tenths / 10, digits=1)
    return f"{scaled} {' kMGTPE'[power]}"
