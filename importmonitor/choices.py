"""The values that rows, settings and webhooks name, and their labels."""

from enum import StrEnum

from django.utils.translation import gettext_lazy as _


class Event(StrEnum):
    """Something worth an alert.

    An operation's end is one of FINISHED, FAILED and INTERRUPTED. FINISHED covers every end that
    needs no attention; the outcome in the message says which one.
    """

    STARTED = "import.started"
    WAITING = "import.waiting"
    FINISHED = "import.finished"
    FAILED = "import.failed"
    INTERRUPTED = "import.interrupted"
    STALLED = "import.stalled"
    RESUMED = "import.resumed"
    UNREACHABLE = "workspace.unreachable"
    RECOVERED = "workspace.recovered"


EVENT_LABELS = {
    Event.STARTED: _("Import started"),
    Event.WAITING: _("Import waiting for input"),
    Event.FINISHED: _("Import finished"),
    Event.FAILED: _("Import failed"),
    Event.INTERRUPTED: _("Import interrupted"),
    Event.STALLED: _("Import stalled"),
    Event.RESUMED: _("Import resumed"),
    Event.UNREACHABLE: _("Workspace unreachable"),
    Event.RECOVERED: _("Workspace reachable again"),
}

#: The result of a successful poll, with an operation and without one; else the error's kind.
OK, EMPTY = GOOD_STATUSES = ("ok", "empty")

SYNC_STATUS_LABELS = {
    "ok": _("OK"),
    "empty": _("OK: nothing was ever imported"),
    "Unreachable": _("Unreachable"),
    "RateLimited": _("Rate limited"),
    "Unauthenticated": _("Credentials refused"),
    "PermissionMissing": _("Permission missing"),
    "TwoFactorRequired": _("Second factor required"),
    "NotRocketChat": _("Not Rocket.Chat"),
    "BadAnswer": _("Unreadable response"),
    "InternalError": _("Internal error"),
}

#: Those of Rocket.Chat's own importers whose names are words.
IMPORTER_LABELS = {
    "slack-users": _("Slack users"),
    "pending-files": _("Pending files"),
    "pending-avatars": _("Pending avatars"),
    "omnichannel_contact": _("Omnichannel contacts"),
}


def sync_status_label(status: str) -> str:
    """Return the label of a sync status; one from another version is its own label."""
    return str(SYNC_STATUS_LABELS.get(status, status))


def event_label(name: str) -> str:
    """Return the label of an event; a test, or one from another version, is its own label."""
    try:
        return str(EVENT_LABELS[Event(name)])
    except ValueError:
        return name
