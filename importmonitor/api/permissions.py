"""The permission to view imports, for DRF."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from importmonitor.permissions import can_view_imports


class CanViewImports(BasePermission):
    """Allows every method to users who can view imports.

    DRF's own model permissions let every authenticated user read everything.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        return can_view_imports(request.user)
