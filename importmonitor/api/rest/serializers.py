"""The bodies of the REST API: times in ISO 8601 and UTC, durations in seconds.

The docstrings and help texts are in the public description of the API.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import models
from rest_framework import ISO_8601, serializers

from importmonitor import exports
from importmonitor.models import (
    Freshness,
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    Workspace,
)
from importmonitor.rocketchat.operation import COUNTS


class UtcDateTimeField(serializers.DateTimeField):
    """A time in ISO 8601 and UTC, whatever the site's format and time zone are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, default_timezone=UTC, **kwargs)


FIELDS = serializers.ModelSerializer.serializer_field_mapping | {
    # A host can have DRF's own send big integers as strings.
    models.BigAutoField: serializers.IntegerField,
    models.BigIntegerField: serializers.IntegerField,
    models.DateTimeField: UtcDateTimeField,
}


class CountersSerializer(serializers.Serializer[dict[str, int | None]]):
    """Rocket.Chat's counters; null if it did not send one."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: serializers.IntegerField(allow_null=True) for name in COUNTS}


class SyncSerializer(serializers.Serializer[Any]):
    """How old the data of an operation or a workspace is, and whether polling works."""

    # The context holds `now`, and as `workspaces` those that were polled, by alias.

    state = serializers.SerializerMethodField(
        help_text="`ok`, `stale` (not polled recently) or `failing` (the last poll failed)."
    )
    synced_at = serializers.SerializerMethodField(
        help_text="Time of the last successful poll; null if there was none."
    )
    age_seconds = serializers.SerializerMethodField(help_text="Seconds since then.")

    def get_state(self, row: ImportOperation | Workspace) -> str:
        workspace = self._workspace(row)
        freshness = workspace.freshness(self.context["now"]) if workspace else None
        return (freshness or Freshness.STALE).value

    def get_synced_at(self, row: ImportOperation | Workspace) -> datetime | None:
        workspace = self._workspace(row)
        synced_at = workspace.last_synced_at if workspace else None
        return synced_at.astimezone(UTC) if synced_at else None

    def get_age_seconds(self, row: ImportOperation | Workspace) -> int | None:
        synced_at = self.get_synced_at(row)
        now: datetime = self.context["now"]
        return max(0, round((now - synced_at).total_seconds())) if synced_at else None

    def _workspace(self, row: ImportOperation | Workspace) -> Workspace | None:
        alias = row.alias if isinstance(row, Workspace) else row.workspace
        workspace: Workspace | None = self.context["workspaces"].get(alias)
        return workspace


class OperationSerializer(serializers.ModelSerializer[ImportOperation]):
    """An import operation."""

    serializer_field_mapping = FIELDS

    outcome = serializers.CharField(
        source="present_outcome",
        allow_null=True,
        read_only=True,
        help_text="How it ended; null if it has not ended, or runs again.",
    )
    stalled = serializers.BooleanField(
        source="is_stalled",
        read_only=True,
        help_text="Whether it should make progress and does not; it can resume.",
    )
    started_by_name = serializers.CharField(
        read_only=True,
        help_text="The name in Rocket.Chat of the user who started it; empty if that is unknown.",
    )
    file_name = serializers.CharField(read_only=True, help_text="The file's original name.")
    counters = CountersSerializer(read_only=True)
    percent = serializers.IntegerField(
        allow_null=True,
        read_only=True,
        help_text="How many records were imported or failed, 0 to 100; null where Rocket.Chat's "
        "counters do not say.",
    )
    seconds_left = serializers.SerializerMethodField(
        help_text="Estimate by the speed of its steps, and of imports before it; while it waits "
        "for a selection, from then on; null if there is none."
    )
    seconds_left_low = serializers.SerializerMethodField(
        help_text="It takes at least that long, and at most `seconds_left_high`, four "
        "times of five."
    )
    seconds_left_high = serializers.SerializerMethodField(help_text="See `seconds_left_low`.")
    duration_seconds = serializers.SerializerMethodField(
        help_text="How long it took, or has been running."
    )
    unreadable = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="The fields of Rocket.Chat's document that could not be read.",
    )
    note_by = serializers.CharField(
        read_only=True, help_text="The user who wrote the note; empty if there was none."
    )
    note_at = UtcDateTimeField(
        allow_null=True, read_only=True, help_text="When it was written; null if there was none."
    )
    sync = SyncSerializer(source="*", read_only=True)

    class Meta:
        model = ImportOperation
        # The exported keys, and how old the data is.
        fields: tuple[str, ...] = (*exports.KEYS, "sync")
        read_only_fields = fields

    def get_seconds_left(self, operation: ImportOperation) -> int | None:
        return self._seconds_left(operation, 0)

    def get_seconds_left_low(self, operation: ImportOperation) -> int | None:
        return self._seconds_left(operation, 1)

    def get_seconds_left_high(self, operation: ImportOperation) -> int | None:
        return self._seconds_left(operation, 2)

    def _seconds_left(self, operation: ImportOperation, position: int) -> int | None:
        time_left = operation.time_left(self.context["now"])
        return None if time_left is None else time_left.seconds()[position]

    def get_duration_seconds(self, operation: ImportOperation) -> int:
        return round(operation.duration(self.context["now"]).total_seconds())


class OperationDetailSerializer(OperationSerializer):
    """An import operation with the document that Rocket.Chat sent."""

    payload = serializers.DictField(
        read_only=True, help_text="The document as Rocket.Chat sent it, without `fileData`."
    )

    class Meta(OperationSerializer.Meta):
        fields = (*OperationSerializer.Meta.fields, "payload")
        read_only_fields = fields


class TransitionSerializer(serializers.ModelSerializer[StatusTransition]):
    """A change of an operation's status or state."""

    serializer_field_mapping = FIELDS

    # Not the model's choices: other reasons can be added.
    reason = serializers.CharField(read_only=True)

    class Meta:
        model = StatusTransition
        fields = (
            "id",
            "observed_at",
            "reason",
            "from_status",
            "to_status",
            "from_state",
            "to_state",
            "valid",
            "count_total",
            "count_completed",
            "count_error",
        )
        read_only_fields = fields


