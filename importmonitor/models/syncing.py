"""How the polls of a workspace went, and whose turn it is."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor import wording
from importmonitor.models.alerts import Alert
from importmonitor.models.prepared import Param, Prepared, columns
from importmonitor.workspaces import ALIAS_MAX_LENGTH

_WORKSPACE, _HOLDER = (Param(name, models.CharField()) for name in ("workspace", "holder"))
_AT, _UNTIL = (Param(name, models.DateTimeField()) for name in ("at", "until"))


@dataclass(frozen=True)
class Known:
    """What a poll starts from, in one query.

    `period` is that of the last poll, None at the first; `list_due_at` is when the workspace's
    list of operations is to be asked for, None for now; `alerts_due` is whether there is an alert
    to deliver, of whatever workspace.
    """

    period: "SyncPeriod | None" = None
    list_due_at: datetime | None = None
    alerts_due: bool = False


class SyncPeriodQuerySet(models.QuerySet["SyncPeriod"]):
    def newest(self, workspace: str) -> "SyncPeriod | None":
        """Return the workspace's health: the period that its last poll belongs to."""
        row = _newest.first(self.db, workspace=workspace)
        return SyncPeriod.from_db(self.db, columns(SyncPeriod), row) if row else None

    def known(self, workspace: str, now: datetime) -> Known:
        """Return what a poll of the workspace starts from."""
        row = _known.first(self.db, workspace=workspace, at=now)
        if row is None:
            return Known()
        *period, list_due_at, alerts_due = row
        return Known(
            SyncPeriod.from_db(self.db, columns(SyncPeriod), period), list_due_at, alerts_due
        )

    def last_good(self, workspace: str) -> "SyncPeriod | None":
        """Return the newest period in which the workspace could be looked at."""
        good = self.filter(workspace=workspace, outcome__in=SyncPeriod.GOOD)
        return good.order_by("-pk").first()

    def known_since(self, workspace: str) -> datetime | None:
        """Return when the workspace was looked at for the first time, None if it never was."""
        good = self.filter(workspace=workspace, outcome__in=SyncPeriod.GOOD)
        first = good.order_by("pk").first()
        return first.first_at if first else None

    def failing_since(self, workspace: str) -> datetime | None:
        """Return when the looks of this workspace began to fail, None if the last one was good."""
        good = self.last_good(workspace)
        bad = self.filter(workspace=workspace, pk__gt=good.pk if good else 0)
        first = bad.order_by("pk").first()
        return first.first_at if first else None

    def touching(self, workspaces: Collection[str], start: datetime, end: datetime) -> list[Any]:
        """Return these workspaces' periods that touch a time, oldest first; in two queries.

        Of very many, the newest ones. The first of each may have been over before the time: what
        it tells holds until the next look.
        """
        before = self.filter(workspace=OuterRef("workspace"), first_at__lt=start)
        keys = SyncLease.objects.filter(workspace__in=workspaces).annotate(
            before=Subquery(before.order_by("-first_at").values("pk")[:1])
        )
        within = self.filter(workspace__in=workspaces, first_at__gte=start, first_at__lte=end)
        # By themselves: one workspace that comes and goes is not to push out all others.
        first = self.filter(pk__in=keys.values("before")).order_by("pk")
        return [*first, *list(within.order_by("-pk")[: SyncPeriod.MOST])[::-1]]

    def begin(self, workspace: str, outcome: str, *, at: datetime, **values: Any) -> "SyncPeriod":
        """Begin a period with a poll that went otherwise than the one before."""
        return self.create(workspace=workspace, outcome=outcome, first_at=at, last_at=at, **values)

    def grow(
        self, period: "SyncPeriod", holder: str, *, at: datetime, watched: timedelta, message: str
    ) -> bool:
        """Count a poll in its period if `holder` has the workspace's lease; tell if it has."""
        return bool(
            _grown.update(
                self.db,
                pk=period.pk,
                workspace=period.workspace,
                holder=holder,
                at=at,
                watched=watched,
                message=message,
            )
        )


class SyncPeriod(models.Model):
    """Polls of a workspace in a row that went alike: it grows with changes, not with time.

    A long pause in which nobody looked ends one too.
    """

    #: `outcome` when all went well, with an operation and without one; else an error's kind.
    OK = "ok"
    EMPTY = "empty"
    GOOD = (OK, EMPTY)

    #: As many as a page reads at once.
    MOST = 4000

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    outcome = models.CharField(_("outcome"), max_length=40)
    message = models.TextField(_("message"), blank=True)
    first_at = models.DateTimeField(_("first poll"))
    last_at = models.DateTimeField(_("last poll"))
    polls = models.PositiveBigIntegerField(_("polls"), default=1)
    watched = models.DurationField(
        _("watched"),
        default=timedelta,
        help_text=_(
            "For how long this workspace could be looked at, in all periods up to this one. "
            "A long pause between two looks counts as a short one."
        ),
    )

    objects = SyncPeriodQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync period")
        verbose_name_plural = _("sync periods")
        ordering = ("-last_at", "-pk")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=("workspace", "-id"), name="importmonitor_period_newest"),
            models.Index(fields=("workspace", "first_at"), name="importmonitor_period_first"),
            models.Index(fields=("outcome", "-id"), name="importmonitor_period_outcome"),
        )

    def __str__(self) -> str:
        return f"{self.workspace}: {wording.look(self.outcome)}"

    @property
    def is_good(self) -> bool:
        return self.outcome in self.GOOD


