"""One message for many alerts: an outage of several workspaces, or a poll with many events."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from importmonitor.alerts.messages import Message, format_moment, history_link, one_line
from importmonitor.choices import Event
from importmonitor.humanize import format_number

#: The event of a message with alerts about several imports.
DIGEST = "digest"


def render_digest(messages: Sequence[Message]) -> Message:
    """Return one message for those of several alerts, in the active language.

    Its JSON form is that of the first, with all of them under `alerts` and a key of its own.
    """
    first = messages[0].body
    count = {"count": format_number(len(messages)), "workspace": first["workspace"]}
    if first["event"] == Event.UNREACHABLE:
        title = _("%(count)s workspaces unreachable") % count
    elif first["event"] == Event.RECOVERED:
        title = _("%(count)s workspaces reachable again") % count
    else:
        title = _("%(workspace)s: %(count)s alerts") % count
    if first["sync"] is not None:
        event, lines = first["event"], [_outage_line(message.body) for message in messages]
    else:
        event, lines = DIGEST, [message.title for message in messages]
    keys = " ".join(message.body["idempotency_key"] for message in messages)
    link = history_link()
    body = first | {
        "event": event,
        "idempotency_key": f"digest:{hashlib.sha256(keys.encode()).hexdigest()}",
        "operation": None,
        "server_log": None,
        "url": link,
        "alerts": [message.body for message in messages],
    }
    return Message(title, "\n".join([*lines, *([link] if link else [])]), body)


def _outage_line(body: dict[str, Any]) -> str:
    sync = body["sync"]
    since = {"workspace": body["workspace"], "start": format_moment(sync["since"])}
    if body["event"] == Event.RECOVERED:
        end = format_moment(body["occurred_at"])
        return _("%(workspace)s: from %(start)s to %(end)s") % {**since, "end": end}
    since["message"] = one_line(sync["message"])
    return _("%(workspace)s: since %(start)s. %(message)s") % since
