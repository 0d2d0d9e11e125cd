"""What columns of the history show: exact times without a mouse too, and records by kind."""

from datetime import datetime, timedelta

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from importmonitor.admin import display
from importmonitor.admin.times import format_minute
from importmonitor.models import ImportOperation

#: After this long, how long ago it was says less than the date.
RECENT = timedelta(days=1)


def compact_time(moment: datetime | None) -> SafeString:
    """Return how long ago a time was, with the time of day; after a day, the date and the time."""
    if moment is None:
        return SafeString(display.EMPTY)
    if timedelta(0) <= timezone.now() - moment < RECENT:
        return format_html(
            # On two lines in a narrow column.
            '{}&#32;<span class="im-quiet im-clock">({})</span>',
            display.time_since(moment),
            f"{timezone.localtime(moment):%H:%M}",
        )
    # The date is not separated from its month, nor from the time.
    text = format_minute(moment).replace(" ", "\N{NO-BREAK SPACE}")
    return display.time_tag(moment, text)


@admin.display(description=_("users"))
def users(operation: ImportOperation) -> str:
    return display.format_count(operation.count_users)


@admin.display(description=_("channels"))
def channels(operation: ImportOperation) -> str:
    return display.format_count(operation.count_channels)


@admin.display(description=_("messages"))
def messages(operation: ImportOperation) -> str:
    return display.format_count(operation.count_messages)
