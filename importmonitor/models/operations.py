"""Import operations and what became of them."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor.models.fields import ExactCharField
from importmonitor.rocketchat.operation import FILE_LENGTH, ID_LENGTH
from importmonitor.rocketchat.payload import TEXT_LENGTH
from importmonitor.workspaces import ALIAS_MAX_LENGTH


class EndReason(models.TextChoices):
    """Why an operation is over; ours, and so the one word here that can have choices."""

    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")
    SUPERSEDED = "superseded", _("superseded")
    CANCELED = "canceled", _("canceled")


class ImportOperationQuerySet(models.QuerySet["ImportOperation"]):
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
