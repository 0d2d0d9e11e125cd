"""Alerts: written in the transaction of the change that they report, delivered after it."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from importmonitor.choices import event_label
from importmonitor.conf.channels import NAME_MAX_LENGTH
from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.compiled import Param
from importmonitor.models.fields import ExactCharField
from importmonitor.models.incidents import Incident
from importmonitor.models.operations import ImportOperation
from importmonitor.models.store import StoreQuerySet
from importmonitor.models.transitions import StatusTransition

if TYPE_CHECKING:
    from importmonitor.models.viewers import Viewer

#: The longest back-off between two attempts.
MAX_BACKOFF = timedelta(hours=1)
#: How long an attempt keeps other processes from making the same one: much longer than an attempt
#: takes, so that hosts whose clocks differ by ten minutes do not make it twice. If the process is
#: killed meanwhile, the next attempt is made after that.
CLAIM_DURATION = timedelta(minutes=12)
#: What is due later than this was written by a clock that was ahead, and is due now.
_MAX_WAIT = MAX_BACKOFF + timedelta(minutes=30)
_MAX_CLAIM = CLAIM_DURATION + timedelta(minutes=15)
#: The event of an alert that a user has asked for, until it is known how the import ended.
ENDED = "import.ended"
#: The channel of such an alert is this and the user's key. No configured one begins with it.
USER_CHANNEL = "@"


class AlertQuerySet(StoreQuerySet["Alert"]):
    def visible_to(self, viewer: "Viewer") -> Self:
        """Return the alerts that a viewer may see; a digest only if no workspace is hidden."""
        rows = super().visible_to(viewer)
        if viewer.hidden_aliases == []:
            return rows
        return rows.exclude(workspace="")

    def due(self, now: datetime | Param, latest: datetime | Param | None = None) -> Self:
        """Return the alerts to deliver now, oldest first.

        `latest` is `now` and _MAX_WAIT, where `now` is a Param.
        """
        if latest is None:
            assert isinstance(now, datetime)
            latest = latest_due(now)
        is_due = Q(next_attempt_at__lte=now) | Q(next_attempt_at__gt=latest)
        return self.filter(is_due).order_by("pk")

    def waiting(self, channel: str) -> Self:
        """Return the alerts that a channel has not delivered yet, oldest first."""
        return self.filter(channel=channel, next_attempt_at__isnull=False).order_by("pk")

    def for_users(self) -> Self:
        """Return the alerts that users have asked for."""
        return self.filter(channel__startswith=USER_CHANNEL)

    def for_channels(self) -> Self:
        """Return the alerts for the channels that are configured, or were."""
        return self.exclude(channel__startswith=USER_CHANNEL)

    def unclaimed(self, now: datetime) -> Self:
        """Return the alerts that no process is delivering."""
        is_free = Q(claimed_until=None) | Q(claimed_until__lte=now)
        return self.filter(is_free | Q(claimed_until__gt=now + _MAX_CLAIM))

    def claim(self, alert: "Alert", now: datetime) -> bool:
        """Claim an attempt to deliver an alert, and return whether this process got it."""
        until = now + CLAIM_DURATION
        unclaimed = self.unclaimed(now).filter(
            pk=alert.pk, attempts=alert.attempts, next_attempt_at__isnull=False
        )
        return bool(
            unclaimed.update(attempts=F("attempts") + 1, claimed_until=until, next_attempt_at=until)
        )

    def retryable(self, now: datetime) -> Self:
        """Return the undelivered alerts, even those given up, that no process is delivering.

        None that waits for the end of its import.
        """
        undelivered = self.filter(delivery__in=(Delivery.DUE, Delivery.GIVEN_UP))
        return undelivered.unclaimed(now).order_by()

    def retry_now(self, now: datetime) -> int:
        """Make those of these alerts due that can be retried, and return how many."""
        return self.retryable(now).update(next_attempt_at=now, given_up_at=None, claimed_until=None)


def latest_due(now: datetime) -> datetime:
    """Return the time after which no alert can rightly be due."""
    return now + _MAX_WAIT


class Delivery(models.TextChoices):
    """Whether an alert was delivered."""

    WAITING = "waiting", _("Waiting for the end of the import")
    DUE = "due", _("Pending")
    DELIVERED = "delivered", _("Delivered")
    GIVEN_UP = "given-up", _("Given up")


class Alert(models.Model):
    """A message about an event for one channel."""

    event = models.CharField(_("event"), max_length=40)
    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    operation = models.ForeignKey(
        ImportOperation,
        on_delete=models.CASCADE,
        null=True,
        related_name="alerts",
        verbose_name=_("import operation"),
    )
    transition = models.ForeignKey(
        StatusTransition,
        on_delete=models.CASCADE,
        null=True,
        related_name="alerts",
        verbose_name=_("status transition"),
    )
    incident = models.ForeignKey(
        Incident,
        on_delete=models.SET_NULL,
        null=True,
        related_name="alerts",
        verbose_name=_("incident"),
    )
    channel = ExactCharField(_("channel"), max_length=NAME_MAX_LENGTH)
    key = models.CharField(
        _("idempotency key"),
        max_length=150,
        help_text=_("The same for every attempt and channel, so that receivers can deduplicate."),
    )
    body = models.JSONField(_("body"))
    created_at = models.DateTimeField(_("created"))
    not_before = models.DateTimeField(_("not before"), null=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    claimed_until = models.DateTimeField(_("claimed until"), null=True)
    delivered_to = models.JSONField(
        _("delivered to"),
        default=list,
        # For the previous release, which writes alerts without it during an upgrade.
        db_default=Value([], models.JSONField()),
        help_text=_("Recipients that got it, where others were refused."),
    )
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)
    delivered_at = models.DateTimeField(_("delivered"), null=True)
    given_up_at = models.DateTimeField(_("given up"), null=True)
    last_error = models.TextField(_("last error"), blank=True)
    # Computed by the database from the columns above, so that an index can filter by it.
    delivery = models.GeneratedField(
        verbose_name=_("delivery"),
        expression=Case(
            When(delivered_at__isnull=False, then=Value(Delivery.DELIVERED.value)),
            When(given_up_at__isnull=False, then=Value(Delivery.GIVEN_UP.value)),
            When(next_attempt_at__isnull=True, then=Value(Delivery.WAITING.value)),
            default=Value(Delivery.DUE.value),
        ),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )

    objects = AlertQuerySet.as_manager()
    #: The user whose channel it is, where `alerts.subscriptions.read_user_names` has read it.
    user_name = ""

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ("-pk",)
        default_permissions = ("view",)
        constraints = (
            # Nothing is sent twice, whichever process tries.
            models.UniqueConstraint(fields=("key", "channel"), name="importmonitor_alert_once"),
        )
        indexes = (
            models.Index(fields=("next_attempt_at", "id"), name="importmonitor_alert_due"),
            models.Index(fields=("given_up_at", "id"), name="importmonitor_alert_given_up"),
            models.Index(fields=("workspace", "-id"), name="importmonitor_alert_workspace"),
            models.Index(fields=("event", "-id"), name="importmonitor_alert_event"),
            models.Index(fields=("delivery", "-id"), name="importmonitor_alert_delivery"),
        )

    def __str__(self) -> str:
        return f"{event_label(self.event)} → {self.channel_label}"

    @property
    def channel_label(self) -> str:
        """The channel as people read it: its name, or whose it is."""
        name: str = self.channel
        if not name.startswith(USER_CHANNEL):
            return name
        user = self.user_name or gettext("User %(id)s") % {"id": name.removeprefix(USER_CHANNEL)}
        return gettext("Notify me: %(user)s") % {"user": user}

    @property
    def subject(self) -> tuple[str, int | None]:
        """What it is about: alerts about the same are delivered in their order."""
        return self.workspace, self.operation_id

    @property
    def is_reminder(self) -> bool:
        """Whether it repeats an earlier one, because its incident is still open."""
        incident = self.body.get("incident")
        return bool(incident and incident.get("reminder"))

    def is_outdated(self, now: datetime) -> bool:
        """Return whether it is a reminder of an incident that is over or acknowledged."""
        if not self.is_reminder:
            return False
        incident = self.incident
        return incident is None or not incident.is_open or incident.is_acknowledged(now)

    def is_due(self, now: datetime) -> bool:
        """Return whether it is to be delivered now."""
        due = self.next_attempt_at
        return due is not None and (due <= now or due > latest_due(now))

    def is_claimed(self, now: datetime) -> bool:
        """Return whether a process is delivering it."""
        until = self.claimed_until
        return until is not None and now < until <= now + _MAX_CLAIM
