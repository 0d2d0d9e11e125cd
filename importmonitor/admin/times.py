"""Times on an import's page: to the second, with the date where it is not the day of reference."""

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.safestring import SafeString

from importmonitor.admin import display
from importmonitor.charts.scales import short_date


def format_time(moment: datetime | None, day: datetime | None = None) -> SafeString:
    """Return a time as 13:37:04, or as 28 Nov 13:37:04 if it is not on that day.

    The zone is not repeated: a page names it once.
    """
    if moment is None:
        return SafeString(display.EMPTY)
    text = timezone.localtime(moment).strftime("%H:%M:%S")
    if day is None or timezone.localtime(day).date() != timezone.localtime(moment).date():
        text = f"{_format_day(moment)} {text}"
    return display.time_tag(moment, text)


def format_minute(moment: datetime) -> str:
    """Return a time as 28 Nov 13:37."""
    return f"{_format_day(moment)} {timezone.localtime(moment):%H:%M}"


def _format_day(moment: datetime) -> str:
    """Return the day of a time as 28 Nov, with the year unless it is this one."""
    local = timezone.localtime(moment)
    day = short_date(local)
    return day if local.year == timezone.localtime().year else f"{day} {local.year}"


def format_utc(moment: datetime) -> str:
    """Return a time as logs have it, and as programs read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
