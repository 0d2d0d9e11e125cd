"""Every kind of person that there can be, and a world with something in it for them to ask for."""

from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client
from django.utils import timezone

from importmonitor.models import Alert, ApiToken, ImportOperation, SyncPeriod
from tests.api.helpers import NOON, RUNNING, credentials, make_user, sync

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

VIEW = "view_importoperation"
CHANGE = "change_importoperation"
LATEST = "view-import-operations"


@dataclass(frozen=True)
class Person:
    """A kind of person, and how they come: with a session, or with a token of some state."""

    codenames: tuple[str, ...] = ()
    is_staff: bool = False
    is_superuser: bool = False
    is_active: bool = True
    by: str = "session"


ROOT = Person(is_staff=True, is_superuser=True)
RIGHTS: dict[str, tuple[str, ...]] = {
    "run-import": ("run-import",),
    LATEST: (LATEST,),
    VIEW: (VIEW,),
    CHANGE: (VIEW, CHANGE),
    "view_alert": ("view_alert",),
    "view_syncperiod": ("view_syncperiod",),
    "tokens": tuple(f"{what}_apitoken" for what in ("add", "change", "delete", "view")),
}
PEOPLE = {
    "anonymous": Person(by="nothing"),
    "nobody": Person(),
    "staff": Person(is_staff=True),
    **{name: Person(rights) for name, rights in RIGHTS.items()},
    **{f"staff {name}": Person(rights, is_staff=True) for name, rights in RIGHTS.items()},
    "superuser": ROOT,
    "inactive": replace(ROOT, is_active=False),
    "token of nobody": Person(by="token"),
    "token of run-import": Person(("run-import",), by="token"),
    "token of superuser": replace(ROOT, by="token"),
    "bearer of run-import": Person(("run-import",), by="bearer"),
    "password of run-import": Person(("run-import",), by="password"),
    "wrong password": replace(ROOT, by="wrong password"),
    "token of inactive": replace(ROOT, by="token", is_active=False),
    "expired token": replace(ROOT, by="expired token"),
    "wrong token": replace(ROOT, by="wrong token"),
}

People = frozenset[str]
EVERYBODY: People = frozenset(PEOPLE)
STRANGERS = frozenset(
    {
        "anonymous",
        "inactive",
        "token of inactive",
        "expired token",
        "wrong token",
        "wrong password",
    }
)
#: Rocket.Chat knows no such header, and so its endpoints know none either.
BEARERS: People = frozenset({"bearer of run-import"})
STAFF: People = frozenset(name for name in PEOPLE if name.startswith("staff")) | {"superuser"}
SUPERUSER = frozenset({"superuser"})


def those_with(*rights: str) -> People:
    """Return whoever has one of these rights, however they come."""
    known = EVERYBODY - STRANGERS
    return frozenset(
        name
        for name in known
        if PEOPLE[name].is_superuser or set(rights) & set(PEOPLE[name].codenames)
    )


RUNNERS = those_with("run-import")
SEERS = those_with("run-import", VIEW, LATEST)


class World:
    """Something at every address, and somebody of every kind."""

    #: What there is not.
    MISSING = "987654321"

    def __init__(self) -> None:
        # One client for all: each would load the middleware anew.
        self.client = Client()
        self.credentials = {name: self._credentials(name) for name in PEOPLE}
        sync(RUNNING)
        alert = Alert.objects.create(
            event="x", workspace="default", channel="x", body={}, created_at=timezone.now()
        )
        self.keys = {
            "importoperation": ImportOperation.objects.get().pk,
            "alert": alert.pk,
            "syncperiod": SyncPeriod.objects.get().pk,
            "apitoken": ApiToken.objects.latest("pk").pk,
            "user": User.objects.get(username="superuser").pk,
            "group": Group.objects.create(name="x").pk,
        }

    def _credentials(self, name: str) -> tuple[str, dict[str, str]]:
        """Make a person; return the key of their session, and their headers."""
        person = PEOPLE[name]
        if person.by == "nothing":
            return "", {}
        user = make_user(
            name, *person.codenames, is_staff=person.is_staff, is_superuser=person.is_superuser
        )
        session, headers = "", {}
        if person.by == "session":
            # Else the session before would be taken over, and end.
            self.client.cookies.clear()
            self.client.force_login(user)
            session = self.client.cookies[settings.SESSION_COOKIE_NAME].value
        elif person.by.endswith("password"):
            # tests.settings lets passwords in: a host may.
            user.set_password("right")
            user.save()
            told = f"{name}:{person.by.removesuffix('password') or 'right'}"
            headers = {"Authorization": f"Basic {b64encode(told.encode()).decode()}"}
        elif person.by == "bearer":
            headers = {"Authorization": f"Bearer {credentials(user)['X-Auth-Token']}"}
        else:
            expires_at = NOON - timedelta(days=1) if person.by == "expired token" else None
            headers = credentials(user, expires_at=expires_at)
            if person.by == "wrong token":
                headers["X-Auth-Token"] = headers["X-Auth-Token"][:-1] + "!"
        User.objects.filter(pk=user.pk).update(is_active=person.is_active)
        return session, headers

    def address(self, route: str, *, missing: bool = False) -> str:
        """Return where a route leads, to something that is there or not."""
        operation = self.keys["importoperation"]
        kind = ContentType.objects.get_for_model(ImportOperation).pk
        model = route.split("/")[2] if route.count("/") > 2 else ""
        values = {
            "<int:pk>": operation,
            "<path:content_type_id>": kind,
            "<path:object_id>": self.keys.get(model, operation),
            "<id>": self.keys["user"],
            "<str:alias>": "default",
        }
        if missing:
            values |= dict.fromkeys(("<int:pk>", "<path:object_id>", "<str:alias>"), self.MISSING)
        for part, value in values.items():
            route = route.replace(part, str(value))
        for part, value in {
            "<str:kind>": "csv",
            "<path:rest>": "nonsense",
            "^(?P<app_label>importmonitor|auth)/$": "importmonitor/",
            "(?P<url>.*)$": "nonsense",
            "^": "nonsense",
        }.items():
            route = route.replace(part, value)
        return f"/{route}"

    def ask(self, name: str, method: str, url: str) -> "Response":
        """Ask as somebody; nothing that comes of it lasts."""
        session, headers = self.credentials[name]
        self.client.cookies.clear()
        if session:
            self.client.cookies[settings.SESSION_COOKIE_NAME] = session
        with transaction.atomic():
            response = self.client.generic(
                method, url, content_type="application/x-www-form-urlencoded", headers=headers
            )
            # To its end: what goes wrong in the midst of a file is an error like any other.
            list(response)
            transaction.set_rollback(True)
        return response
