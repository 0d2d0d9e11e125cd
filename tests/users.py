"""Every kind of user, and a site with an object at every URL for them to request."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import time_machine
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone

from importmonitor.models import Alert, ApiToken, ImportOperation, Incident, Workspace
from tests.api.helpers import NOON, RUNNING, credentials, make_user, sync

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

VIEW = "view_importoperation"
CHANGE = "change_importoperation"
LATEST = "view-import-operations"


@dataclass(frozen=True)
class UserKind:
    """A kind of user, and how they authenticate."""

    codenames: tuple[str, ...] = ()
    is_staff: bool = False
    is_superuser: bool = False
    is_active: bool = True
    by: str = "session"


SUPERUSER_KIND = UserKind(is_staff=True, is_superuser=True)
PERMISSIONS: dict[str, tuple[str, ...]] = {
    "run-import": ("run-import",),
    LATEST: (LATEST,),
    VIEW: (VIEW,),
    CHANGE: (VIEW, CHANGE),
    "view_alert": ("view_alert",),
    "view_workspace": ("view_workspace",),
    "view_incident": ("view_incident",),
    "change_incident": ("change_incident",),
    "tokens": tuple(f"{action}_apitoken" for action in ("add", "change", "delete", "view")),
}
KINDS = {
    "anonymous": UserKind(by="nothing"),
    "no permission": UserKind(),
    "staff": UserKind(is_staff=True),
    **{name: UserKind(codenames) for name, codenames in PERMISSIONS.items()},
    **{
        f"staff {name}": UserKind(codenames, is_staff=True)
        for name, codenames in PERMISSIONS.items()
    },
    "superuser": SUPERUSER_KIND,
    "inactive": replace(SUPERUSER_KIND, is_active=False),
    "token of no permission": UserKind(by="token"),
    "token of run-import": UserKind(("run-import",), by="token"),
    "token of superuser": replace(SUPERUSER_KIND, by="token"),
    "bearer of run-import": UserKind(("run-import",), by="bearer"),
    "password of run-import": UserKind(("run-import",), by="password"),
    "wrong password": replace(SUPERUSER_KIND, by="wrong password"),
    "token of inactive": replace(SUPERUSER_KIND, by="token", is_active=False),
    "expired token": replace(SUPERUSER_KIND, by="expired token"),
    "wrong token": replace(SUPERUSER_KIND, by="wrong token"),
}

Names = frozenset[str]
ALL: Names = frozenset(KINDS)
UNAUTHENTICATED = frozenset(
    {
        "anonymous",
        "inactive",
        "token of inactive",
        "expired token",
        "wrong token",
        "wrong password",
    }
)
#: Rocket.Chat has no such header, and so its endpoints do not accept it either.
BEARERS: Names = frozenset({"bearer of run-import"})
STAFF: Names = frozenset(name for name in KINDS if name.startswith("staff")) | {"superuser"}
SUPERUSER = frozenset({"superuser"})


def having(*codenames: str) -> Names:
    """Return the authenticated users with one of these permissions, by any authentication."""
    return frozenset(
        name
        for name in ALL - UNAUTHENTICATED
        if KINDS[name].is_superuser or set(codenames) & set(KINDS[name].codenames)
    )


RUNNERS = having("run-import")
VIEWERS = having("run-import", VIEW, LATEST)


class Site:
    """An object at every URL, and a user of every kind."""

    #: The key of an object that does not exist.
    MISSING = "987654321"

    def __init__(self) -> None:
        # One client for all users: each client loads the middleware anew.
        self.client = Client()
        self.credentials = {name: self._credentials(name) for name in KINDS}
        sync(RUNNING)
        alert = Alert.objects.create(
            event="x", workspace="default", channel="x", body={}, created_at=timezone.now()
        )
        self.keys = {
            "importoperation": ImportOperation.objects.get().pk,
            "alert": alert.pk,
            "workspace": Workspace.objects.get().pk,
            "incident": Incident.objects.create(kind="x", workspace="default", since=NOON).pk,
            "apitoken": ApiToken.objects.latest("pk").pk,
            "user": User.objects.get(username="superuser").pk,
            "group": Group.objects.create(name="x").pk,
        }

    def _credentials(self, name: str) -> tuple[str, dict[str, str]]:
        """Make a user; return their session cookie and their headers."""
        kind = KINDS[name]
        if kind.by == "nothing":
            return "", {}
        user = make_user(
            name, *kind.codenames, is_staff=kind.is_staff, is_superuser=kind.is_superuser
        )
        session, headers = "", {}
        if kind.by == "session":
            # Otherwise the login would continue the previous user's session.
            self.client.cookies.clear()
            self.client.force_login(user)
            session = self.client.cookies[settings.SESSION_COOKIE_NAME].value
        elif kind.by.endswith("password"):
            # tests.settings accepts passwords, as a host may.
            user.set_password("right")
            user.save()
            login = f"{name}:{kind.by.removesuffix('password') or 'right'}"
            headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        elif kind.by == "bearer":
            headers = {"Authorization": f"Bearer {credentials(user)['X-Auth-Token']}"}
        else:
            expires_at = NOON - timedelta(days=1) if kind.by == "expired token" else None
            headers = credentials(user, expires_at=expires_at)
            if kind.by == "wrong token":
                headers["X-Auth-Token"] = headers["X-Auth-Token"][:-1] + "!"
        User.objects.filter(pk=user.pk).update(is_active=kind.is_active)
        return session, headers

    def url(self, route: str, *, missing: bool = False) -> str:
        """Return a URL of a route, of an existing or a missing object."""
        operation = self.keys["importoperation"]
        resource = "incident" if route.startswith("api/incidents/") else "importoperation"
        content_type = ContentType.objects.get_for_model(ImportOperation).pk
        model = route.split("/")[2] if route.count("/") > 2 else ""
        values = {
            "<int:pk>": self.keys[resource],
            "<path:content_type_id>": content_type,
            "<path:object_id>": self.keys.get(model, operation),
            "<id>": self.keys["user"],
            "<str:alias>": "default",
        }
        if missing:
            values |= dict.fromkeys(("<int:pk>", "<path:object_id>", "<str:alias>"), self.MISSING)
        for part, value in values.items():
            route = route.replace(part, str(value))
        for part, value in {
            "<str:file_format>": "csv",
            "<path:rest>": "nonsense",
            "^(?P<app_label>importmonitor|auth)/$": "importmonitor/",
            "(?P<url>.*)$": "nonsense",
            "^": "nonsense",
        }.items():
            route = route.replace(part, value)
        return f"/{route}"

    def request(self, name: str, method: str, url: str) -> "Response":
        """Send a request as a user, and roll back what it writes."""
        session, headers = self.credentials[name]
        self.client.cookies.clear()
        if session:
            self.client.cookies[settings.SESSION_COOKIE_NAME] = session
        with transaction.atomic():
            response = self.client.generic(
                method, url, content_type="application/x-www-form-urlencoded", headers=headers
            )
            # Read a streamed file to its end: an error in the middle of it counts too.
            list(response)
            transaction.set_rollback(True)
        return response


@contextmanager
def shared_site(django_db_blocker: Any) -> Iterator[Site]:
    """Yield a site for all tests of a module: each request rolls back what it writes."""
    cheap = override_settings(
        # Without the list of all static files that WhiteNoise would begin with, for each client.
        WHITENOISE_AUTOREFRESH=True,
        # Without a query for each request.
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    )
    with (
        cheap,
        time_machine.travel(NOON, tick=False),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        yield Site()
        transaction.set_rollback(True)
