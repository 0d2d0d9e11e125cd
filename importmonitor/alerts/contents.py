"""What a message says, in the active language: the one structure that text and HTML are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from importmonitor.alerts.advice import advice, has_logged_reason
from importmonitor.alerts.drafts import TEST
from importmonitor.alerts.links import Link, subject_links
from importmonitor.alerts.plain_text import one_line
from importmonitor.choices import Event, IncidentKind, Severity, event_label, severity
from importmonitor.humanize import format_duration, format_moment, format_number, format_span
from importmonitor.models import Outcome

#: Characters of a title, which becomes the subject of an e-mail.
_MAX_TITLE_LENGTH = 200

_SEVERITY_TONES = {Severity.CRITICAL: "bad", Severity.WARNING: "warn"}
#: The end of something has the severity of what ends.
_END_TONES = {Event.RECOVERED: "good", Event.RESUMED: "busy"}


class Fact(NamedTuple):
    """A label and a value, which is a problem, or which the head of the HTML has already."""

    label: str
    value: str
    is_headline: bool = False
    is_problem: bool = False


class Item(NamedTuple):
    """One of several alerts in a message."""

    tone: str
    heading: str
    text: str = ""
    url: str | None = None


@dataclass(frozen=True)
class Content:
    """What a message says. Remote text in it is on one line, and is not escaped.

    `name` is what it is about and `label` its state, in which `tone` is "good", "warn", "bad",
    "busy" or "quiet". `intro` comes before all else. `progress` is the text of a bar. `links` begin
    with that to the page in the admin, if there is one.
    """

    title: str
    name: str
    tone: str
    label: str = ""
    workspace: str = ""
    intro: str = ""
    progress: str = ""
    percent: int | None = None
    facts: Sequence[Fact] = ()
    paragraphs: Sequence[str] = ()
    items: Sequence[Item] = ()
    links: Sequence[Link] = ()


def compose(body: dict[str, Any]) -> Content:
    """Return what the stored JSON form of an alert says, in the active language."""
    operation = body["operation"]
    if body["event"] == TEST:
        return Content(
            title=_("%(workspace)s: test alert") % body,
            name=body["workspace"],
            tone="busy",
            label=_("Test"),
            paragraphs=[_("If you can read this, alerts are delivered.")],
            links=subject_links(body),
        )
    if operation is None:
        return _workspace_content(body)
    return _operation_content(body, operation)


def get_severity(body: dict[str, Any]) -> Severity:
    """Return the severity of an alert, also of an earlier release."""
    outcome = body["operation"]["outcome"] if body["operation"] else None
    return Severity(body.get("severity") or severity(body["event"], outcome))


def get_tone(body: dict[str, Any]) -> str:
    """Return the tone of an alert's state; see `Content`."""
    event, urgency = body["event"], get_severity(body)
    if event in _END_TONES:
        return _END_TONES[event]
    if urgency in _SEVERITY_TONES:
        return _SEVERITY_TONES[urgency]
    if event == Event.FINISHED and body["operation"]:
        return "good" if body["operation"]["outcome"] == Outcome.DONE else "quiet"
    return "busy"


def get_cause(body: dict[str, Any]) -> str:
    """Return why a workspace is unreachable, without its name in front."""
    return one_line(body["sync"]["message"]).removeprefix(f"{body['workspace']}: ")


def _workspace_content(body: dict[str, Any]) -> Content:
    sync, label, intro = body["sync"], event_label(body["event"]), _reminder(body)
    facts = [Fact(_("Since"), format_moment(sync["since"]))]
    if sync.get("flapping"):
        label = _("%(event)s again and again (flapping)") % {"event": label}
    if body["event"] == Event.RECOVERED:
        duration = format_span(sync["since"], body["occurred_at"])
        text = _("Reachable again after %(duration)s.")
        if (body.get("incident") or {}).get("kind") == IncidentKind.UNPOLLED:
            text = _("Polled again after %(duration)s.")
        intro = text % {"duration": duration}
        facts.append(Fact(_("Until"), format_moment(body["occurred_at"])))
        # Alerts of an earlier release have no progress.
        paragraphs = [_progress_meanwhile(progress) for progress in sync.get("progress", [])]
    elif body["event"] == Event.UNPOLLED:
        paragraphs = [
            _(
                "Nothing polls it, while other workspaces are polled. Check the cron job, the "
                "worker or the container that does."
            )
        ]
    else:
        paragraphs = [
            get_cause(body),
            _(
                "An import may still be running there; its progress cannot be seen until the "
                "workspace is reachable again."
            ),
        ]
        if sync.get("flapping"):
            paragraphs.append(
                _(
                    "It is unreachable again and again. The next message about that comes when it "
                    "has been reachable, or unreachable, for an hour."
                )
            )
    return Content(
        title=f"{body['workspace']}: {label}",
        name=body["workspace"],
        tone=get_tone(body),
        label=label,
        intro=intro,
        facts=facts,
        paragraphs=paragraphs,
        links=subject_links(body),
    )


