"""The links of messages into the admin."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from importmonitor import conf
from importmonitor.admin_urls import admin_url


class Link(NamedTuple):
    """A link, to the page of what a message is about or to something else."""

    label: str
    url: str
    is_page: bool = False


def page_url(page: str, *args: Any) -> str | None:
    """Return the URL of a page of the admin, such as "incident_change"; None if there is none."""
    base = conf.get_options().base_url
    path = admin_url(page, *args) if base else None
    if path is None:
        # No admin of the host has the page.
        return None
    # The base URL includes the path that the site is mounted at, which a cron job does not know.
    return base + path.removeprefix(get_script_prefix().rstrip("/"))


def add_urls(body: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON form of an alert with the pages of its subject and of its incident."""
    _label, *page = _subject_page(body)
    # Alerts of an earlier release have no incident.
    incident = body.get("incident")
    if incident:
        incident = incident | {"url": page_url("incident_change", incident["id"])}
    return body | {"url": page_url(*page), "incident": incident}


def subject_links(body: dict[str, Any]) -> list[Link]:
    """Return the links to the page of an alert's subject, and of its incident if that is open."""
    label, *page = _subject_page(body)
    incident = ("incident_change", body["incident"]["id"]) if has_open_incident(body) else ()
    return _links(label, page, incident)


def list_links(page: str, *, has_incidents: bool = False) -> list[Link]:
    """Return the links to a list of the admin, and to the open incidents if there are any."""
    return _links(_list_label(page), [page], ["incident_changelist"] if has_incidents else ())


def has_open_incident(body: dict[str, Any]) -> bool:
    """Return whether an alert is about something that a person can acknowledge."""
    incident = body.get("incident")
    return incident is not None and incident["until"] is None


def _subject_page(body: dict[str, Any]) -> tuple[Any, ...]:
    """Return the label, the name and the arguments of the page of what an alert is about."""
    if body["operation"]:
        return _("Open this import"), "importoperation_change", body["operation"]["id"]
    if body["sync"] is None:
        page = "importoperation_changelist"
    # Not in alerts of an earlier release.
    elif key := body["sync"].get("workspace_id"):
        return _("Open this workspace"), "workspace_change", key
    else:
        page = "workspace_changelist"
    return _list_label(page), page


def _list_label(page: str) -> str:
    return _("Show all workspaces") if page == "workspace_changelist" else _("Show all imports")


def _links(label: str, page: Sequence[Any], incident: Sequence[Any]) -> list[Link]:
    links = []
    if url := page_url(*page):
        links.append(Link(label, url, is_page=True))
    if incident and (url := page_url(*incident)):
        links.append(Link(_("Acknowledge or mute"), url))
    return links
