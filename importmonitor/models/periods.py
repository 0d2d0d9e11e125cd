"""Periods of polls with the same result."""

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from importmonitor.choices import GOOD_STATUSES, sync_status_label
from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.store import StoreQuerySet


class SyncPeriod(models.Model):
    """Successive polls of a workspace with the same result.

    The table grows with changes, not with time. A long pause in polling ends a period too. The
    last poll and the number of polls of the open period are in its Workspace's row, and come here
    when it is closed; `WorkspaceQuerySet.periods` fills them in.
    """

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

    objects = StoreQuerySet["SyncPeriod"].as_manager()

    class Meta:
        base_manager_name = "objects"
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
        return f"{self.workspace}: {sync_status_label(self.outcome)}"

    @property
    def is_good(self) -> bool:
        return self.outcome in GOOD_STATUSES
