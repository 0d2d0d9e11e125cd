"""`{% load importmonitor %}{% import_status %}`: a line for a host's own admin index."""

from typing import Any

from django import template
from django.utils import timezone

from importmonitor.admin import dashboard
from importmonitor.admin.operations import RUN_IMPORT

VIEW = "importmonitor.view_importoperation"

register = template.Library()


@register.inclusion_tag("importmonitor/status_line.html", takes_context=True)
def import_status(context: template.Context) -> dict[str, Any]:
    """Show how the imports of all workspaces stand, to those who may see them; else nothing."""
    request = context.get("request")
    if request is None or not hasattr(request, "user"):
        return {}
    if not any(map(request.user.has_perm, (RUN_IMPORT, VIEW))):
        return {}
    return dashboard.status_line(timezone.now())
