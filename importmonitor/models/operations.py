"""Import operations."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.models import bulk
from importmonitor.models.fields import ExactCharField
from importmonitor.models.prepared import Param, Prepared, columns
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


class Outcome(models.TextChoices):
    """How an operation ended; Rocket.Chat has one word, "done", for the first three."""

    DONE = "done", _("done")
    DONE_WITH_ERRORS = "done_with_errors", _("done with errors")
    DONE_SHORT = "done_short", _("done short")
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

    def current_document(self, workspace: str) -> tuple[str, datetime] | None:
        """Return the current operation's payload as text, and when it was modified."""
        row = _current_document.first(self.db, workspace=workspace)
        return (row[0], row[1]) if row else None

    def touchable(self, workspace: str, remote_ids: Collection[str]) -> list["ImportOperation"]:
        """Return, oldest first, what a look at a workspace can touch.

        That is what it saw, by these ids, all that has not ended, and the newest.
        """
        if len(remote_ids) > 1:
            found = list(_touchable(workspace, remote_id__in=list(remote_ids)))
        else:
            # None stands for no id at all: there is none that is empty.
            seen = next(iter(remote_ids), "")
            rows = _touchable_by_one.rows(self.db, workspace=workspace, remote_id=seen)
            names = columns(ImportOperation)
            found = [ImportOperation.from_db(self.db, names, row) for row in rows]
        once = {row.pk: row for row in found}
        return sorted(once.values(), key=lambda row: (row.started_at, row.pk))

    def neighbours(
        self, operation: "ImportOperation"
    ) -> tuple["ImportOperation | None", "ImportOperation | None"]:
        """Return the operations of the same workspace before and after one, where there are."""
        rows = self.filter(workspace=operation.workspace).defer("payload")
        at, key = operation.started_at, operation.pk
        before = rows.filter(started_at__lte=at).exclude(started_at=at, pk__gte=key)
        after = rows.filter(started_at__gte=at).exclude(started_at=at, pk__lte=key)
        return before.newest_first().first(), after.order_by("started_at", "pk").first()

    def save_all(
        self,
        created: list["ImportOperation"],
        changed: list["ImportOperation"],
        changed_fields: Collection[str],
        at: datetime,
    ) -> None:
        """Save new rows, and these fields of changed ones, in a few queries for any number.

        All of them were modified `at` that time.
        """
        for row in (*created, *changed):
            row.modified_at = at
        bulk.insert(ImportOperation, created, self.db)
        _fill_in_keys(self, created)
        if changed_fields:
            bulk.update(ImportOperation, changed, [*changed_fields, "modified_at"], self.db)


def _fill_in_keys(rows: ImportOperationQuerySet, created: list["ImportOperation"]) -> None:
    """Read the keys of new rows."""
    for workspace in {row.workspace for row in created}:
        mine = {row.remote_id: row for row in created if row.workspace == workspace}
        found = rows.filter(workspace=workspace, remote_id__in=list(mine))
        for remote_id, key in found.values_list("remote_id", "pk"):
            mine[remote_id].pk = key


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
    remote_user_id = ExactCharField(_("started by"), max_length=ID_LENGTH, blank=True)
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
    watched_at_progress = models.DurationField(
        _("watched at last progress"),
        default=timedelta,
        help_text=_("How long the workspace had been watched in all when it last moved."),
    )
    rate = models.FloatField(_("rate"), null=True, help_text=_("Records a second, lately."))
    stalled_since = models.DateTimeField(_("stalled since"), null=True)
    waiting_since = models.DateTimeField(
        _("waiting since"),
        null=True,
        help_text=_("Set when it had waited for a human so long that somebody was told."),
    )
    finished_at = models.DateTimeField(_("finished"), null=True)
    end_reason = models.CharField(_("end"), max_length=20, choices=EndReason, blank=True)
    # Made by the database of the columns above, to be looked for and counted by an index.
    outcome = models.GeneratedField(
        verbose_name=_("outcome"),
        expression=Case(
            When(
                end_reason=EndReason.DONE,
                count_error__gt=0,
                then=Value(Outcome.DONE_WITH_ERRORS.value),
            ),
            When(
                end_reason=EndReason.DONE,
                count_completed__lt=F("count_total"),
                then=Value(Outcome.DONE_SHORT.value),
            ),
            default=F("end_reason"),
        ),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )
    has_errors = models.GeneratedField(
        verbose_name=_("has errors"),
        expression=Case(When(count_error__gt=0, then=Value(1)), default=Value(0)),
        # No boolean: Django would ask for it by its name alone, which no index of SQLite answers.
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    modified_at = models.DateTimeField(
        _("modified"),
        default=timezone.now,
        help_text=_("When a sync last wrote anything of this row."),
    )
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
            models.Index(
                fields=("workspace", "outcome", "-started_at", "-id"),
                name="importmonitor_op_ws_outcome",
            ),
            models.Index(fields=("workspace", "finished_at"), name="importmonitor_op_open"),
            models.Index(fields=("state", "-started_at", "-id"), name="importmonitor_op_state"),
            models.Index(fields=("outcome", "-started_at", "-id"), name="importmonitor_op_outcome"),
            models.Index(
                fields=("has_errors", "-started_at", "-id"), name="importmonitor_op_errors"
            ),
            models.Index(
                fields=("remote_user_id", "-started_at", "-id"), name="importmonitor_op_user"
            ),
            models.Index(
                fields=("workspace", "-remote_updated_at", "-id"), name="importmonitor_op_updated"
            ),
            models.Index(
                fields=("importer_key", "-started_at", "-id"), name="importmonitor_op_importer"
            ),
            models.Index(fields=("remote_id",), name="importmonitor_op_remote_id"),
            models.Index(fields=("finished_at", "id"), name="importmonitor_op_finished"),
        )

    def __str__(self) -> str:
        # Not inside of the f-string, where gettext does not find it.
        kind = self.type or self.importer_key or _("import")
        return f"{kind} {self.remote_id}"


def _touchable(workspace: str | Param, **seen: Any) -> ImportOperationQuerySet:
    # Each part by an index of its own, and so a row up to three times. Of one query with OR, SQLite
    # makes one that goes through all of the workspace's history.
    rows = ImportOperation.objects.filter(workspace=workspace)
    newest = rows.filter(pk=rows.newest_first().values("pk")[:1])
    parts = [part.order_by() for part in (newest, rows.filter(**seen))]
    return rows.filter(finished_at=None).order_by().union(*parts, all=True).order_by()


_WORKSPACE, _REMOTE_ID = (Param(name, models.CharField()) for name in ("workspace", "remote_id"))
_touchable_by_one = Prepared(
    lambda: _touchable(_WORKSPACE, remote_id=_REMOTE_ID).values_list(*columns(ImportOperation))
)
_current_document = Prepared(
    lambda: (
        ImportOperation.objects.filter(workspace=_WORKSPACE)
        .newest_first()
        .values_list(Cast("payload", models.TextField()), "modified_at")[:1]
    )
)
