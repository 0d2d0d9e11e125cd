"""Import operations."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, Self

from django.db import DatabaseError, connections, models
from django.db.models import Case, Exists, Q, Subquery, Value, When
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.compiled import CompiledQuery, Param, columns
from importmonitor.models.fields import ExactCharField, insert_with_keys
from importmonitor.models.outcomes import PREMATURE_ENDS, EndReason, Outcome, TimeLeft
from importmonitor.models.store import StoreQuerySet
from importmonitor.rocketchat import states
from importmonitor.rocketchat.counters import PENDING, Counters, stride
from importmonitor.rocketchat.operation import COUNTS, FILE_LENGTH, ID_LENGTH, is_legacy_time
from importmonitor.rocketchat.payload import TEXT_LENGTH

#: Characters of the name of the user who wrote a note: as many as an e-mail address can have.
NOTE_BY_LENGTH = 254
#: A year: longer than any import, so a longer estimate is no estimate.
_MAX_TIME_LEFT = 365 * 86_400.0
#: In as many of the newest operations of a workspace the names of users are looked up: a user with
#: a million of them costs no more.
_MAX_RECENT = 500


class Neighbours(NamedTuple):
    """The keys of the operations before and after one, None where there is none.

    `downloads` are those importers of pending files and avatars that ran, or run, after it.
    """

    older: int | None
    newer: int | None
    downloads: frozenset[str]


class ImportOperationQuerySet(StoreQuerySet["ImportOperation"]):
    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-pk")

    def document(self, key: int) -> tuple[str, datetime] | None:
        """Return an operation's payload as text, and when it was modified."""
        row = _document.first(self.db, key=key)
        return (row[0], row[1]) if row else None

    def affected_by(
        self, workspace: str, remote_ids: Collection[str], current_key: int | None
    ) -> list["ImportOperation"]:
        """Return, oldest first, the rows that a poll of a workspace can change.

        They are the operations that Rocket.Chat returned (`remote_ids`), all that have not ended,
        and the one that was current until then (`current_key`).
        """
        key = current_key or 0
        if len(remote_ids) > 1:
            rows = list(_affected(workspace, key, remote_id__in=list(remote_ids)))
        else:
            # The empty string stands for no id: no row has it.
            remote_id = next(iter(remote_ids), "")
            values = _affected_by_one.rows(
                self.db, workspace=workspace, remote_id=remote_id, key=key
            )
            names = columns(ImportOperation)
            rows = [ImportOperation.from_db(self.db, names, row) for row in values]
        unique = {row.pk: row for row in rows}
        return sorted(unique.values(), key=lambda row: (row.started_at, row.pk))

    def neighbours(self, operation: "ImportOperation") -> "Neighbours":
        """Return what is before and after an operation in its workspace, in one query."""
        rows = self.filter(workspace=operation.workspace)
        at, key = operation.started_at, operation.pk
        before = rows.filter(started_at__lte=at).exclude(started_at=at, pk__gte=key)
        after = rows.filter(started_at__gte=at).exclude(started_at=at, pk__lte=key)
        downloads = [Exists(after.filter(importer_key=name)) for name in sorted(PENDING)]
        row = (
            self.filter(pk=key)
            .order_by()
            .values_list(
                Subquery(before.newest_first().values("pk")[:1]),
                Subquery(after.order_by("started_at", "pk").values("pk")[:1]),
                *downloads,
            )
            .get()
        )
        older, newer, *has_download = row
        names = zip(sorted(PENDING), has_download, strict=True)
        return Neighbours(older, newer, frozenset(name for name, has in names if has))

    def user_names(self, workspace: str, user_ids: Collection[str]) -> dict[str, str]:
        """Return the names of users by their ids, as far as recent operations have them."""
        newest = self.filter(workspace=workspace).newest_first()
        rows = list(newest.values_list("remote_user_id", "remote_user_name")[:_MAX_RECENT])
        return {user_id: name for user_id, name in reversed(rows) if name and user_id in user_ids}

    def named(self, workspace: str, remote_ids: Collection[str]) -> set[str]:
        """Return which of these operations have a name of their user, or were asked in vain."""
        rows = self.filter(workspace=workspace, remote_id__in=remote_ids).order_by()
        return set(rows.exclude(remote_user_name=None).values_list("remote_id", flat=True))

    def name_users(self, workspace: str, names: Mapping[str, str], at: datetime) -> None:
        """Name these users of a workspace, by their ids, where they have no name."""
        for user_id, name in names.items():
            if name:
                rows = self.filter(workspace=workspace, remote_user_id=user_id)
                unnamed = rows.filter(Q(remote_user_name=None) | Q(remote_user_name=""))
                unnamed.update(remote_user_name=name, modified_at=at)

    def mark_gone(self, workspace: str, remote_ids: Collection[str], at: datetime) -> int:
        """Mark a workspace's other operations as deleted in Rocket.Chat; return how many."""
        others = self.filter(workspace=workspace, gone_at=None).exclude(remote_id__in=remote_ids)
        return others.update(gone_at=at, modified_at=at)

    def save_all(
        self,
        created: list["ImportOperation"],
        changed: list["ImportOperation"],
        changed_fields: Collection[str],
        at: datetime,
    ) -> None:
        """Save new rows, and these fields of changed ones, in two queries however many there are.

        All of them get `at` as their `modified_at`.
        """
        for row in (*created, *changed):
            row.modified_at = at
        insert_with_keys(self, created)
        if changed and changed_fields:
            features = connections[self.db].features
            self.bulk_create(
                changed,
                update_conflicts=True,
                update_fields=[*changed_fields, "modified_at"],
                # MySQL and MariaDB find the conflicting row by whatever key there is.
                unique_fields=(
                    ("workspace", "remote_id")
                    if features.supports_update_conflicts_with_target
                    else None
                ),
            )

    def save_fields(self, row: "ImportOperation", names: Collection[str], at: datetime) -> None:
        """Save these fields of a row by a compiled statement, with `at` as its `modified_at`.

        Raises DatabaseError if the row no longer exists.
        """
        row.modified_at = at
        names = frozenset({*names, "modified_at"})
        values = {name: getattr(row, name) for name in names}
        if not _saved(names).update(self.db, key=row.pk, **values):
            raise DatabaseError(f"{row} no longer exists.")