def _newest_of(workspace: Param) -> SyncPeriodQuerySet:
    return SyncPeriod.objects.filter(workspace=workspace).order_by("-pk")


def _known_of(workspace: Param, at: Param) -> SyncPeriodQuerySet:
    lease = SyncLease.objects.filter(workspace=workspace)
    return _newest_of(workspace).annotate(
        list_due_at=Subquery(lease.values("list_due_at")[:1]),
        alerts_due=Exists(Alert.objects.due(at)),
    )


_newest = Prepared(lambda: _newest_of(_WORKSPACE).values_list(*columns(SyncPeriod))[:1])
_known = Prepared(
    lambda: _known_of(_WORKSPACE, _AT).values_list(
        *columns(SyncPeriod), "list_due_at", "alerts_due"
    )[:1]
)
_grown = Prepared(
    lambda: SyncPeriod.objects.filter(
        Exists(SyncLease.objects.filter(workspace=_WORKSPACE, holder=_HOLDER)),
        pk=Param("pk", models.BigIntegerField()),
    ),
    last_at=_AT,
    polls=F("polls") + 1,
    watched=Param("watched", models.DurationField()),
    message=Param("message", models.TextField()),
)


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
        values = {"workspace": workspace, "holder": holder, "at": now, "until": now + lasting}
        return bool(_taken.update(self.db, **values))

    def renew(self, workspace: str, holder: str, *, until: datetime) -> bool:
        """Prolong a lease; tell whether `holder` still has it.

        As the first statement of a transaction it is a fence too: a write, so that SQLite takes
        its lock at once, and one that every other writer of this workspace waits behind until
        the transaction ends.
        """
        return bool(_renewed.update(self.db, workspace=workspace, holder=holder, until=until))

    def release(
        self, workspace: str, holder: str, *, not_before: datetime | None = None, **known: Any
    ) -> None:
        """Give the lease back, if it is still had; nobody is to ask again until `not_before`.

        `known` are further fields for the next holder to know.
        """
        if not_before is None and not known:
            _released.update(self.db, workspace=workspace, holder=holder)
            return
        self.filter(workspace=workspace, holder=holder).update(
            holder="", expires_at=None, not_before=not_before, **known
        )

    def pruned(self, workspace: str, before: datetime) -> None:
        """Note that what began before a time, and is over, is not to be taken in again.

        Like `renew` it is a fence, as the first statement of a transaction.
        """
        # What was pruned once stays so, whatever is asked for later: Greatest, but for NULLs.
        later = Case(When(pruned_before__gt=before, then=F("pruned_before")), default=Value(before))
        self.filter(workspace=workspace).update(pruned_before=later, pruned_at=timezone.now())

    def release_all(self, workspaces: list[str], holders: str) -> None:
        """Give back these workspaces' leases, of all holders whose names begin so."""
        held = self.filter(workspace__in=workspaces, holder__startswith=holders)
        held.update(holder="", expires_at=None)


class SyncLease(models.Model):
    """The right to sync a workspace, for one process at a time; and what the next one must know.

    Every workspace that was ever looked at has one.
    """

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH, unique=True)
    holder = models.CharField(_("holder"), max_length=100, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    not_before = models.DateTimeField(_("not before"), null=True)
    list_due_at = models.DateTimeField(_("list of operations due"), null=True)
    list_refused = models.TextField(_("why the list of operations is refused"), blank=True)
    pruned_before = models.DateTimeField(
        _("pruned before"),
        null=True,
        help_text=_("What began before this and is over was deleted, and is not taken in again."),
    )
    pruned_at = models.DateTimeField(_("pruned"), null=True)

    objects = SyncLeaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync lease")
        verbose_name_plural = _("sync leases")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.workspace}: {self.holder or '·'}"


def _held() -> SyncLeaseQuerySet:
    return SyncLease.objects.filter(workspace=_WORKSPACE, holder=_HOLDER)


_taken = Prepared(
    lambda: SyncLease.objects.filter(
        Q(expires_at=None) | Q(expires_at__lte=_AT),
        Q(not_before=None) | Q(not_before__lte=_AT),
        workspace=_WORKSPACE,
    ),
    holder=_HOLDER,
    expires_at=_UNTIL,
    not_before=None,
)
_renewed = Prepared(_held, expires_at=_UNTIL)
_released = Prepared(_held, holder="", expires_at=None, not_before=None)