def _reminder(body: dict[str, Any]) -> str:
    """Return the first line of a reminder of an incident, or ""."""
    incident = body.get("incident") or {}
    if not incident.get("reminder"):
        return ""
    since = incident["since"]
    age = {"start": format_moment(since), "age": format_span(since, body["occurred_at"])}
    return _("Still open, since %(start)s (%(age)s).") % age


def _progress_meanwhile(progress: dict[str, Any]) -> str:
    return _("%(import)s went from %(start)s to %(end)s meanwhile.") % {
        "import": _name(progress) or _("Import"),
        "start": f"{progress['from_percent']} %",
        "end": f"{progress['to_percent']} %",
    }


def _name(operation: dict[str, Any]) -> str:
    return one_line(", ".join(filter(None, (operation["type"], operation["file"]))))


def _operation_content(body: dict[str, Any], operation: dict[str, Any]) -> Content:
    label = event_label(body["event"])
    if body["event"] == Event.FINISHED and operation["outcome"]:
        label = f"{label}: {Outcome(operation['outcome']).label}"
    name, percent = _name(operation) or operation["remote_id"], operation["percent"]
    return Content(
        title=one_line(f"{body['workspace']}: {label} ({name})")[:_MAX_TITLE_LENGTH],
        name=name,
        tone=get_tone(body),
        label=label,
        workspace=body["workspace"],
        intro=_reminder(body),
        progress="" if percent is None else _progress(operation),
        percent=percent,
        facts=_operation_facts(body, operation),
        paragraphs=advice(body),
        links=[*subject_links(body), *_log_links(body)],
    )


def _operation_facts(body: dict[str, Any], operation: dict[str, Any]) -> list[Fact]:
    counters, seconds_left = operation["counters"], operation["seconds_left"]
    outcome = Outcome(operation["outcome"]).label if operation["outcome"] else ""
    left = "" if seconds_left is None else format_duration(timedelta(seconds=seconds_left))
    facts = [
        Fact(_("Workspace"), body["workspace"], is_headline=True),
        Fact(_("Time"), format_moment(body["occurred_at"])),
        Fact(_("Import"), _importer(operation), is_headline=True),
        Fact(_("File"), operation["file"], is_headline=True),
        Fact(_("Started by"), operation.get("started_by_name") or operation["started_by"]),
        Fact(_("Started"), format_moment(operation["started_at"])),
        Fact(_("Ended"), format_moment(operation["finished_at"])),
        Fact(_("Duration"), format_duration(timedelta(seconds=operation["duration_seconds"]))),
        Fact(_("Outcome"), str(outcome), is_headline=True),
        Fact(_("Status in Rocket.Chat"), f"{operation['state']}, {operation['status']}"),
        Fact(_("Progress"), _progress(operation), is_headline=operation["percent"] is not None),
        *(
            Fact(label, format_number(counters[key]), is_problem=key == "error")
            for key, label in (
                ("users", _("Users")),
                ("channels", _("Channels")),
                ("messages", _("Messages")),
                ("contacts", _("Contacts")),
                ("error", _("Errors")),
            )
            if counters[key]
        ),
        Fact(_("Time left"), left and _("about %(time)s") % {"time": left}),
    ]
    return [fact._replace(value=one_line(fact.value)) for fact in facts if fact.value]


def _importer(operation: dict[str, Any]) -> str:
    """Return the importer's label, which can be a translation key, and its key if it differs."""
    label, key = operation["type"], operation["importer_key"]
    return label or key if label.lower() in ("", key.lower()) else f"{label} ({key})"


def _progress(operation: dict[str, Any]) -> str:
    counters = operation["counters"]
    # None if it is unknown how often users are counted, and in alerts of an earlier release.
    total, records = counters["total"], operation.get("records")
    if records is None:
        records = counters["completed"]
    if records is None or total is None:
        return "" if records is None else format_number(records)
    text = _("%(completed)s of %(total)s")
    if operation["outcome"] == Outcome.INCOMPLETE:
        text = _("at least %(completed)s of %(total)s")
    progress = text % {"completed": format_number(records), "total": format_number(total)}
    return progress if operation["percent"] is None else f"{progress} ({operation['percent']} %)"


def _log_links(body: dict[str, Any]) -> list[Link]:
    url = body["server_log"].get("log_url")
    return [Link(_("Server log"), url)] if url and has_logged_reason(body) else []
