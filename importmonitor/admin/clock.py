"""How Rocket.Chat's clock differs from this server's, in words."""

from datetime import timedelta

from django.utils.translation import gettext as _

from importmonitor import humanize
from importmonitor.models import Workspace

#: A greater offset is shown.
_MAX_OFFSET = timedelta(minutes=1)


def line(workspace: Workspace) -> str:
    """Return how the clock differs, or that it does not."""
    if workspace.clock_offset is None:
        return _("Not measured")
    return notable_line(workspace) or _("Right, within a minute")


def notable_line(workspace: Workspace) -> str:
    """Return how the clock differs by more than a minute, "" if it does not."""
    offset = workspace.clock_offset
    if offset is None or abs(offset) <= _MAX_OFFSET:
        return ""
    text = (
        _("Rocket.Chat's clock is %(time)s ahead of this server's.")
        if offset > timedelta(0)
        else _("Rocket.Chat's clock is %(time)s behind this server's.")
    )
    return text % {"time": humanize.format_duration(abs(offset))}
