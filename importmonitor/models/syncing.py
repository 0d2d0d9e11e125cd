"""How the polls of a workspace went, and whose turn it is."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from importmonitor.workspaces import ALIAS_MAX_LENGTH


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
