"""`{% load importmonitor %}{% import_status %}`: a status line for a project's admin index."""

from typing import Any

from django import template
from django.utils import timezone

from importmonitor.admin import dashboard
from importmonitor.permissions import RUN_IMPORT, VIEW, has_perm

register = template.Library()


@register.inclusion_tag("importmonitor/status_line.html", takes_context=True)
def import_status(context: template.Context) -> dict[str, Any]:
    """Show the status of all workspaces' imports to users who may see them, else nothing."""
    request = context.get("request")
    if request is None or not hasattr(request, "user"):
        return {}
    if not any(has_perm(request.user, permission) for permission in (RUN_IMPORT, VIEW)):
        return {}
    # An AdminSite names itself in its requests.
    return dashboard.status_line(timezone.now(), getattr(request, "current_app", None))
