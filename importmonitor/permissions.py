"""Who may see imports."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

RUN_IMPORT = "importmonitor.run-import"
VIEW_LATEST = "importmonitor.view-import-operations"
VIEW = "importmonitor.view_importoperation"


def has_perm(user: AbstractBaseUser | AnonymousUser | None, permission: str) -> bool:
    """Tell whether somebody has a permission; a user model of the host's may know of none."""
    has_perm = getattr(user, "has_perm", None)
    return has_perm is not None and bool(has_perm(permission))


def can_view_imports(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    """Tell whether somebody may see imports, by one of the permissions that allow it."""
    return any(has_perm(user, each) for each in (RUN_IMPORT, VIEW, VIEW_LATEST))
