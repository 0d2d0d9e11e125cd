"""The store: what was seen of each workspace's imports, and how well we could look."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.conf import ALIAS_MAX_LENGTH
from importmonitor.rocketchat.operation import FILE_LENGTH, ID_LENGTH, TEXT_LENGTH

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg] # generic in the stubs alone
    """Text that is equal only to itself: Rocket.Chat's ids differ by case alone.

    PostgreSQL and SQLite compare so anyway; MySQL and MariaDB do by this collation, which the
    others do not know.
    """

    def db_parameters(self, connection: "BaseDatabaseWrapper") -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters


class EndReason(models.TextChoices):
    """Why an operation is over; ours, and so the one word here that can have choices."""

    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")
    SUPERSEDED = "superseded", _("superseded")
    CANCELED = "canceled", _("canceled")


class ImportOperationQuerySet(models.QuerySet["ImportOperation"]):
    def open(self) -> Self:
        """Operations whose end has not been seen."""
        return self.filter(finished_at=None)

    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-pk")

    def current(self, workspace: str) -> "ImportOperation | None":
        """Return what Rocket.Chat calls current: the newest operation, running or not."""
        return self.filter(workspace=workspace).newest_first().first()


class ImportOperation(models.Model):
    """One import operation of a workspace, as it was last seen."""

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    remote_id = ExactCharField(_("id in Rocket.Chat"), max_length=ID_LENGTH)
    # No remote text has choices: its list of steps and importers grows with every release.
    type = models.CharField(_("type"), max_length=TEXT_LENGTH, blank=True)
    importer_key = models.CharField(_("importer"), max_length=TEXT_LENGTH, blank=True)
    status = models.CharField(_("status"), max_length=TEXT_LENGTH, blank=True)
    valid = models.BooleanField(_("valid"), null=True)
    state = models.CharField(_("state"), max_length=20)
    remote_user_id = models.CharField(_("started by"), max_length=ID_LENGTH, blank=True)
    file = models.CharField(_("file"), max_length=FILE_LENGTH, blank=True)
    content_type = models.CharField(_("content type"), max_length=TEXT_LENGTH, blank=True)
    remote_started_at = models.DateTimeField(_("created in Rocket.Chat"), null=True)
    remote_updated_at = models.DateTimeField(_("updated in Rocket.Chat"), null=True)
    count_total = models.BigIntegerField(_("total"), null=True)
    count_completed = models.BigIntegerField(_("completed"), null=True)
    count_error = models.BigIntegerField(_("errors"), null=True)
    count_users = models.BigIntegerField(_("users"), null=True)
    count_channels = models.BigIntegerField(_("channels"), null=True)
    count_messages = models.BigIntegerField(_("messages"), null=True)
    count_contacts = models.BigIntegerField(_("contacts"), null=True)
    started_at = models.DateTimeField(
        _("started"),
        help_text=_("When Rocket.Chat created it; if that cannot be read, when it was first seen."),
    )
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(
        _("last seen"),
        help_text=_(
            "The last look that found something new. How long nothing has been new, "
            "the sync's periods tell."
        ),
    )
    last_progress_at = models.DateTimeField(_("last progress"))
    stalled_since = models.DateTimeField(_("stalled since"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    end_reason = models.CharField(_("end"), max_length=20, choices=EndReason, blank=True)
    payload = models.JSONField(_("payload"), default=dict)
    unreadable = models.JSONField(_("unreadable"), default=list)
    note = models.TextField(_("note"), blank=True)

    objects = ImportOperationQuerySet.as_manager()

    class Meta:
        verbose_name = _("import operation")
        verbose_name_plural = _("import operations")
        ordering = ("-started_at", "-pk")
        # Operations come from Rocket.Chat: nobody adds or deletes one here.
        default_permissions = ("view", "change")
        permissions = (
            ("run-import", "Can see and sync the current import"),
            ("view-import-operations", "Can see the latest imports"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("workspace", "remote_id"), name="importmonitor_operation_unique"
            ),
        )
        indexes = (
            models.Index(fields=("-started_at", "-id"), name="importmonitor_op_started"),
            models.Index(
                fields=("workspace", "-started_at", "-id"), name="importmonitor_op_workspace"
            ),
            models.Index(fields=("workspace", "finished_at"), name="importmonitor_op_open"),
            models.Index(fields=("state", "-started_at", "-id"), name="importmonitor_op_state"),
            models.Index(fields=("end_reason", "-started_at", "-id"), name="importmonitor_op_end"),
            models.Index(
                fields=("importer_key", "-started_at", "-id"), name="importmonitor_op_importer"
            ),
            models.Index(fields=("remote_id",), name="importmonitor_op_remote_id"),
        )

    def __str__(self) -> str:
        return f"{self.type or self.importer_key or _('import')} {self.remote_id}"


class StatusTransition(models.Model):
    """A change of an operation's status or state, once; rows are added and never changed."""

    class Reason(models.TextChoices):
        REMOTE = "remote", _("told by Rocket.Chat")
        INVALIDATED = "invalidated", _("no longer valid")
        SUPERSEDED = "superseded", _("superseded by a newer import")
        STALLED = "stalled", _("stalled")
        RESUMED = "resumed", _("resumed")
        REOPENED = "reopened", _("reopened")

    operation = models.ForeignKey(
        ImportOperation,
        on_delete=models.CASCADE,
        related_name="transitions",
        verbose_name=_("import operation"),
    )
    from_status = models.CharField(_("from status"), max_length=TEXT_LENGTH, blank=True)
    to_status = models.CharField(_("to status"), max_length=TEXT_LENGTH, blank=True)
    from_state = models.CharField(_("from state"), max_length=20, blank=True)
    to_state = models.CharField(_("to state"), max_length=20)
    valid = models.BooleanField(_("valid"), null=True)
    count_total = models.BigIntegerField(_("total"), null=True)
    count_completed = models.BigIntegerField(_("completed"), null=True)
    count_error = models.BigIntegerField(_("errors"), null=True)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason)
    observed_at = models.DateTimeField(_("observed"))

    class Meta:
        verbose_name = _("status transition")
        verbose_name_plural = _("status transitions")
        ordering = ("observed_at", "pk")
        default_permissions = ("view",)
        indexes = (
            models.Index(
                fields=("operation", "observed_at", "id"), name="importmonitor_tr_operation"
            ),
        )

    def __str__(self) -> str:
        return f"{self.from_status or '·'} → {self.to_status}"