class ImportOperation(models.Model):
    """One import operation of a workspace, as Rocket.Chat last reported it."""

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    remote_id = ExactCharField(_("id in Rocket.Chat"), max_length=ID_LENGTH)
    # No remote text has choices: Rocket.Chat's list of steps and importers grows with releases.
    type = models.CharField(_("type"), max_length=TEXT_LENGTH, blank=True)
    importer_key = models.CharField(_("importer"), max_length=TEXT_LENGTH, blank=True)
    status = models.CharField(_("status"), max_length=TEXT_LENGTH, blank=True)
    valid = models.BooleanField(_("valid"), null=True)
    state = models.CharField(_("state"), max_length=20)
    remote_user_id = ExactCharField(_("started by"), max_length=ID_LENGTH, blank=True)
    remote_user_name = models.CharField(  # noqa: DJ001 - null was not requested, "" in vain
        _("name of the user"),
        max_length=TEXT_LENGTH,
        null=True,
        blank=True,
        help_text=_("As of when it was requested; empty if there was none to be had."),
    )
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
        help_text=_("When Rocket.Chat created it; if that is unreadable, when it was first seen."),
    )
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(
        _("last seen"),
        help_text=_(
            "The last poll that changed this row. The sync periods have the polls since then."
        ),
    )
    last_progress_at = models.DateTimeField(_("last progress"))
    watched_at_progress = models.DurationField(
        _("watched at last progress"),
        default=timedelta,
        help_text=_("The total time the workspace had been watched at its last progress."),
    )
    rate = models.FloatField(_("rate"), null=True, help_text=_("Records per second, recently."))
    forecast_at = models.DateTimeField(_("forecast made"), null=True)
    seconds_left = models.FloatField(
        _("seconds left"), null=True, help_text=_("How long it would take from then on.")
    )
    seconds_left_low = models.FloatField(_("seconds left, at least"), null=True)
    seconds_left_high = models.FloatField(_("seconds left, at most"), null=True)
    speeds = models.JSONField(
        _("speeds"), null=True, help_text=_("What its end taught about the speed of its steps.")
    )
    stalled_since = models.DateTimeField(_("stalled since"), null=True)
    unusual_at = models.DateTimeField(
        _("unusual at"),
        null=True,
        help_text=_("When it will have taken unusually long; empty once that is alerted."),
    )
    waiting_since = models.DateTimeField(
        _("waiting since"),
        null=True,
        help_text=_("Set when it had waited for input so long that an alert was sent."),
    )
    invalidated_at = models.DateTimeField(
        _("invalidated"),
        null=True,
        help_text=_("When it was first seen invalid while it had not ended."),
    )
    gone_at = models.DateTimeField(
        _("deleted in Rocket.Chat"),
        null=True,
        help_text=_("Since when Rocket.Chat no longer has it."),
    )
    users_twice = models.BooleanField(
        _("users are counted twice"),
        null=True,
        help_text=_("Whether `completed` counts its users twice, as far as that is known."),
    )
    finished_at = models.DateTimeField(_("finished"), null=True)
    end_reason = models.CharField(_("end"), max_length=20, choices=EndReason, blank=True)
    # Written by the sync (`end_outcome`), so that an index can filter and count by it.
    outcome = models.CharField(
        _("outcome"), max_length=20, choices=Outcome, blank=True, default="", editable=False
    )
    has_errors = models.GeneratedField(
        verbose_name=_("has errors"),
        expression=Case(When(count_error__gt=0, then=Value(1)), default=Value(0)),
        # Not a boolean: Django would compile `WHERE has_errors`, for which SQLite uses no index.
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )
    modified_at = models.DateTimeField(
        _("modified"),
        default=timezone.now,
        help_text=_("When a sync last wrote this row."),
    )
    payload = models.JSONField(_("payload"), default=dict)
    unreadable = models.JSONField(_("unreadable"), default=list)
    note = models.TextField(_("note"), blank=True)
    # A name, not a user: the history may be in another database, and outlives its users.
    note_by = models.CharField(
        _("note by"), max_length=NOTE_BY_LENGTH, blank=True, default="", db_default=""
    )
    note_at = models.DateTimeField(_("note written"), null=True)

    objects = ImportOperationQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("import operation")
        verbose_name_plural = _("import operations")
        ordering = ("-started_at", "-pk")
        # Operations come from Rocket.Chat and are neither added nor deleted here.
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
            # With the workspace, which decides who sees it: the index has all that is counted.
            models.Index(
                fields=("-started_at", "-id", "workspace"), name="importmonitor_op_started"
            ),
            models.Index(
                fields=("workspace", "-started_at", "-id"), name="importmonitor_op_workspace"
            ),
            models.Index(
                fields=("workspace", "outcome", "-started_at", "-id"),
                name="importmonitor_op_ws_outcome",
            ),
            models.Index(fields=("workspace", "finished_at"), name="importmonitor_op_open"),
            models.Index(fields=("state", "-started_at", "-id"), name="importmonitor_op_state"),
            models.Index(
                fields=("outcome", "-started_at", "-id", "workspace"),
                name="importmonitor_op_outcome",
            ),
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
            models.Index(
                fields=("workspace", "importer_key", "-started_at", "-id"),
                name="importmonitor_op_kind",
            ),
            models.Index(fields=("remote_id",), name="importmonitor_op_remote_id"),
            models.Index(fields=("finished_at", "id"), name="importmonitor_op_finished"),
        )

    def __str__(self) -> str:
        # Not inside the f-string, where gettext does not find it.
        kind = self.type or self.importer_key or _("import")
        return f"{kind} {self.remote_id}"

    @property
    def started_by_name(self) -> str:
        """The name of the user who started it, "" if that is unknown."""
        return self.remote_user_name or ""

    @property
    def started_by(self) -> str:
        """The name of the user who started it, or the id; "" if both are unknown."""
        return self.remote_user_name or self.remote_user_id

    @property
    def is_active(self) -> bool:
        """Whether it has not ended: it runs, or waits for input.

        Also after its end, when it runs again: Rocket.Chat's prepare page reopens an operation.
        """
        if self.finished_at is None:
            return True
        if self.gone_at or self.valid is False or self.end_reason in PREMATURE_ENDS:
            return False
        return self.state in states.ACTIVE_STATES

    @property
    def is_pending_download(self) -> bool:
        """Whether it downloads files or avatars that an earlier import left pending."""
        return self.importer_key in PENDING

    @property
    def is_legacy(self) -> bool:
        """Whether Rocket.Chat up to 6.2 created it."""
        return is_legacy_time(self.payload.get("ts"))

    @property
    def stops_when_invalid(self) -> bool:
        """Whether Rocket.Chat itself aborts it, and then calls it done, when it is invalid.

        Pending files and avatars run on in every release, and up to 6.2 all imports do.
        """
        return not self.is_pending_download and not self.is_legacy

    @property
    def stride(self) -> int:
        """After how many records, at most, Rocket.Chat writes the counters at its step."""
        return stride(self.importer_key, self.status)

    @property
    def may_have_opened_settings(self) -> bool:
        """Whether a killed server would have left four settings open, which imports change.

        Rocket.Chat opens them at `importer_importing_started`, except for pending files and
        avatars, and restores them at the end, whatever end that is.
        """
        return not self.is_pending_download and (
            self.status.startswith("importer_importing_") or self.status == "importer_finishing"
        )

    @property
    def is_stalled(self) -> bool:
        """Whether it should make progress and does not."""
        return self.stalled_since is not None

    @property
    def needs_attention(self) -> bool:
        """Whether it failed, was interrupted or is stalled."""
        failures = (Outcome.FAILED, Outcome.INTERRUPTED)
        return self.is_stalled or self.present_outcome in failures

    def end_outcome(self) -> str:
        """Return what `outcome` is by `end_reason` and the counters: "" before the first end.

        One that Rocket.Chat aborts ends as done and invalid, like every old success. If it was not
        seen invalid before, the counters decide, and in doubt it is incomplete.
        """
        if self.end_reason != EndReason.DONE:
            return self.end_reason
        is_full = self.is_pending_download or self.progress.is_full
        if not is_full and self.valid is False and self.stops_when_invalid:
            return Outcome.INCOMPLETE.value
        if (self.count_error or 0) > 0:
            return Outcome.DONE_WITH_ERRORS.value
        return (Outcome.DONE if is_full else Outcome.INCOMPLETE).value

    @property
    def present_outcome(self) -> Outcome | None:
        """How it ended; None while it runs, even for a second time."""
        return Outcome(self.outcome) if self.outcome and not self.is_active else None

    @property
    def progress(self) -> Counters:
        """The counters that the progress is computed from."""
        return Counters(
            total=self.count_total,
            completed=self.count_completed,
            error=self.count_error,
            users=self.count_users,
            users_twice=self.users_twice,
        )

    @property
    def shown_completed(self) -> int | None:
        """`count_completed` as people read it: without the users that are counted a second time."""
        records = self.progress.records if self.users_twice else None
        return self.count_completed if records is None else records

    @property
    def percent(self) -> int | None:
        """How many records were imported or failed, 0 to 100; None where the counters do not say.

        100 only when all of them were, and Rocket.Chat has said that it is done.
        """
        has_ended = not self.is_active and self.end_reason not in PREMATURE_ENDS
        return self.progress.percent(has_ended=has_ended)

    def duration(self, now: datetime) -> timedelta:
        """Return how long it took, or has been running; never negative."""
        return max((self.finished_at or now) - self.started_at, timedelta(0))

    def time_left(self, now: datetime) -> "TimeLeft | None":
        """Return the forecast of the time left, or None where there is none.

        While it waits for a selection, that is the time that it will take from then on. Once the
        time of the forecast has passed, there is none.
        """
        forecast, at = self.seconds_left, self.forecast_at
        if forecast is None or at is None or self.is_stalled or not self.is_active:
            return None
        is_waiting = self.status in states.RESTING_STEPS
        passed = 0.0 if is_waiting else max((now - at).total_seconds(), 0.0)
        if not 0 < forecast - passed < _MAX_TIME_LEFT:
            return None
        low, high = self.seconds_left_low or 0.0, self.seconds_left_high or forecast
        seconds = (forecast - passed, max(low - passed, 0.0), min(high - passed, _MAX_TIME_LEFT))
        return TimeLeft(*(timedelta(seconds=value) for value in seconds))

    @property
    def file_name(self) -> str:
        """The file's original name, without Rocket.Chat's prefix (`…_<user id>_`)."""
        if self.remote_user_id:
            _prefix, separator, name = self.file.partition(f"_{self.remote_user_id}_")
            if separator and name:
                return name
        return self.file

    @property
    def counters(self) -> dict[str, int | None]:
        """Rocket.Chat's counters by their names; None for those that it did not send."""
        return {name: getattr(self, f"count_{name}") for name in COUNTS}


