"""The polls of each workspace, and the lease that keeps processes from polling it twice."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.choices import sync_status_label
from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.alerts import Alert
from importmonitor.models.compiled import CompiledQuery, Param, columns

_WORKSPACE, _HOLDER = (Param(name, models.CharField()) for name in ("workspace", "holder"))
_AT, _UNTIL = (Param(name, models.DateTimeField()) for name in ("at", "until"))

#: After the first poll of a period, a pause of up to this is no gap: cron may run once an hour.
_MAX_FIRST_PAUSE = timedelta(hours=2)
#: A pause of up to this many usual pauses is no gap: two or three polls may fail to happen.
_MAX_USUAL_PAUSES = 4


@dataclass(frozen=True)
class PollState:
    """What a poll starts from, read in one query.

    `period` is that of the last poll, None at the first; `list_due_at` is when the workspace's
    list of operations is due, None for now; `alerts_due` is whether there is an alert to deliver,
    of whatever workspace.
    """

    period: "SyncPeriod | None" = None
    list_due_at: datetime | None = None
    alerts_due: bool = False


class SyncPeriodQuerySet(models.QuerySet["SyncPeriod"]):
    def newest(self, workspace: str) -> "SyncPeriod | None":
        """Return the period of the workspace's last poll."""
        row = _newest.first(self.db, workspace=workspace)
        return SyncPeriod.from_db(self.db, columns(SyncPeriod), row) if row else None

    def poll_state(self, workspace: str, now: datetime) -> PollState:
        """Return what a poll of the workspace starts from."""
        row = _poll_state.first(self.db, workspace=workspace, at=now)
        if row is None:
            return PollState()
        *period, list_due_at, alerts_due = row
        return PollState(
            SyncPeriod.from_db(self.db, columns(SyncPeriod), period), list_due_at, alerts_due
        )

    def last_good(self, workspace: str) -> "SyncPeriod | None":
        """Return the newest period of successful polls."""
        good = self.filter(workspace=workspace, outcome__in=SyncPeriod.GOOD)
        return good.order_by("-pk").first()

    def first_success_at(self, workspace: str) -> datetime | None:
        """Return when the workspace was first polled successfully, None if it never was."""
        good = self.filter(workspace=workspace, outcome__in=SyncPeriod.GOOD)
        first = good.order_by("pk").first()
        return first.first_at if first else None

    def failing_since(self, workspace: str) -> datetime | None:
        """Return when the polls began to fail, None if the last one succeeded."""
        good = self.last_good(workspace)
        bad = self.filter(workspace=workspace, pk__gt=good.pk if good else 0)
        first = bad.order_by("pk").first()
        return first.first_at if first else None

    def overlapping(self, workspaces: Collection[str], start: datetime, end: datetime) -> list[Any]:
        """Return these workspaces' periods that overlap a span, oldest first; in two queries.

        Limited to the newest MAX. The first of each workspace may have ended before the span: its
        result holds until the next poll.
        """
        before = self.filter(workspace=OuterRef("workspace"), first_at__lt=start)
        keys = SyncLease.objects.filter(workspace__in=workspaces).annotate(
            before=Subquery(before.order_by("-first_at").values("pk")[:1])
        )
        within = self.filter(workspace__in=workspaces, first_at__gte=start, first_at__lte=end)
        # In a query of their own, so that one flapping workspace does not push out all others.
        first = self.filter(pk__in=keys.values("before")).order_by("pk")
        return [*first, *list(within.order_by("-pk")[: SyncPeriod.MAX])[::-1]]

    def start(self, workspace: str, outcome: str, *, at: datetime, **values: Any) -> "SyncPeriod":
        """Start a period with a poll whose result differs from the one before."""
        return self.create(workspace=workspace, outcome=outcome, first_at=at, last_at=at, **values)

    def extend(
        self, period: "SyncPeriod", holder: str, *, at: datetime, watched: timedelta, message: str
    ) -> bool:
        """Count a poll in its period and return True, if `holder` has the workspace's lease."""
        return bool(
            _extended.update(
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
    """Successive polls of a workspace with the same result.

    The table grows with changes, not with time. A long pause in polling ends a period too.
    """

    #: `outcome` of a successful poll, with an operation and without one; else the error's kind.
    OK = "ok"
    EMPTY = "empty"
    GOOD = (OK, EMPTY)

    #: How many rows a page reads at once.
    MAX = 4000

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    outcome = models.CharField(_("sync status"), max_length=40)
    message = models.TextField(_("message"), blank=True)
    first_at = models.DateTimeField(_("first poll"))
    last_at = models.DateTimeField(_("last poll"))
    polls = models.PositiveBigIntegerField(_("polls"), default=1)
    watched = models.DurationField(
        _("watched"),
        default=timedelta,
        help_text=_(
            "The total time in which this workspace could be polled, up to and including this "
            "period. A long pause between two polls counts as a short one."
        ),
    )

    objects = SyncPeriodQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync period")
        verbose_name_plural = _("workspaces")
        ordering = ("-last_at", "-pk")
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=("workspace", "-id"), name="importmonitor_period_newest"),
            models.Index(fields=("workspace", "first_at"), name="importmonitor_period_first"),
            models.Index(fields=("outcome", "-id"), name="importmonitor_period_outcome"),
        )

    def __str__(self) -> str:
        return f"{self.workspace}: {sync_status_label(self.outcome)}"

    @property
    def is_good(self) -> bool:
        return self.outcome in self.GOOD

    def continues(self, outcome: str, at: datetime) -> bool:
        """Return whether a poll with this result belongs to the period.

        Not after a gap in polling, so that unobserved time counts as neither good nor bad: a pause
        longer than polls may be late, and than was usual in this period. Cron may run once an
        hour, and `--watch` backs off.
        """
        if self.outcome != outcome:
            return False
        pause = at - self.last_at
        if self.polls < 2:
            usual = _MAX_FIRST_PAUSE
        else:
            usual = _MAX_USUAL_PAUSES * (self.last_at - self.first_at) / (self.polls - 1)
        return pause <= usual or pause <= conf.get_options().late_after


