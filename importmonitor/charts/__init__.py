"""Small charts for the admin: inline SVG made on the server, with the same in words and numbers.

Nothing here queries the database: rows go in, and markup comes out that needs neither a script nor
an inline style, only `charts.css` (and `admin.css`, whose colours it uses). Each chart is one
drawing that fits any width: across, positions are percentages; down, they are pixels, so text
and hatches are never stretched.
"""

from importmonitor.charts.availability import availability, availability_strip
from importmonitor.charts.durations import durations_chart
from importmonitor.charts.progress import progress_chart
from importmonitor.charts.runs import Run, runs_chart
from importmonitor.charts.weeks import Week, weeks_chart

__all__ = [
    "Run",
    "Week",
    "availability",
    "availability_strip",
    "durations_chart",
    "progress_chart",
    "runs_chart",
    "weeks_chart",
]
