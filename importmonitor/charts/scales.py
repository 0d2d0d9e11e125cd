"""Where a value stands on an axis, which values an axis names, and how they are written."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import NamedTuple

from django.utils import formats, timezone
from django.utils.translation import pgettext

#: Height of the letters in a chart, and about as much as one takes in width (DejaVu is wide).
LETTER_HEIGHT = 11
LETTER_WIDTH = 6.4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A year from the ends of what a datetime holds, so that no time zone leads past them.
_FIRST = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_LAST = (datetime(9998, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: What a time axis may count in, in seconds; each at most two and a half times the one before.
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * each for each in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * each for each in (1, 2, 3, 6, 12)),
    *(_DAY * each for each in (1, 2, 4, 7, 14, 28, 56, 91, 182, 364, 728)),
    *(_DAY * 364 * each for each in (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)),
)
#: From this step on a date needs its year, and less its day.
_LONG_STEP = 91 * _DAY
#: The least distance between two ticks of a time axis, and where they have seconds or years.
_TICK_ROOM, _LONG_TICK_ROOM = 56, 68

_PREFIXES = " kMGTPE"
_LONGEST_COUNT = 10**21 - 1


@dataclass(frozen=True)
class Frame:
    """A drawing's size and margins, in the units of its viewBox, which is about a pixel each.

    Each chart is drawn for a wide and for a narrow place, so that its letters stay readable
    in both: CSS shows the one that fits.
    """

    name: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def floor(self) -> int:
        """Where the time axis lies."""
        return self.height - self.bottom

    @property
    def end(self) -> int:
        """Where the time axis ends."""
        return self.width - self.right


class Tick(NamedTuple):
    """A named place on an axis; without a label there was no room for it."""

    place: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Takes the values from `low` to `high` to the places from `start` to `end`.

    What lies outside is taken to the nearest end.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return self.start
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)


def seconds(moment: datetime) -> float:
    """Return a time as seconds since 1970, no nearer than a year to what a datetime holds."""
    if timezone.is_naive(moment):
        moment = moment.replace(tzinfo=UTC)
    return min(_LAST, max(_FIRST, (moment - _EPOCH).total_seconds()))


def local(at: float) -> datetime:
    """Return seconds since 1970 as a time in the current time zone."""
    return timezone.localtime(_EPOCH + timedelta(seconds=at))


def room_of(text: str) -> float:
    """Return about how wide a text will be."""
    return len(text) * LETTER_WIDTH


def time_ticks(start: float, end: float, frame: Frame) -> list[Tick]:
    """Return the ticks of a time axis at their places, at round times of the current zone."""
    scale = Scale(start, end, frame.left, frame.end)
    unit = (end - start) / (frame.end - frame.left)
    step = next((each for each in _STEPS if each >= unit * _tick_room(each)), _STEPS[-1])
    ticks: list[Tick] = []
    taken = 0.0
    for at in _round_times(start, end, step):
        place, label = scale(at), _time_label(at, step)
        half = room_of(label) / 2
        if place - half < taken or place + half > frame.width:
            label = ""
        else:
            taken = place + half + LETTER_WIDTH
        ticks.append(Tick(place, label))
    return ticks


def _round_times(start: float, end: float, step: int) -> list[float]:
    """Return the times that are whole steps by the local clock, whatever it does in between."""
    first = local(start)
    if step <= _HOUR:
        offset = (first.utcoffset() or timedelta(0)).total_seconds()
        begin = ceil((start + offset) / step) * step - offset
        return [begin + step * each for each in range(int((end - begin) // step) + 1)]
    days = max(1, step // _DAY)
    # The first of January of the year 1 was a Monday: whole weeks begin on one.
    ordinal = first.toordinal() - (first.toordinal() - 1) % days
    midnight = datetime.fromordinal(ordinal)
    last, each_step = local(end).replace(tzinfo=None), timedelta(seconds=step)
    wall = [midnight + each * each_step for each in range((last - midnight) // each_step + 1)]
    times = [seconds(each.replace(tzinfo=first.tzinfo)) for each in wall]
    return [each for each in times if start <= each <= end]


def _tick_room(step: int) -> int:
    return _TICK_ROOM if _MINUTE <= step < _LONG_STEP else _LONG_TICK_ROOM


def _time_label(at: float, step: int) -> str:
    moment = local(at)
    if step >= _LONG_STEP:
        return formats.date_format(moment, pgettext("date format: month and year", "M Y"))
    if step >= _DAY or (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return short_date(moment)
    return f"{moment:%H:%M:%S}" if step < _MINUTE else f"{moment:%H:%M}"


def short_date(day: date) -> str:
    """Write a day as it fits under an axis: 12 Oct."""
    return formats.date_format(day, pgettext("date format: day and month", "j M"))


def short_minute(at: float) -> str:
    """Write a time without year and seconds: 12 Oct 14:03."""
    moment = local(at)
    return f"{short_date(moment)} {moment:%H:%M}"


def short_time(at: float) -> str:
    """Write a time without its year: 12 Oct 14:03:20."""
    moment = local(at)
    return f"{short_date(moment)} {moment:%H:%M:%S}"


def period_of(start: float, end: float) -> str:
    """Write from when to when: 12 Oct 14:03 – 17:20; the second day, and the years, if others."""
    first, last = local(start), local(end)
    # To the second where minutes would not tell the two apart.
    clock = "%H:%M:%S" if end - start < 2 * _MINUTE else "%H:%M"
    days = [short_date(each) for each in (first, last)]
    if first.year != last.year:
        days = [f"{day} {each.year}" for day, each in zip(days, (first, last), strict=True)]
    day = "" if first.date() == last.date() else f"{days[1]} "
    return f"{days[0]} {first.strftime(clock)} – {day}{last.strftime(clock)}"


def count_ticks(peak: int, most: int = 4) -> list[int]:
    """Return the values that an axis of counts names, from 0 to one at or above the peak."""
    peak = max(1, peak)
    step = 1
    for factor in _factors(len(str(peak))):
        step = factor
        if step * most >= peak:
            break
    return list(range(0, -(-peak // step) * step + 1, step))


def _factors(digits: int) -> list[int]:
    return [factor * 10**power for power in range(digits) for factor in (1, 2, 5)]


def grouped(value: int) -> str:
    """Write a count with separators."""
    return formats.number_format(value, force_grouping=True)


def compact(value: int) -> str:
    """Write a count in at most six letters, rounded down: 9,999, 12.5 k, 4.61 E."""
    if value < 0:
        return f"-{compact(-value)}"
    if value < 10_000:
        return grouped(value)
    value = min(value, _LONGEST_COUNT)
    power = (len(str(value)) - 1) // 3
    decimals = 2 - (len(str(value)) - 1) % 3
    scaled = value // 10 ** (3 * power - decimals)
    while decimals and scaled % 10 == 0:
        scaled, decimals = scaled // 10, decimals - 1
    return f"{formats.number_format(scaled / 10**decimals, decimals)} {_PREFIXES[power]}"
