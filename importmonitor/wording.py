"""Words that pages, messages and commands share."""

from datetime import timedelta

from django.utils.translation import gettext as _


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
