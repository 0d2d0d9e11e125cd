"""How long an import took, beside the earlier ones of its kind, as small bars."""

from collections.abc import Sequence
from datetime import datetime

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from importmonitor.charts.scales import seconds, short_time
from importmonitor.humanize import format_duration
from importmonitor.models import ImportOperation

#: In pixels.
HEIGHT, STEP, WIDTH = 32, 12, 9


def durations_chart(
    operation: ImportOperation, earlier: Sequence[ImportOperation], now: datetime
) -> SafeString:
    """Draw a bar for each import, oldest first; the last is the import itself.

    `earlier` are the newest first. The words beside the chart have its range, so that it is hidden
    from screen readers.
    """
    rows = [*reversed(earlier), operation]
    longest = max(row.duration(now).total_seconds() for row in rows) or 1
    bars = []
    for number, row in enumerate(rows):
        duration = row.duration(now)
        height = max(2, round(HEIGHT * duration.total_seconds() / longest))
        title = f"{short_time(seconds(row.started_at), '%H:%M')}: {format_duration(duration)}"
        bars.append({"x": number * STEP, "y": HEIGHT - height, "height": height, "title": title})
    context = {"bars": bars, "height": HEIGHT, "width": len(rows) * STEP, "bar_width": WIDTH}
    return render_to_string("importmonitor/charts/durations.html", context)
