"""Who may see imports."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

RUN_IMPORT = "importmonitor.run-import"
VIEW_LATEST = "importmonitor.view-import-operations"
VIEW = "importmonitor.view_importoperation"
VIEW_INCIDENT = "importmonitor.view_incident"
CHANGE_INCIDENT = "importmonitor.change_incident"


def has_perm(user: AbstractBaseUser | AnonymousUser | None, permission: str) -> bool:
    """Return whether a user has a permission; False for a user model without permissions."""
    has_perm = getattr(user, "has_perm", None)
    return has_perm is not None and bool(has_perm(permission))


def can_view_imports(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    """Return whether a user has one of the permissions that let them see imports."""
    return any(has_perm(user, permission) for permission in (RUN_IMPORT, VIEW, VIEW_LATEST))


def can_view_incidents(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    """Return whether a user may see the pages of incidents."""
    return any(has_perm(user, name) for name in (RUN_IMPORT, VIEW_INCIDENT, CHANGE_INCIDENT))
