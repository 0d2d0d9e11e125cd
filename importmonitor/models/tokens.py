"""Credentials for this app's API."""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connections, models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from importmonitor.models.compiled import CompiledQuery, Param, columns
from importmonitor.models.fields import ExactCharField
from importmonitor.models.store import StoreQuerySet
from importmonitor.secret import Secret

if TYPE_CHECKING:
    from django.contrib.auth.models import User, UserManager

#: The resolution of `last_used_at`: each change of it is a write.
LAST_USED_RESOLUTION = timedelta(minutes=1)


def users() -> "UserManager[User]":
    """Return the manager that Django's own login uses: a host's need not be called `objects`."""
    return get_user_model()._default_manager


def find_user(name: str) -> "User | None":
    """Return the user with this name, by which people log in."""
    try:
        return users().get_by_natural_key(name)
    except (get_user_model().DoesNotExist, ValueError, ValidationError):
        # The field can be a number or a UUID, and refuse a text.
        return None


class ApiTokenQuerySet(StoreQuerySet["ApiToken"]):
    def issue(
        self,
        user: "User",
        *,
        name: str = "",
        expires_at: datetime | None = None,
        workspaces: Sequence[str] | None = None,
    ) -> tuple["ApiToken", str]:
        """Create a token for a user; return it and its text, which is not stored.

        With `workspaces`, it gives access to these alone, of those that the user may see.
        """
        prefix = secrets.token_hex(ApiToken.PREFIX_LENGTH // 2)
        text = Secret(f"{prefix}{secrets.token_urlsafe(32)}")
        token = self.create(
            user=user,
            name=name,
            prefix=prefix,
            digest=_digest(text),
            expires_at=expires_at,
            workspaces=None if workspaces is None else sorted(set(workspaces)),
        )
        return token, text

    @sensitive_variables()
    def authenticate(self, text: str, user_id: str | None = None) -> "ApiToken | None":
        """Return the valid token with that text, and of that user if one is given, or None.

        One query.
        """
        is_plain = text.isascii() and text.isprintable()
        prefix = Secret(text[: ApiToken.PREFIX_LENGTH])
        token = self._by_prefix(prefix) if is_plain else None
        # Compared even if there is none, so that timing does not reveal which prefixes exist.
        matches = hmac.compare_digest(_digest(text), token.digest if token else _digest(""))
        if token is None or not matches:
            return None
        if user_id is not None and str(token.user_id) != user_id:
            return None
        if token.is_expired or not token.user.is_active:
            return None
        return token

    @sensitive_variables()
    def _by_prefix(self, prefix: str) -> "ApiToken | None":
        """Return the token with that prefix and its user, in one query."""
        # With the hash of the password; scrubbers of error reports know the name.
        credentials = _token_and_user.first(self.db, prefix=prefix)
        if credentials is None:
            return None
        names, user = columns(ApiToken), get_user_model()
        token = ApiToken.from_db(self.db, names, credentials[: len(names)])
        token.user = user.from_db(self.db, columns(user), credentials[len(names) :])
        return token


class ApiToken(models.Model):
    """A credential in Rocket.Chat's form: a user's id and a token.

    Only a digest is stored. The text has 256 random bits, so one round of SHA-256 is enough: there
    is no dictionary to try.
    """

    PREFIX_LENGTH = 12
    NAME_LENGTH = 100

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="importmonitor_tokens",
        verbose_name=_("user"),
    )
    name = models.CharField(_("name"), max_length=NAME_LENGTH, blank=True)
    prefix = ExactCharField(_("prefix"), max_length=PREFIX_LENGTH, unique=True)
    digest = models.CharField(_("digest"), max_length=64)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True)
    workspaces = models.JSONField(
        _("workspaces"),
        null=True,
        blank=True,
        help_text=_("The aliases of the workspaces that it is limited to."),
    )

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.name or _('unnamed')} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def record_use(self) -> None:
        """Set `last_used_at`, at most once a minute.

        No request waits or fails because this cannot be written now.
        """
        now, last = timezone.now(), self.last_used_at
        # A last use in the future is that of a host whose clock is ahead.
        if last is not None and timedelta(0) <= now - last < LAST_USED_RESOLUTION:
            return
        using = router.db_for_write(ApiToken)
        unchanged = ApiToken.objects.using(using).filter(pk=self.pk, last_used_at=last)
        with suppress(DatabaseError), _without_waiting(using), transaction.atomic(using=using):
            if connections[using].features.has_select_for_update_skip_locked:
                unlocked = unchanged.select_for_update(skip_locked=True)
                unchanged = unchanged.filter(pk__in=list(unlocked.values_list("pk", flat=True)))
            unchanged.update(last_used_at=now)


@contextmanager
def _without_waiting(using: str) -> Iterator[None]:
    """Raise OperationalError at once while another connection writes to SQLite.

    SQLite has one lock for all rows; a sync of many workspaces can hold it for long.
    """
    connection = connections[using]
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        (milliseconds,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {milliseconds:d}")


_token_and_user = CompiledQuery(
    lambda: ApiToken.objects.filter(prefix=Param("prefix", models.CharField())).values_list(
        *columns(ApiToken), *(f"user__{name}" for name in columns(get_user_model()))
    )
)


@sensitive_variables()
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
