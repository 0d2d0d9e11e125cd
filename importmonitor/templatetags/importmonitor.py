"""Template tags for a project's own templates: `{% load importmonitor %}`.

`{% import_status %}` is a status line for its admin index; `user|has_import_perm:"run-import"` is
whether a user has one of the app's permissions.
"""

from typing import Any

from django import template
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from importmonitor.admin import dashboard
from importmonitor.models import get_viewer
from importmonitor.permissions import RUN_IMPORT, VIEW, has_perm

register = template.Library()


@register.filter
def has_import_perm(user: AbstractBaseUser | AnonymousUser | None, codename: str) -> bool:
    """Return whether a user has the permission of importmonitor with this codename.

    For those with a hyphen: `perms.importmonitor.run-import` is no template syntax.
    """
    return has_perm(user, f"importmonitor.{codename}")


@register.inclusion_tag("importmonitor/status_line.html", takes_context=True)
def import_status(context: template.Context) -> dict[str, Any]:
    """Show the status of the imports that a user may see, or nothing without a permission."""
    request = context.get("request")
    if request is None or not hasattr(request, "user"):
        return {}
    if not any(has_perm(request.user, permission) for permission in (RUN_IMPORT, VIEW)):
        return {}
    # An AdminSite names itself in its requests.
    site = getattr(request, "current_app", None)
    return dashboard.status_line(timezone.now(), get_viewer(request), site)
