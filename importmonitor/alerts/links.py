"""The links of messages into the admin."""

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


def page_url(operation: dict[str, Any] | None) -> str | None:
    """Return the URL of an operation's admin page, or of the history; None if there is none."""
    base = conf.get_options().base_url
    if not base:
        return None
    if operation is None:
        path = admin_url("importoperation_changelist")
    else:
        path = admin_url("importoperation_change", operation["id"])
    if path is None:
        # No admin of the host has the page.
        return None
    # The base URL includes the path that the site is mounted at, which a cron job does not know.
    return base + path.removeprefix(get_script_prefix().rstrip("/"))


def page_links(operation: dict[str, Any] | None) -> list[Link]:
    """Return the link to an operation's page, or to the history, if there is that page."""
    url = page_url(operation)
    label = _("Show all imports") if operation is None else _("Open this import")
    return [Link(label, url, is_page=True)] if url else []
