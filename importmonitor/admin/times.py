"""Times on the admin's pages, in one format: 28 Nov 13:37:04.

The zone is not repeated: a page names it once, in its footer.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import npgettext_lazy

from importmonitor import humanize
from importmonitor.admin.display import EMPTY
from importmonitor.charts.scales import short_date

#: After this long, how long ago it was says less than the date.
RECENT = timedelta(days=1)
_SPACE_BEFORE_NUMBER = re.compile(r" (?=[0-9])")
# Django's units are in the nominative, but German "vor" ("ago") takes the dative.
UNITS: dict[str, Any] = {
    "year": npgettext_lazy("how long ago", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("how long ago", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("how long ago", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("how long ago", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("how long ago", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("how long ago", "%(num)d minute", "%(num)d minutes", "num"),
}


def format_time(moment: datetime | None, day: datetime | None = None) -> SafeString:
    """Return a time as 28 Nov 13:37:04, or as 13:37:04 if it is on the day of `day`."""
    if moment is None:
        return SafeString(EMPTY)
    local = timezone.localtime(moment)
    text = f"{local:%H:%M:%S}"
    if day is None or timezone.localtime(day).date() != local.date():
        text = f"{format_day(local)} {text}"
    # The day is not separated from its month, nor from the time.
    return _time_tag(moment, text.replace(" ", "\N{NO-BREAK SPACE}"))


def format_minute(moment: datetime) -> str:
    """Return a time as 28 Nov 13:37, for a title."""
    local = timezone.localtime(moment)
    return f"{format_day(local)} {local:%H:%M}"


def format_day(day: date) -> str:
    """Return a day as 28 Nov, with the year unless it is this one."""
    text = short_date(day)
    return text if day.year == timezone.localdate().year else f"{text} {day.year}"


def format_utc(moment: datetime) -> str:
    """Return a time as logs have it, and as programs read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def time_since(moment: datetime | None) -> SafeString:
    """Return how long ago a time was, with the exact time on hover."""
    if moment is None:
        return SafeString(EMPTY)
    now = timezone.now()
    if now - moment < timedelta(seconds=2):
        text = _("just now")
    elif now - moment < timedelta(minutes=1):
        text = _("%(time)s ago") % {"time": humanize.format_duration(now - moment)}
    else:
        text = _("%(time)s ago") % {"time": timesince(moment, now, time_strings=UNITS, depth=1)}
    # In a narrow column, a number is not separated from the word before it. Its unit follows after
    # such a space already.
    return _time_tag(moment, _SPACE_BEFORE_NUMBER.sub("\N{NO-BREAK SPACE}", text))


def compact_time(moment: datetime | None) -> SafeString:
    """Return a time for a list: how long ago with the time of day; after a day, the date."""
    if moment is None:
        return SafeString(EMPTY)
    if timedelta(0) <= timezone.now() - moment < RECENT:
        return format_html(
            # On two lines in a narrow column.
            '{}&#32;<span class="im-quiet im-clock">({})</span>',
            time_since(moment),
            f"{timezone.localtime(moment):%H:%M:%S}",
        )
    return format_time(moment)


def _time_tag(moment: datetime, text: str) -> SafeString:
    """Return a time with its text, and with its zone and year on hover."""
    local = timezone.localtime(moment)
    exact = f"{formats.date_format(local, 'DATE_FORMAT')} {local:%H:%M:%S %Z}"
    return format_html(
        '<time datetime="{}" title="{}" dir="auto">{}</time>', moment.isoformat(), exact, text
    )