class SampleSerializer(serializers.ModelSerializer[ProgressSample]):
    """An operation's counters at a time; there is one for each time that they changed."""

    serializer_field_mapping = FIELDS

    class Meta:
        model = ProgressSample
        fields = ("observed_at", "completed", "error", "total")
        read_only_fields = fields


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """Something that is wrong, or was, or planned maintenance."""

    serializer_field_mapping = FIELDS

    operation = serializers.IntegerField(
        source="operation_id",
        allow_null=True,
        read_only=True,
        help_text="The id of the operation; null if it is about the workspace.",
    )
    since = UtcDateTimeField(read_only=True, help_text="Since when it has been so.")
    until = UtcDateTimeField(
        allow_null=True, read_only=True, help_text="Since when it is over; null while it is open."
    )
    message = serializers.CharField(read_only=True, help_text="The error of a workspace.")
    acknowledged = serializers.SerializerMethodField(
        help_text="Whether it is acknowledged at present: there are no reminders."
    )
    acknowledged_by = serializers.CharField(
        read_only=True, help_text="The user, or who planned the maintenance."
    )
    acknowledged_until = UtcDateTimeField(
        allow_null=True, read_only=True, help_text="Null: until it is over."
    )

    class Meta:
        model = Incident
        fields = (
            "id",
            "workspace",
            "operation",
            "kind",
            "since",
            "until",
            "message",
            "acknowledged",
            "acknowledged_by",
            "acknowledged_at",
            "acknowledged_until",
            "note",
            "first_alert_at",
            "last_alert_at",
        )
        read_only_fields = fields

    def get_acknowledged(self, incident: Incident) -> bool:
        return incident.is_acknowledged(self.context["now"])


class WorkspaceSerializer(serializers.Serializer[Any]):
    """A workspace: its sync status and its current operation."""

    workspace = serializers.CharField(source="alias", read_only=True)
    sync = SyncSerializer(source="*", read_only=True)
    outcome = serializers.SerializerMethodField(
        help_text="The result of the last poll: `ok`, `empty` (nothing was ever imported) or the "
        "kind of error; null if there was none.",
    )
    message = serializers.CharField(
        read_only=True,
        help_text="The error, and what to do about it.",
    )
    since = UtcDateTimeField(
        source="period_started_at",
        allow_null=True,
        read_only=True,
        help_text="Time of the first of the latest polls in a row with this result.",
    )
    synced_at = UtcDateTimeField(
        source="last_polled_at",
        allow_null=True,
        read_only=True,
        help_text="Time of the last poll, successful or not.",
    )
    polls = serializers.IntegerField(
        source="period_polls",
        read_only=True,
        help_text="Number of the latest polls in a row with this result.",
    )
    clock_offset_seconds = serializers.SerializerMethodField(
        help_text="How far Rocket.Chat's clock is ahead of this server's; null if unknown."
    )
    list_refused = serializers.CharField(
        read_only=True,
        help_text="Why Rocket.Chat refuses its list of operations, without which imports that end "
        "behind a newer one are missed.",
    )
    operation = OperationSerializer(
        source="current_operation",
        read_only=True,
        allow_null=True,
        help_text="The current operation, if any.",
    )

    def get_outcome(self, workspace: Workspace) -> str | None:
        return workspace.sync_status or None

    def get_clock_offset_seconds(self, workspace: Workspace) -> int | None:
        offset = workspace.clock_offset
        return None if offset is None else round(offset.total_seconds())