def _newest_period(workspace: Param) -> SyncPeriodQuerySet:
    return SyncPeriod.objects.filter(workspace=workspace).order_by("-pk")


def _newest_period_and_due(workspace: Param, at: Param) -> SyncPeriodQuerySet:
    lease = SyncLease.objects.filter(workspace=workspace)
    return _newest_period(workspace).annotate(
        list_due_at=Subquery(lease.values("list_due_at")[:1]),
        alerts_due=Exists(Alert.objects.due(at)),
    )


_newest = CompiledQuery(lambda: _newest_period(_WORKSPACE).values_list(*columns(SyncPeriod))[:1])
_poll_state = CompiledQuery(
    lambda: _newest_period_and_due(_WORKSPACE, _AT).values_list(
        *columns(SyncPeriod), "list_due_at", "alerts_due"
    )[:1]
)
_extended = CompiledQuery(
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
    def acquire(self, workspace: str, holder: str, *, now: datetime, duration: timedelta) -> bool:
        """Acquire a workspace's lease and return True, unless it is held or must not be polled.

        A single conditional UPDATE, so of any number of processes one gets it.
        """
        if self._acquire(workspace, holder, now, duration):
            return True
        if self.filter(workspace=workspace).exists():
            return False
        self.bulk_create([SyncLease(workspace=workspace)], ignore_conflicts=True)
        return self._acquire(workspace, holder, now, duration)

    def _acquire(self, workspace: str, holder: str, now: datetime, duration: timedelta) -> bool:
        values = {"workspace": workspace, "holder": holder, "at": now, "until": now + duration}
        return bool(_acquired.update(self.db, **values))

    def renew(self, workspace: str, holder: str, *, until: datetime) -> bool:
        """Extend a lease and return True, if `holder` still has it.

        As the first statement of a transaction it is a fence too: a write, so that SQLite takes
        its lock at once, and one that every other writer of this workspace waits behind until
        the transaction ends.
        """
        return bool(_renewed.update(self.db, workspace=workspace, holder=holder, until=until))

    def release(
        self, workspace: str, holder: str, *, not_before: datetime | None = None, **values: Any
    ) -> None:
        """Release the lease if `holder` still has it; no process polls before `not_before`.

        `values` are fields for the next poll.
        """
        if not_before is None and not values:
            _released.update(self.db, workspace=workspace, holder=holder)
            return
        self.filter(workspace=workspace, holder=holder).update(
            holder="", expires_at=None, not_before=not_before, **values
        )

    def mark_pruned(self, workspace: str, before: datetime) -> None:
        """Record that operations that started before a time, and are over, stay deleted.

        Like `renew` it is a fence, as the first statement of a transaction.
        """
        # A later time that was recorded before stays. Greatest, but for NULLs.
        later = Case(When(pruned_before__gt=before, then=F("pruned_before")), default=Value(before))
        self.filter(workspace=workspace).update(pruned_before=later, pruned_at=timezone.now())

    def release_all(self, workspaces: list[str], holder_prefix: str) -> None:
        """Release these workspaces' leases, of all holders whose names begin with the prefix."""
        held = self.filter(workspace__in=workspaces, holder__startswith=holder_prefix)
        held.update(holder="", expires_at=None)


class SyncLease(models.Model):
    """The right to sync a workspace, held by one process at a time, and what the next poll needs.

    Every workspace that was ever polled has one.
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
        help_text=_("Operations that started before this and are over were deleted, and stay so."),
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


_acquired = CompiledQuery(
    lambda: SyncLease.objects.filter(
        Q(expires_at=None) | Q(expires_at__lte=_AT),
        Q(not_before=None) | Q(not_before__lte=_AT),
        workspace=_WORKSPACE,
    ),
    holder=_HOLDER,
    expires_at=_UNTIL,
    not_before=None,
)
_renewed = CompiledQuery(_held, expires_at=_UNTIL)
_released = CompiledQuery(_held, holder="", expires_at=None, not_before=None)
