"""`{% load importmonitor %}{% import_status %}`: a line for a host's own admin index."""

from typing import Any

from django import template
from django.utils import timezone

from importmonitor.admin import dashboard
from importmonitor.permissions import RUN_IMPORT, VIEW, has_perm

register = template.Library()


@register.inclusion_tag("importmonitor/status_line.html", takes_context=True)
def import_status(context: template.Context) -> dict[str, Any]:
    """Show how the imports of all workspaces stand, to those who may see them; else nothing."""
    request = context.get("request")
    if request is None or not hasattr(request, "user"):
        return {}
    if not any(has_perm(request.user, each) for each in (RUN_IMPORT, VIEW)):
        return {}
    return dashboard.status_line(timezone.now())
