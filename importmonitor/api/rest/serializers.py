"""The bodies of the REST API: times in ISO 8601 and UTC, durations in seconds.

The docstrings and help texts are in the public description of the API.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import models
from rest_framework import serializers

from importmonitor import exports
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from importmonitor.models.health import Freshness, SyncHealth, WorkspaceHealth
from importmonitor.rocketchat.operation import COUNTS


class UtcDateTimeField(serializers.DateTimeField):
    """A time in UTC, whatever the site's time zone is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


FIELDS = serializers.ModelSerializer.serializer_field_mapping | {
    models.DateTimeField: UtcDateTimeField
}


class CountersSerializer(serializers.Serializer[dict[str, int | None]]):
    """Rocket.Chat's counters; null if it did not send one."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: serializers.IntegerField(allow_null=True) for name in COUNTS}


class SyncSerializer(serializers.Serializer[Any]):
    """How old the data of an operation or a workspace is, and whether polling works."""

    # The context holds `now`, and as `health` the SyncHealth of each workspace.

    state = serializers.SerializerMethodField(
        help_text="`ok`, `stale` (not polled recently) or `failing` (the last poll failed)."
    )
    synced_at = serializers.SerializerMethodField(
        help_text="Time of the last successful poll; null if there was none."
    )
    age_seconds = serializers.SerializerMethodField(help_text="Seconds since then.")

    def get_state(self, row: ImportOperation | WorkspaceHealth) -> str:
        health = self._health(row)
        return (health.freshness if health else Freshness.STALE).value

    def get_synced_at(self, row: ImportOperation | WorkspaceHealth) -> datetime | None:
        health = self._health(row)
        return health.synced_at.astimezone(UTC) if health and health.synced_at else None

    def get_age_seconds(self, row: ImportOperation | WorkspaceHealth) -> int | None:
        synced_at = self.get_synced_at(row)
        now: datetime = self.context["now"]
        return max(0, round((now - synced_at).total_seconds())) if synced_at else None

    def _health(self, row: ImportOperation | WorkspaceHealth) -> SyncHealth | None:
        health: SyncHealth | None = self.context["health"].get(row.workspace)
        return health


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
    file_name = serializers.CharField(read_only=True, help_text="The file's original name.")
    counters = CountersSerializer(read_only=True)
    percent = serializers.IntegerField(
        allow_null=True, read_only=True, help_text="How much is completed, 0 to 100, if known."
    )
    seconds_left = serializers.SerializerMethodField(
        help_text="Estimate by its recent rate; null if there is none."
    )
    duration_seconds = serializers.SerializerMethodField(
        help_text="How long it took, or has been running."
    )
    unreadable = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="The fields of Rocket.Chat's document that could not be read.",
    )
    sync = SyncSerializer(source="*", read_only=True)

    class Meta:
        model = ImportOperation
        # The exported keys, and how old the data is.
        fields: tuple[str, ...] = (*exports.KEYS, "sync")
        read_only_fields = fields

    def get_seconds_left(self, operation: ImportOperation) -> int | None:
        time_left = operation.time_left(self.context["now"])
        return None if time_left is None else round(time_left.total_seconds())

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


class WorkspaceSerializer(serializers.Serializer[Any]):
    """A workspace: its sync status and its current operation."""

    workspace = serializers.CharField(read_only=True)
    sync = SyncSerializer(source="*", read_only=True)
    outcome = serializers.CharField(
        source="period.outcome",
        allow_null=True,
        read_only=True,
        help_text="The result of the last poll: `ok`, `empty` (nothing was ever imported) or the "
        "kind of error; null if there was none.",
    )
    message = serializers.CharField(
        source="period.message",
        default="",
        read_only=True,
        help_text="The error, and what to do about it.",
    )
    since = UtcDateTimeField(
        source="period.first_at",
        allow_null=True,
        read_only=True,
        help_text="Time of the first of the latest polls in a row with this result.",
    )
    synced_at = UtcDateTimeField(
        source="period.last_at",
        allow_null=True,
        read_only=True,
        help_text="Time of the last poll, successful or not.",
    )
    polls = serializers.IntegerField(
        source="period.polls",
        default=0,
        read_only=True,
        help_text="Number of the latest polls in a row with this result.",
    )
    operation = OperationSerializer(
        read_only=True, allow_null=True, help_text="The current operation, if any."
    )
