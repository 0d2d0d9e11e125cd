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
    UNUSUAL = "import.unusual"
    UNREACHABLE = "workspace.unreachable"
    RECOVERED = "workspace.recovered"
    UNPOLLED = "workspace.unpolled"


EVENT_LABELS = {
    Event.STARTED: _("Import started"),
    Event.WAITING: _("Import waiting for input"),
    Event.FINISHED: _("Import finished"),
    Event.FAILED: _("Import failed"),
    Event.INTERRUPTED: _("Import interrupted"),
    Event.STALLED: _("Import stalled"),
    Event.RESUMED: _("Import resumed"),
    Event.UNUSUAL: _("Import unusual"),
    Event.UNREACHABLE: _("Workspace unreachable"),
    Event.RECOVERED: _("Workspace reachable again"),
    Event.UNPOLLED: _("Workspace not polled"),
}


class IncidentKind(StrEnum):
    """What is wrong while an incident is open; MAINTENANCE is planned, and mutes alerts."""

    FAILED = "import.failed"
    INTERRUPTED = "import.interrupted"
    INCOMPLETE = "import.incomplete"
    DONE_WITH_ERRORS = "import.done_with_errors"
    STALLED = "import.stalled"
    WAITING = "import.waiting"
    UNUSUAL = "import.unusual"
    UNREACHABLE = "workspace.unreachable"
    REFUSED = "workspace.refused"
    FLAPPING = "workspace.flapping"
    UNPOLLED = "workspace.unpolled"
    MAINTENANCE = "maintenance"


INCIDENT_LABELS = {
    IncidentKind.FAILED: _("Failed"),
    IncidentKind.INTERRUPTED: _("Interrupted"),
    IncidentKind.INCOMPLETE: _("Incomplete"),
    IncidentKind.DONE_WITH_ERRORS: _("Done with errors"),
    IncidentKind.STALLED: _("Stalled"),
    IncidentKind.WAITING: _("Waiting for input"),
    IncidentKind.UNUSUAL: _("Unusual"),
    IncidentKind.UNREACHABLE: _("Unreachable"),
    IncidentKind.REFUSED: _("Credentials refused"),
    IncidentKind.FLAPPING: _("Flapping"),
    IncidentKind.UNPOLLED: _("Not polled"),
    IncidentKind.MAINTENANCE: _("Maintenance"),
}


class DigestPeriod(StrEnum):
    """How long the time is that one digest sums up."""

    DAILY = "daily"
    WEEKLY = "weekly"


class Severity(StrEnum):
    """How urgent an alert is, the most urgent first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


# The end of something has the severity of what ends, so that whoever got the one gets the other.
_CRITICAL = frozenset(
    {Event.FAILED, Event.INTERRUPTED, Event.UNREACHABLE, Event.RECOVERED, Event.UNPOLLED}
)
_WARNING = frozenset({Event.STALLED, Event.RESUMED, Event.WAITING, Event.UNUSUAL})
_WARNING_OUTCOMES = frozenset({"done_with_errors", "incomplete"})


def severity(event: str, outcome: str | None) -> Severity:
    """Return the severity of an event, where `outcome` is that of the import, if it has ended."""
    if event in _CRITICAL:
        return Severity.CRITICAL
    if event in _WARNING or (event == Event.FINISHED and outcome in _WARNING_OUTCOMES):
        return Severity.WARNING
    return Severity.INFO


#: How an import can end; `importmonitor.models.Outcome` has the labels.
OUTCOMES = frozenset(
    {
        *("done", "done_with_errors", "incomplete", "failed"),
        *("interrupted", "superseded", "canceled"),
    }
)

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


def incident_label(kind: str) -> str:
    """Return the label of an incident's kind; one from another version is its own label."""
    try:
        return str(INCIDENT_LABELS[IncidentKind(kind)])
    except ValueError:
        return kind


def event_label(name: str) -> str:
    """Return the label of an event; a test, or one from another version, is its own label."""
    try:
        return str(EVENT_LABELS[Event(name)])
    except ValueError:
        return name
