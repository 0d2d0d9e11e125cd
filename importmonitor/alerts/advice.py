"""What to do about an import: the paragraphs of its messages, in the active language."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importmonitor.alerts.plain_text import one_line
from importmonitor.choices import Event
from importmonitor.humanize import format_duration, format_moment, format_number
from importmonitor.models import Outcome, Unusual

#: Those whose reason is in Rocket.Chat's server log.
_OUTCOMES_WITH_A_REASON = frozenset({Outcome.DONE_WITH_ERRORS, Outcome.FAILED, Outcome.INTERRUPTED})

#: Rocket.Chat sets these during an import; a server that is killed meanwhile leaves them so.
OPENED_SETTINGS = (
    ("Accounts_AllowUsernameChange", gettext_lazy("on")),
    ("FileUpload_MaxFileSize", "-1"),
    ("FileUpload_MediaTypeWhiteList", "*"),
    ("FileUpload_MediaTypeBlackList", gettext_lazy("empty")),
)

_WAITING_ADVICE = {
    "importer_user_selection": gettext_lazy("Choose in Rocket.Chat what to import."),
    "importer_file_loaded": gettext_lazy(
        "Open the import in Rocket.Chat to prepare it. If that fails at once, its file cannot be "
        "read."
    ),
}
_WAITING_FOR_FILE = gettext_lazy("It waits for its file or its data.")


def has_logged_reason(body: dict[str, Any]) -> bool:
    """Return whether Rocket.Chat's server log has the reason of an operation's event."""
    outcome = body["operation"]["outcome"]
    return body["event"] == Event.STALLED or outcome in _OUTCOMES_WITH_A_REASON


def advice(body: dict[str, Any]) -> list[str]:
    """Return the paragraphs about an operation that say where the reason is and what to do."""
    event, operation = body["event"], body["operation"]
    outcome, paragraphs = operation["outcome"], []
    if has_logged_reason(body):
        log = body["server_log"]
        span = {
            "start": format_moment(log["from"]),
            "end": format_moment(log["to"]),
            "status": log["status"],
        }
        reason = _(
            "The reason is only in Rocket.Chat's server log. Search it for “Importer” between "
            "%(start)s and %(end)s (step %(status)s)."
        )
        paragraphs.append(one_line(reason % span))
    if event == Event.STALLED and operation.get("stride", 0) > 1:
        stride = _(
            "At this step, Rocket.Chat writes its counters only after every %(count)s records."
        )
        paragraphs.append(stride % {"count": format_number(operation["stride"])})
    if event == Event.UNUSUAL and body.get("usual"):
        paragraphs.append(_usual(body["usual"], operation))
    if event == Event.WAITING:
        paragraphs.append(str(_WAITING_ADVICE.get(operation["status"], _WAITING_FOR_FILE)))
    if outcome == Outcome.INCOMPLETE:
        paragraphs.append(
            _(
                "Fewer records were counted than the file holds. Rocket.Chat does not say what "
                "was chosen, and counts in steps of 50 or 500: nothing need be missing."
            )
        )
    if outcome == Outcome.SUPERSEDED:
        paragraphs.append(
            _("A newer import took its place: Rocket.Chat skipped what was left of this one.")
        )
    if outcome == Outcome.INTERRUPTED:
        paragraphs.append(_("It will not continue, whatever Rocket.Chat's page shows."))
        if operation.get("settings_opened", True):
            settings = ", ".join(f"{name} ({value})" for name, value in OPENED_SETTINGS)
            unrestored = _(
                "If Rocket.Chat's server was stopped or killed during the import, it has not "
                "restored these settings: %(settings)s. Check them."
            )
            paragraphs.append(unrestored % {"settings": settings})
    return paragraphs


def _usual(usual: dict[str, Any], operation: dict[str, Any]) -> str:
    """Return how an import differs from the last ones of its kind."""
    values = {"count": format_number(usual["imports"])}
    if usual["reason"] == Unusual.LONG:
        seconds = (operation["duration_seconds"], *usual["seconds"])
        value, *values_range = (format_duration(timedelta(seconds=number)) for number in seconds)
        text = _(
            "It has taken %(value)s so far; the last %(count)s imports of this kind took %(usual)s."
        )
    else:
        numbers = (operation["records"] or 0, *usual["records"])
        value, *values_range = map(format_number, numbers)
        text = _(
            "It brought %(value)s records; the last %(count)s imports of this kind brought "
            "%(usual)s."
        )
    least, most = values_range
    usually = (
        least if least == most else _("%(least)s to %(most)s") % {"least": least, "most": most}
    )
    return text % (values | {"value": value, "usual": usually})
