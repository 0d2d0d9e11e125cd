"""What became of an operation: each change of its status or state."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor.models import bulk
from importmonitor.models.operations import ImportOperation
from importmonitor.rocketchat.payload import TEXT_LENGTH


class StatusTransitionQuerySet(models.QuerySet["StatusTransition"]):
    def add_all(self, transitions: list["StatusTransition"]) -> None:
        """Save new rows and learn their keys, in two queries at most."""
        if not transitions:
            return
        for each in transitions:
            # The operation may have got its key but now.
            each.operation_id = each.operation.pk
        bulk.insert(StatusTransition, transitions, self.db)
        # Keys are given in the order of the rows, and nobody else adds any of these operations:
        # whoever saves them has their workspace's lease.
        newest = self.order_by("-pk").values_list("pk", flat=True)
        operations = {each.operation_id for each in transitions}
        keys = newest.filter(operation__in=operations)[: len(transitions)]
        for transition, key in zip(transitions, reversed(keys), strict=True):
            transition.pk = key


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

    objects = StatusTransitionQuerySet.as_manager()

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
