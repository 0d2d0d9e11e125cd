"""Words that pages, messages and commands share."""

from datetime import timedelta

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor.events import Event

#: How a look went: well, or by the kind of the error.
LOOKS = {
    "ok": gettext_lazy("well"),
    "empty": gettext_lazy("well: nothing was ever imported"),
    "Unreachable": gettext_lazy("unreachable"),
    "RateLimited": gettext_lazy("rate limited"),
    "Unauthenticated": gettext_lazy("credentials refused"),
    "PermissionMissing": gettext_lazy("permission missing"),
    "TwoFactorRequired": gettext_lazy("asked for a second factor"),
    "NotRocketChat": gettext_lazy("not Rocket.Chat"),
    "BadAnswer": gettext_lazy("unreadable answer"),
}
EVENTS = {
    Event.STARTED: gettext_lazy("import started"),
    Event.WAITING: gettext_lazy("import waits for somebody"),
    Event.FINISHED: gettext_lazy("import finished"),
    Event.FAILED: gettext_lazy("import failed"),
    Event.INTERRUPTED: gettext_lazy("import was interrupted"),
    Event.STALLED: gettext_lazy("import has stalled"),
    Event.RESUMED: gettext_lazy("import moves again"),
    Event.UNREACHABLE: gettext_lazy("imports cannot be looked at"),
    Event.RECOVERED: gettext_lazy("imports can be looked at again"),
}

#: Rocket.Chat's own importers, those of them whose names are words.
IMPORTERS = {
    "slack-users": gettext_lazy("Slack users"),
    "pending-files": gettext_lazy("Pending files"),
    "pending-avatars": gettext_lazy("Pending avatars"),
    "omnichannel_contact": gettext_lazy("Omnichannel contacts"),
}


def look(outcome: str) -> str:
    """Tell how a look went; what another version knows of has its own name."""
    return str(LOOKS.get(outcome, outcome))


def event(name: str) -> str:
    """Name an event; one of another version, or a test, has its own name."""
    try:
        return str(EVENTS[Event(name)])
    except ValueError:
        return name


def number(value: float, digits: int = 0) -> str:
    """Write a number with so many decimals, grouped as people of the active language do."""
    # Rounded first: Django cuts off what it does not show.
    return formats.number_format(round(value, digits or None), digits, force_grouping=True)


def lasting(length: timedelta) -> str:
    """Write a duration as people say it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    seconds = int(length.total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if seconds < 60:
        return _("%(seconds)d s") % {"seconds": seconds}
    if minutes < 60:
        return _("%(minutes)d min") % {"minutes": minutes}
    if hours < 24:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes % 60}
    return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}