def _affected(workspace: str | Param, key: int | Param, **returned: Any) -> ImportOperationQuerySet:
    # Each part uses an index of its own, so a row can come up to three times. A single query with
    # OR makes SQLite scan the workspace's whole history.
    rows = ImportOperation.objects.filter(workspace=workspace)
    parts = [part.order_by() for part in (rows.filter(pk=key), rows.filter(**returned))]
    return rows.filter(finished_at=None).order_by().union(*parts, all=True).order_by()


_WORKSPACE, _REMOTE_ID = (Param(name, models.CharField()) for name in ("workspace", "remote_id"))
_KEY = Param("key", models.BigIntegerField())
_affected_by_one = CompiledQuery(
    lambda: _affected(_WORKSPACE, _KEY, remote_id=_REMOTE_ID).values_list(*columns(ImportOperation))
)
_document = CompiledQuery(
    lambda: ImportOperation.objects.filter(pk=_KEY).values_list(
        Cast("payload", models.TextField()), "modified_at"
    )
)


@cache
def _saved(names: frozenset[str]) -> CompiledQuery:
    """Return the query that saves these fields. Few sets of them ever occur."""
    fields = {
        field.name: Param(field.name, field)
        for field in ImportOperation._meta.concrete_fields
        if field.name in names
    }
    return CompiledQuery(lambda: ImportOperation.objects.filter(pk=_KEY), **fields)
