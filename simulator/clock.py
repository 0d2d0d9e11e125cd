"""The clock of a simulated workspace, and the formats of Rocket.Chat's times."""

import threading
import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that is moved by hand, or runs at any speed. Thread-safe.

    Args:
        start: the initial time, an aware datetime.
        speed: simulated seconds per real second, at least 0; 0 makes a manual clock.

    Raises:
        ValueError: if `start` is naive or `speed` negative.
    """

    def __init__(self, start: datetime, speed: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._anchor = _in_utc(start)
        self._real = time.monotonic()
        self._speed = _validate_speed(speed)

    def now(self) -> datetime:
        """Return the present time, aware and in UTC."""
        with self._lock:
            return self._now()

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`; raises ValueError if they are negative."""
        if seconds < 0:
            raise ValueError(f"a clock cannot be advanced by {seconds} seconds")
        with self._lock:
            self._move_to(self._now() + timedelta(seconds=seconds))

    def set(self, moment: datetime) -> None:
        """Move forward to `moment`; raises ValueError if it is naive or in the past."""
        moment = _in_utc(moment)
        with self._lock:
            if moment < self._now():
                raise ValueError(f"a clock cannot go back to {moment.isoformat()}")
            self._move_to(moment)

    @property
    def speed(self) -> float:
        """Simulated seconds per real second; setting it does not change the present time."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        with self._lock:
            self._move_to(self._now())
            self._speed = _validate_speed(speed)

    def _now(self) -> datetime:
        return self._anchor + timedelta(seconds=(time.monotonic() - self._real) * self._speed)

    def _move_to(self, moment: datetime) -> None:
        self._anchor = moment
        self._real = time.monotonic()


def whole_milliseconds(moment: datetime) -> datetime:
    """Return `moment` cut to milliseconds, the precision of Rocket.Chat's times."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_milliseconds(moment: datetime) -> int:
    """Return the milliseconds from 1970 to the aware `moment`, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def to_iso(moment: datetime) -> str:
    """Return the aware `moment` as Rocket.Chat sends it: `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="milliseconds") + "Z"


def parse_time(value: object) -> datetime | None:
    """Return the time of a document's value as an aware datetime in UTC.

    Args:
        value: integer milliseconds, the same as a string of digits, or an ISO string.

    Returns:
        None if the value is not a time that a datetime can hold.
    """
    try:
        if isinstance(value, str) and not value.isdigit():
            return _in_utc(datetime.fromisoformat(value))
        if isinstance(value, str | int) and not isinstance(value, bool):
            return EPOCH + timedelta(milliseconds=int(value))
    except (ValueError, OverflowError):
        pass
    return None


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)


def _validate_speed(speed: float) -> float:
    if speed < 0:
        raise ValueError(f"a clock cannot run at the speed {speed}")
    return speed
