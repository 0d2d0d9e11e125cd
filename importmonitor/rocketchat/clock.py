"""Rocket.Chat's clock, by the Date header of its responses (RFC 9110, section 6.6.1)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: A greater difference is worth a remark; times are corrected by a smaller one too.
SMALL_OFFSET = timedelta(minutes=1)
#: A greater difference is no clock's: the header is a proxy's from its cache, or made up.
_MAX_OFFSET = timedelta(days=1)
# The header has no fractions of seconds: on average it is half a second behind.
_MEAN_FRACTION = timedelta(seconds=0.5)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the time of a response by the server's clock, None if it is absent or unreadable."""
    try:
        moment = parsedate_to_datetime(headers.get("Date", ""))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def clock_offset(headers: Mapping[str, str], received_at: datetime) -> timedelta | None:
    """Return how far the server's clock is ahead of ours, exact to about a second.

    None if the response does not say. A response from a cache has the time at which it was made.
    """
    moment = server_time(headers)
    if moment is None or "Age" in headers:
        return None
    try:
        offset = moment + _MEAN_FRACTION - received_at
    except OverflowError:
        return None
    return offset if abs(offset) <= _MAX_OFFSET else None
