"""Numbers, times and durations as people write them."""

from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.translation import gettext as _


def format_number(value: float, digits: int = 0) -> str:
    """Return a number with `digits` decimals, grouped as in the active language."""
    # Rounded first: Django cuts off the decimals that it does not show.
    return formats.number_format(round(value, digits or None), digits, force_grouping=True)


def format_duration(duration: timedelta) -> str:
    """Return a duration as people write it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    seconds = int(duration.total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if seconds < 60:
        return _("%(seconds)d s") % {"seconds": seconds}
    if minutes < 60:
        return _("%(minutes)d min") % {"minutes": minutes}
    if hours < 24:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes % 60}
    return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}


def format_span(start: str, end: str) -> str:
    """Return how long it is from one ISO 8601 time to another."""
    return format_duration(datetime.fromisoformat(end) - datetime.fromisoformat(start))


def format_time_of_day(moment: str, at: str) -> str:
    """Return an ISO 8601 time as hours and minutes, with its date if `at` is not of that day."""
    time, now = (timezone.localtime(datetime.fromisoformat(text)) for text in (moment, at))
    return f"{time:%H:%M}" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M}"


def format_moment(moment: str | None) -> str:
    """Return an ISO 8601 time as people read it, in the active time zone; "" for none."""
    if moment is None:
        return ""
    return f"{timezone.localtime(datetime.fromisoformat(moment)):%Y-%m-%d %H:%M:%S %Z}"
