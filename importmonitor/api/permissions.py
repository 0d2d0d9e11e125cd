"""Who may see imports, as DRF asks it."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from importmonitor.permissions import can_view_imports


class CanViewImports(BasePermission):
    """Lets in who may see imports, whatever the method.

    DRF's own model permissions let everybody who is logged in read everything.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        return can_view_imports(request.user)
