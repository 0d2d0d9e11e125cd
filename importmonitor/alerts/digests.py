"""What a digest says: a summary of a day or a week, made of its JSON form."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from importmonitor.alerts.contents import Content, Fact, Item
from importmonitor.alerts.links import list_links, page_url
from importmonitor.alerts.plain_text import one_line
from importmonitor.choices import DigestPeriod, Severity, incident_label, severity
from importmonitor.humanize import format_duration, format_moment, format_number, format_span
from importmonitor.models import Outcome


def compose_digest(body: dict[str, Any]) -> Content:
    """Return what the stored JSON form of a digest says, in the active language."""
    figures = body["digest"]
    count = figures["incidents"]["open"]
    items = [_item(incident, body["occurred_at"]) for incident in figures["incidents"]["oldest"]]
    if count > len(items):
        more = count - len(items)
        text = ngettext("and %(count)s more incident", "and %(count)s more incidents", more)
        items.append(Item("quiet", text % {"count": format_number(more)}))
    name, label = _name(figures), _incidents(count)
    return Content(
        title=f"{name}: {label}, {_imports(figures)}",
        name=name,
        tone="bad" if any(item.tone == "bad" for item in items) else "warn" if items else "good",
        label=capfirst(label),
        intro=_intro(figures),
        items=items,
        facts=_facts(figures),
        links=list_links("importoperation_changelist", has_incidents=bool(count)),
    )


def _name(figures: dict[str, Any]) -> str:
    first, last = _days(figures)
    if figures["period"] == DigestPeriod.DAILY:
        return _("Imports of %(day)s") % {"day": first}
    return _("Imports from %(first)s to %(last)s") % {"first": first, "last": last}


def _days(figures: dict[str, Any]) -> tuple[str, str]:
    """Return the first and the last day; of a daily digest, they are the same."""
    start, end = (
        timezone.localtime(datetime.fromisoformat(figures[name])) for name in ("from", "to")
    )
    return f"{start:%Y-%m-%d}", f"{end - timedelta(hours=1):%Y-%m-%d}"


def _incidents(count: int) -> str:
    if not count:
        return _("no open incidents")
    text = ngettext("%(count)s open incident", "%(count)s open incidents", count)
    return text % {"count": format_number(count)}


def _imports(figures: dict[str, Any]) -> str:
    count = figures["imports"]["ended"]
    text = ngettext("%(count)s import", "%(count)s imports", count)
    return text % {"count": format_number(count)}


def _intro(figures: dict[str, Any]) -> str:
    imports = figures["imports"]
    if figures["incidents"]["open"]:
        return ""
    if imports["started"] or imports["ended"] or imports["running"]:
        return _("Nothing to do.")
    return _("Nothing to do: no import was started, ended or is running.")


def _item(incident: dict[str, Any], now: str) -> Item:
    since = {"start": format_moment(incident["since"]), "age": format_span(incident["since"], now)}
    operation = incident["operation"]
    parts = [_("since %(start)s (%(age)s)") % since]
    if operation:
        parts.insert(0, ", ".join(filter(None, (operation["type"], operation["file"]))))
    if incident["acknowledged"]:
        parts.append(_("acknowledged"))
    return Item(
        _tone(incident["kind"]),
        f"{incident['workspace']}: {incident_label(incident['kind'])}",
        one_line(", ".join(filter(None, parts))),
        page_url("importoperation_change", operation["id"])
        if operation
        else page_url("incident_change", incident["id"]),
    )


def _tone(kind: str) -> str:
    # The kinds of incidents that events have too are named as these.
    is_critical = severity(kind, None) == Severity.CRITICAL or kind.startswith("workspace.")
    return "bad" if is_critical else "warn"


def _facts(figures: dict[str, Any]) -> list[Fact]:
    imports, records = figures["imports"], figures["records"]
    availability = figures["availability"]
    percent = availability["percent"]
    return [
        Fact(_("Imports started"), format_number(imports["started"])),
        Fact(_("Imports ended"), format_number(imports["ended"])),
        *(
            Fact(
                str(outcome.label),
                format_number(imports["outcomes"][outcome]),
                is_problem=outcome in (Outcome.FAILED, Outcome.INTERRUPTED),
            )
            for outcome in Outcome
            if imports["outcomes"].get(outcome)
        ),
        Fact(_("Running now"), format_number(imports["running"])),
        Fact(_("Records"), format_number(records["handled"])),
        *(
            [Fact(_("Errors"), format_number(records["errors"]), is_problem=True)]
            if records["errors"]
            else []
        ),
        Fact(_("Workspaces"), format_number(figures["workspaces"])),
        Fact(_("Reachable"), _("not polled") if percent is None else _percent(percent)),
        *(
            Fact(outage["workspace"], _outage(outage), is_problem=True)
            for outage in availability["worst"]
        ),
    ]


def _outage(outage: dict[str, Any]) -> str:
    if outage["percent"] is None:
        return _("not polled")
    return _("%(percent)s, unreachable for %(duration)s") % {
        "percent": _percent(outage["percent"]),
        "duration": format_duration(timedelta(seconds=outage["seconds_unreachable"])),
    }


def _percent(percent: float) -> str:
    return f"{format_number(percent, digits=0 if percent in (0, 100) else 1)} %"
