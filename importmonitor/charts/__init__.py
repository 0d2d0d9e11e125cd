"""Small charts for the faces: inline SVG made on the server, with the same in words and numbers.

Nothing here asks the database: rows go in, and markup comes out that needs neither a script nor
an inline style, only `charts.css` (and `admin.css`, whose colours it uses). Where things are
drawn is worked out apart from drawing them, in plain numbers; the templates only put them down.
"""

from importmonitor.charts.availability import availability_strip
from importmonitor.charts.progress import progress_chart
from importmonitor.charts.weeks import Week, weeks_chart

__all__ = ["Week", "availability_strip", "progress_chart", "weeks_chart"]
