"""One message for many alerts: an outage of several workspaces, or a poll with many events."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from importmonitor.alerts.contents import Content, Item, get_cause, get_severity, get_tone
from importmonitor.alerts.links import has_open_incident, list_links, page_url
from importmonitor.alerts.messages import Message, build_message
from importmonitor.choices import Event, Severity, event_label
from importmonitor.humanize import format_moment, format_number, format_span, format_time_of_day

#: The event of a message with alerts about several imports.
GROUP = "group"


def render_group(messages: Sequence[Message], *, is_everything: bool = False) -> Message:
    """Return one message for those of several alerts, in the active language.

    `is_everything` is whether no workspace can be reached. Its JSON form is that of the first, with
    all of them under `alerts`, a key of its own, and the worst severity.
    """
    first, severities = messages[0].body, list(Severity)
    page = "workspace_changelist" if first["sync"] else "importoperation_changelist"
    keys = " ".join(message.body["idempotency_key"] for message in messages)
    worst = min(messages, key=lambda message: severities.index(get_severity(message.body))).body
    body = first | {
        "event": first["event"] if first["sync"] else GROUP,
        "idempotency_key": f"group:{hashlib.sha256(keys.encode()).hexdigest()}",
        "severity": get_severity(worst),
        "operation": None,
        "server_log": None,
        "url": page_url(page),
        "alerts": [message.body for message in messages],
    }
    title = _title([message.body for message in messages])
    items = [_item(message) for message in messages]
    paragraphs = []
    if is_everything:
        paragraphs.append(
            _("No workspace can be reached: probably it is the monitor's own network.")
        )
    has_incidents = any(has_open_incident(message.body) for message in messages)
    links = list_links(page, has_incidents=has_incidents)
    content = Content(
        title, title, get_tone(worst), items=items, paragraphs=paragraphs, links=links
    )
    return build_message(content, body)


def _title(bodies: Sequence[dict[str, Any]]) -> str:
    first = bodies[0]
    label = event_label(first["event"])
    values = {"count": format_number(len(bodies)), "workspace": first["workspace"], "event": label}
    if first["event"] == Event.UNREACHABLE:
        since = min(body["sync"]["since"] for body in bodies)
        values["time"] = format_time_of_day(since, first["occurred_at"])
        return _("%(count)s workspaces unreachable since %(time)s") % values
    if first["event"] == Event.RECOVERED:
        return _("%(count)s workspaces reachable again") % values
    if len({body["workspace"] for body in bodies}) > 1:
        # The same happened to all of them.
        return _("%(event)s: %(count)s imports") % values
    return _("%(workspace)s: %(count)s alerts") % values


def _item(message: Message) -> Item:
    body = message.body
    sync = body["sync"]
    if sync is None:
        return Item(get_tone(body), message.title, url=body["url"])
    times = {"start": format_moment(sync["since"]), "end": format_moment(body["occurred_at"])}
    if body["event"] == Event.RECOVERED:
        duration = format_span(sync["since"], body["occurred_at"])
        text = _("from %(start)s to %(end)s") % times
        return Item(get_tone(body), body["workspace"], f"{text} ({duration})", body["url"])
    values = times | {"message": get_cause(body)}
    text = _("since %(start)s. %(message)s") % values
    return Item(get_tone(body), body["workspace"], text, body["url"])
