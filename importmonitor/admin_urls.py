"""The URLs of the app's admin pages, in whichever AdminSite a project has them."""

from typing import Any

from django.urls import NoReverseMatch, get_resolver, get_urlconf, reverse


def admin_url(page: str, *args: Any, site: str | None = None) -> str | None:
    """Return the URL of a page such as "importoperation_changelist"; None if there is none.

    `site` is the name of an AdminSite. Without it, the default one is preferred, but it may be
    without this app.
    """
    sites = ["admin", *get_resolver(get_urlconf()).app_dict.get("admin", ())]
    for name in sites if site is None else [site]:
        try:
            return reverse(f"admin:importmonitor_{page}", args=args, current_app=name)
        except NoReverseMatch:
            continue
    return None
