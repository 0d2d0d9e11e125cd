"""Who may see imports."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

RUN_IMPORT = "importmonitor.run-import"
VIEW_LATEST = "importmonitor.view-import-operations"
VIEW = "importmonitor.view_importoperation"


def may_see_imports(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Tell whether a user may see imports by one of the permissions that allow it."""
    # An anonymous user has none; a user model without permissions has no `has_perm`.
    if not hasattr(user, "has_perm"):
        return False
    return any(user.has_perm(each) for each in (RUN_IMPORT, VIEW, VIEW_LATEST))


class MaySeeImports(BasePermission):
    """Lets in who may see imports, whatever the method.

    DRF's own model permissions let everybody who is logged in read everything.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        return may_see_imports(request.user)
