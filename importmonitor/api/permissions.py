"""The permissions to view imports and to change incidents, for DRF."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from importmonitor.permissions import CHANGE_INCIDENT, can_view_imports, has_perm


class CanViewImports(BasePermission):
    """Allows every method to users who can view imports.

    DRF's own model permissions let every authenticated user read everything.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        return can_view_imports(request.user)


class CanChangeIncidents(BasePermission):
    """Allows every method to users who can acknowledge incidents and plan maintenance."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_perm(request.user, CHANGE_INCIDENT)
