"""The present state of each workspace, and the lease to poll it."""

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.choices import GOOD_STATUSES
from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.operations import ImportOperation
from importmonitor.models.periods import SyncPeriod
from importmonitor.models.workspace_queries import Freshness, Urgency, WorkspaceQuerySet

#: After the first poll of a period, a pause of up to this is no gap: cron may run once an hour.
_MAX_FIRST_PAUSE = timedelta(hours=2)
#: A pause of up to this many usual pauses is no gap: two or three polls may fail to happen.
_MAX_USUAL_PAUSES = 4

#: A workspace that flaps is told of again when its reachability has not changed for this long.
STABLE_AFTER = timedelta(hours=1)


class Workspace(models.Model):
    """A workspace that is configured, or was: its state as of the last poll, and the lease for one.

    Whatever shows the present state of a workspace reads this row, and no history.
    """

    alias = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH, unique=True)
    groups = models.CharField(  # noqa: DJ001 - null is "not limited"
        _("groups"),
        max_length=32,
        null=True,
        help_text=_("The key of the set of groups that it is limited to, as of the last poll."),
    )
    is_configured = models.BooleanField(
        _("configured"),
        default=True,
        db_default=True,
        help_text=_("Whether the settings had it at the last round of polls."),
    )
    urgency = models.PositiveSmallIntegerField(
        _("urgency"), choices=Urgency, default=Urgency.CALM, db_default=Urgency.CALM
    )
    # Of the current import, so that they can be counted by an index.
    import_state = models.CharField(
        _("state in Rocket.Chat"), max_length=20, blank=True, default="", db_default=""
    )
    import_outcome = models.CharField(
        _("outcome"), max_length=20, blank=True, default="", db_default=""
    )
    current_operation = models.ForeignKey(
        ImportOperation,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("current import"),
        help_text=_("What Rocket.Chat itself last called current, whether it runs or not."),
    )
    changed_at = models.DateTimeField(
        _("changed"),
        null=True,
        help_text=_("When another import became current, or one was deleted in Rocket.Chat."),
    )
    sync_status = models.CharField(_("sync status"), max_length=40, blank=True)
    message = models.TextField(_("message"), blank=True)
    last_polled_at = models.DateTimeField(_("last poll"), null=True)
    first_synced_at = models.DateTimeField(_("first synced"), null=True)
    last_synced_at = models.DateTimeField(_("last synced"), null=True)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    flapping_since = models.DateTimeField(
        _("flapping since"),
        null=True,
        help_text=_("While it is unreachable again and again, there are no alerts about that."),
    )
    period = models.ForeignKey(
        SyncPeriod,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("open sync period"),
    )
    period_started_at = models.DateTimeField(_("since"), null=True)
    period_polls = models.PositiveBigIntegerField(_("polls"), default=0)
    watched = models.DurationField(
        _("watched"),
        default=timedelta,
        help_text=_("The total time in which this workspace could be polled."),
    )
    clock_offset = models.DurationField(
        _("clock offset"),
        null=True,
        help_text=_("How far Rocket.Chat's clock is ahead of this server's."),
    )
    # An offset that differs from `clock_offset`, and how many polls in a row measured the latest.
    clock_candidate = models.DurationField(_("measured clock offset"), null=True)
    clock_samples = models.PositiveSmallIntegerField(_("clock measurements"), default=0)
    remote_time = models.DateTimeField(_("Rocket.Chat's time at the last poll"), null=True)
    # As of the last poll that succeeded.
    response_time = models.DurationField(_("response time"), null=True)
    rate_limit = models.PositiveBigIntegerField(
        _("rate limit"),
        null=True,
        help_text=_("How many requests of all clients Rocket.Chat allows in a minute."),
    )
    rate_remaining = models.PositiveBigIntegerField(_("requests left"), null=True)
    rate_resets_at = models.DateTimeField(_("rate limit resets"), null=True)
    users_twice = models.BooleanField(
        _("users are counted twice"),
        null=True,
        help_text=_("Whether this release of Rocket.Chat counts the users of an import twice."),
    )
    list_due_at = models.DateTimeField(_("list of operations due"), null=True)
    list_refused = models.TextField(_("why the list of operations is refused"), blank=True)
    pruned_before = models.DateTimeField(
        _("pruned before"),
        null=True,
        help_text=_("Operations that started before this and are over were deleted, and stay so."),
    )
    pruned_at = models.DateTimeField(_("pruned"), null=True)
    holder = models.CharField(_("holder"), max_length=100, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    not_before = models.DateTimeField(_("not before"), null=True)
    due_at = models.DateTimeField(
        _("next poll"),
        null=True,
        help_text=_("When `sync_import_status --watch` polls it next."),
    )

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")
        ordering = ("alias",)
        default_permissions = ("view",)
        indexes = (
            models.Index(fields=["groups", "alias"], name="importmonitor_workspace_groups"),
            # Pages in the order of the keys, however few of the rows are configured.
            models.Index(fields=["is_configured", "id"], name="importmonitor_workspace_listed"),
            models.Index(fields=["due_at"], name="importmonitor_workspace_due"),
            models.Index(
                fields=["is_configured", "urgency", "id"], name="importmonitor_workspace_urgent"
            ),
            models.Index(
                fields=["is_configured", "last_polled_at"], name="importmonitor_workspace_late"
            ),
            models.Index(
                fields=["is_configured", "sync_status", "import_state", "import_outcome"],
                name="importmonitor_workspace_counts",
            ),
        )

    def __str__(self) -> str:
        return self.alias

    @property
    def was_polled(self) -> bool:
        """Whether it was polled, with whatever result."""
        return self.last_polled_at is not None

    @property
    def is_good(self) -> bool:
        """Whether the last poll succeeded."""
        return self.sync_status in GOOD_STATUSES

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever imported, by the last successful poll."""
        return self.last_synced_at is not None and self.current_operation_id is None

    def summarize(self) -> set[str]:
        """Set what lists and totals are made from; return the names of the fields that changed."""
        operation = self.current_operation
        outcome = operation.present_outcome if operation else None
        urgency = Urgency.CALM
        if operation is not None and operation.needs_attention:
            urgency = Urgency.FAILED
        elif not self.is_good:
            urgency = Urgency.FAILING
        elif operation is not None and operation.is_active:
            urgency = Urgency.ACTIVE
        values = {
            "urgency": urgency,
            "import_state": operation.state if operation else "",
            "import_outcome": outcome.value if outcome else "",
        }
        changed = {name for name, value in values.items() if getattr(self, name) != value}
        for name in changed:
            setattr(self, name, values[name])
        return changed

    @property
    def usual_pause(self) -> timedelta | None:
        """The mean time between two polls of the open period, None before the second."""
        if self.last_polled_at is None or self.period_started_at is None or self.period_polls < 2:
            return None
        return (self.last_polled_at - self.period_started_at) / (self.period_polls - 1)

    def is_late(self, now: datetime) -> bool:
        """Return whether the last poll is so long ago that something is wrong with the polling."""
        last = self.last_polled_at
        # One that is still to come says nothing: a clock was ahead.
        return last is not None and abs(now - last) > conf.get_options().late_after

    def present_urgency(self, now: datetime) -> Urgency:
        """Return its urgency now: one that is late is as urgent as one that cannot be polled."""
        urgency = Urgency(self.urgency)
        return min(urgency, Urgency.FAILING) if self.is_late(now) else urgency

    def freshness(self, now: datetime) -> Freshness | None:
        """Return whether the stored state is still Rocket.Chat's, None before the first poll."""
        if not self.was_polled:
            return None
        if not self.is_good:
            return Freshness.FAILING
        return Freshness.STALE if self.is_late(now) else Freshness.OK

    def continues(self, status: str, at: datetime) -> bool:
        """Return whether a poll with this result belongs to the open period.

        Not after a gap in polling, so that unobserved time counts as neither good nor bad: a pause
        longer than polls may be late, and than was usual in this period. Cron may run once an
        hour, and `--watch` backs off.
        """
        if self.sync_status != status or self.period_id is None:
            return False
        return not self.has_gap(at)

    def was_paused(self, at: datetime) -> bool:
        """Return whether polling paused before a failed poll, as when the machine slept.

        The same as a gap, but after the first failure the usual pause is that of the polls before.
        """
        last = self.last_polled_at
        if last is None or at - last <= conf.get_options().late_after:
            return last is not None and at < last
        closed = SyncPeriod.objects.filter(workspace=self.alias).exclude(pk=self.period_id or 0)
        match list(closed.order_by("-pk")[:2]):
            case [before, *_] if before.polls >= 2:
                usual = (before.last_at - before.first_at) / (before.polls - 1)
            case [before, earlier]:
                usual = before.first_at - earlier.last_at
            case _:
                usual = _MAX_FIRST_PAUSE / _MAX_USUAL_PAUSES
        return self.has_gap(at, _MAX_USUAL_PAUSES * usual)

    def has_gap(self, at: datetime, first_pause: timedelta = _MAX_FIRST_PAUSE) -> bool:
        """Return whether the pause before a poll is no usual one, or a clock was stepped back.

        `first_pause` is the longest that is usual after the first poll of a period.
        """
        last, started = self.last_polled_at, self.period_started_at
        if last is None or started is None or at < started:
            return True
        pause, usual = at - last, self.usual_pause
        longest = first_pause if usual is None else _MAX_USUAL_PAUSES * usual
        return pause > longest and pause > conf.get_options().late_after

    def has_settled(self, at: datetime) -> bool:
        """Return whether a flapping workspace has been reachable for so long that it is over."""
        if self.flapping_since is None or not self.is_good or self.period_started_at is None:
            return False
        return at - self.period_started_at >= STABLE_AFTER

    def start_period(self, status: str, at: datetime, message: str = "") -> set[str]:
        """Close the open period and open one with a poll whose result differs, in two queries.

        Return the names of this row's fields that are still to be saved.
        """
        periods = SyncPeriod.objects
        if self.period_id is not None:
            periods.filter(pk=self.period_id).update(
                last_at=self.last_polled_at,
                polls=self.period_polls,
                watched=self.watched,
                message=self.message,
            )
        self.period = periods.create(
            workspace=self.alias, outcome=status, message=message, first_at=at, last_at=at
        )
        self.period_started_at, self.period_polls = at, 0
        self.sync_status, self.message = status, message
        if not self.is_good:
            self.failing_since = self.failing_since or at
        else:
            self.failing_since = None
            self.first_synced_at = min(self.first_synced_at or at, at)
        return {
            "period_id",
            "period_started_at",
            "sync_status",
            "message",
            "failing_since",
            "first_synced_at",
        }
