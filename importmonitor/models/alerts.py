"""Alerts: written in the transaction of the change that they report, delivered after it."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Case, Value, When
from django.utils.translation import gettext_lazy as _

from importmonitor.choices import event_label
from importmonitor.conf.channels import NAME_MAX_LENGTH
from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.compiled import Param
from importmonitor.models.fields import ExactCharField
from importmonitor.models.operations import ImportOperation
from importmonitor.models.transitions import StatusTransition


class AlertQuerySet(models.QuerySet["Alert"]):
    def due(self, now: datetime | Param) -> Self:
        """Return the alerts to deliver now, oldest first."""
        return self.filter(next_attempt_at__lte=now).order_by("pk")


class Delivery(models.TextChoices):
    """Whether an alert was delivered."""

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
    channel = ExactCharField(_("channel"), max_length=NAME_MAX_LENGTH)
    key = models.CharField(
        _("idempotency key"),
        max_length=150,
        help_text=_("The same for every attempt and channel, so that receivers can deduplicate."),
    )
    body = models.JSONField(_("body"))
    created_at = models.DateTimeField(_("created"))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
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
            default=Value(Delivery.DUE.value),
        ),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )

    objects = AlertQuerySet.as_manager()

    class Meta:
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
        return f"{event_label(self.event)} → {self.channel}"
