"""The changes of an operation's status and state."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor.models.fields import insert_with_keys
from importmonitor.models.operations import ImportOperation
from importmonitor.models.store import StoreQuerySet
from importmonitor.rocketchat.payload import TEXT_LENGTH


class StatusTransitionQuerySet(StoreQuerySet["StatusTransition"]):
    workspace_field = "operation__workspace"

    def add_all(self, transitions: list["StatusTransition"]) -> None:
        """Save new rows and set their primary keys."""
        for transition in transitions:
            # The operation may have got its key only now.
            transition.operation_id = transition.operation.pk
        insert_with_keys(self, transitions)


class StatusTransition(models.Model):
    """A change of an operation's status or state. Rows are added and never changed."""

    class Reason(models.TextChoices):
        REMOTE = "remote", _("Reported by Rocket.Chat")
        INVALIDATED = "invalidated", _("Invalidated by Rocket.Chat")
        SUPERSEDED = "superseded", _("Superseded by a newer import")
        STALLED = "stalled", _("Stalled")
        RESUMED = "resumed", _("Resumed")
        REOPENED = "reopened", _("Reopened")
        CONTINUED = "continued", _("Continued after all")
        GONE = "gone", _("Deleted in Rocket.Chat")

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
        base_manager_name = "objects"
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