class SyncPeriodQuerySet(models.QuerySet["SyncPeriod"]):
    def newest(self, workspace: str) -> "SyncPeriod | None":
        """Return the workspace's health: the period that its last poll belongs to."""
        return self.filter(workspace=workspace).order_by("-pk").first()

    def last_good(self, workspace: str) -> "SyncPeriod | None":
        """Return the newest period in which the workspace could be looked at."""
        good = self.filter(workspace=workspace, outcome__in=SyncPeriod.GOOD)
        return good.order_by("-pk").first()


class SyncPeriod(models.Model):
    """Polls of a workspace in a row that went alike: it grows with changes, not with time."""

    #: `outcome` when all went well, with an operation and without one; else an error's kind.
    OK = "ok"
    EMPTY = "empty"
    GOOD = (OK, EMPTY)

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    outcome = models.CharField(_("outcome"), max_length=40)
    message = models.TextField(_("message"), blank=True)
    first_at = models.DateTimeField(_("first poll"))
    last_at = models.DateTimeField(_("last poll"))
    polls = models.PositiveBigIntegerField(_("polls"), default=1)

    objects = SyncPeriodQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync period")
        verbose_name_plural = _("sync periods")
        ordering = ("-last_at", "-pk")
        default_permissions = ("view",)
        indexes = (models.Index(fields=("workspace", "-id"), name="importmonitor_period_newest"),)

    def __str__(self) -> str:
        return f"{self.workspace}: {self.outcome}"

    @property
    def is_good(self) -> bool:
        return self.outcome in self.GOOD


class SyncLeaseQuerySet(models.QuerySet["SyncLease"]):
    def take(self, workspace: str, holder: str, *, now: datetime, lasting: timedelta) -> bool:
        """Take a workspace's lease unless somebody holds it or has to wait; tell if it was had.

        One conditional UPDATE, so of any number of processes one gets it.
        """
        if self._take(workspace, holder, now, lasting):
            return True
        if self.filter(workspace=workspace).exists():
            return False
        self.bulk_create([SyncLease(workspace=workspace)], ignore_conflicts=True)
        return self._take(workspace, holder, now, lasting)

    def _take(self, workspace: str, holder: str, now: datetime, lasting: timedelta) -> bool:
        return bool(
            self.filter(
                Q(expires_at=None) | Q(expires_at__lte=now),
                Q(not_before=None) | Q(not_before__lte=now),
                workspace=workspace,
            ).update(holder=holder, expires_at=now + lasting, not_before=None)
        )

    def renew(self, workspace: str, holder: str, *, until: datetime) -> bool:
        """Prolong a lease; tell whether `holder` still has it.

        As the first statement of a transaction it is a fence too: a write, so that SQLite takes
        its lock at once, and one that every other writer of this workspace waits behind until
        the transaction ends.
        """
        return bool(self.filter(workspace=workspace, holder=holder).update(expires_at=until))

    def release(self, workspace: str, holder: str, *, not_before: datetime | None = None) -> None:
        """Give the lease back, if it is still had; nobody is to ask again until `not_before`."""
        self.filter(workspace=workspace, holder=holder).update(
            holder="", expires_at=None, not_before=not_before
        )


class SyncLease(models.Model):
    """The right to sync a workspace, for one process at a time."""

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH, unique=True)
    holder = models.CharField(_("holder"), max_length=100, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    not_before = models.DateTimeField(_("not before"), null=True)

    objects = SyncLeaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync lease")
        verbose_name_plural = _("sync leases")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.workspace}: {self.holder or '·'}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def issue(
        self, user: "User", *, name: str = "", expires_at: datetime | None = None
    ) -> tuple["ApiToken", str]:
        """Make a token for a user; return it and its text, which is not stored anywhere."""
        prefix = secrets.token_hex(ApiToken.PREFIX_LENGTH // 2)
        text = f"{prefix}{secrets.token_urlsafe(32)}"
        token = self.create(
            user=user, name=name, prefix=prefix, digest=_digest(text), expires_at=expires_at
        )
        return token, text

    def authenticate(self, user_id: str, text: str) -> "ApiToken | None":
        """Return the live token of that text and that active user, or None. One query."""
        token = (
            self.filter(prefix=text[: ApiToken.PREFIX_LENGTH]).select_related("user").first()
            if text.isascii() and text.isprintable()
            else None
        )
        # Compared even where there is none, so that time does not tell which prefixes exist.
        same = hmac.compare_digest(_digest(text), token.digest if token else _digest(""))
        if token is None or not same or str(token.user_id) != user_id:
            return None
        if token.is_expired or not token.user.is_active:
            return None
        return token


class ApiToken(models.Model):
    """A credential of an internal tool, in Rocket.Chat's form: a user's id and a token.

    Only a digest is stored. The text has 256 bits of chance in it, so one round of SHA-256 is
    enough: there is no dictionary to go through.
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

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"{self.name or _('unnamed')} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
