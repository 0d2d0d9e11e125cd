"""The bodies of the REST face: times in ISO 8601 and UTC, durations in seconds."""

from datetime import UTC, datetime
from typing import Any

from django.db import models
from rest_framework import serializers

from importmonitor import exports
from importmonitor.models import ImportOperation, ProgressSample, StatusTransition
from importmonitor.models.health import Freshness, SyncHealth, WorkspaceHealth


class UtcDateTimeField(serializers.DateTimeField):
    """A time in UTC, whatever the site's own zone is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


FIELDS = serializers.ModelSerializer.serializer_field_mapping | {
    models.DateTimeField: UtcDateTimeField
}


class CountersSerializer(serializers.Serializer[ImportOperation]):
    """Rocket.Chat's counters; null is what it did not say."""

    total = serializers.IntegerField(source="count_total", allow_null=True)
    completed = serializers.IntegerField(source="count_completed", allow_null=True)
    error = serializers.IntegerField(source="count_error", allow_null=True)
    users = serializers.IntegerField(source="count_users", allow_null=True)
    channels = serializers.IntegerField(source="count_channels", allow_null=True)
    messages = serializers.IntegerField(source="count_messages", allow_null=True)
    contacts = serializers.IntegerField(source="count_contacts", allow_null=True)


class SyncSerializer(serializers.Serializer[Any]):
    """How old the data of an operation or a workspace is, and whether looking still goes well."""

    # The docstring is told to the public. The context holds `now` and, by workspace, `looks`.

    state = serializers.SerializerMethodField(
        help_text="`ok`, `stale` (nobody has looked for long) or `failing` (the last look failed)."
    )
    synced_at = serializers.SerializerMethodField(
        help_text="The last look that went well; null if none has."
    )
    age_seconds = serializers.SerializerMethodField(help_text="How long ago that is.")

    def get_state(self, row: ImportOperation | WorkspaceHealth) -> str:
        looks = self._looks(row)
        return (looks.freshness if looks else Freshness.STALE).value

    def get_synced_at(self, row: ImportOperation | WorkspaceHealth) -> datetime | None:
        looks = self._looks(row)
        return looks.synced_at.astimezone(UTC) if looks and looks.synced_at else None

    def get_age_seconds(self, row: ImportOperation | WorkspaceHealth) -> int | None:
        looks = self._looks(row)
        if looks is None or looks.synced_at is None:
            return None
        now: datetime = self.context["now"]
        return max(0, round((now - looks.synced_at).total_seconds()))

    def _looks(self, row: ImportOperation | WorkspaceHealth) -> SyncHealth | None:
        found: SyncHealth | None = self.context["looks"].get(row.workspace)
        return found


class OperationSerializer(serializers.ModelSerializer[ImportOperation]):
    """An import operation."""

    serializer_field_mapping = FIELDS

    outcome = serializers.SerializerMethodField(
        help_text="How it ended; null while it has not, or runs once more."
    )
    stalled = serializers.SerializerMethodField(
        help_text="Whether it should be moving and is not; it can move again."
    )
    file_name = serializers.SerializerMethodField(help_text="The file's own name.")
    counters = CountersSerializer(source="*", read_only=True)
    percent = serializers.SerializerMethodField(
        help_text="How much is completed, 0 to 100; null where that cannot be said."
    )
    seconds_left = serializers.SerializerMethodField(
        help_text="At its speed of late; null where that cannot be said."
    )
    duration_seconds = serializers.SerializerMethodField(
        help_text="How long it took, or has been taking."
    )
    unreadable = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="The fields of Rocket.Chat's document that could not be read.",
    )
    sync = SyncSerializer(source="*", read_only=True)

    class Meta:
        model = ImportOperation
        # What is exported, and how old it is.
        fields: tuple[str, ...] = (*exports.KEYS, "sync")
        read_only_fields = fields

    def get_outcome(self, operation: ImportOperation) -> str | None:
        outcome = operation.present_outcome
        return outcome.value if outcome else None

    def get_stalled(self, operation: ImportOperation) -> bool:
        return operation.is_stalled

    def get_file_name(self, operation: ImportOperation) -> str:
        return operation.file_name

    def get_percent(self, operation: ImportOperation) -> int | None:
        return operation.percent

    def get_seconds_left(self, operation: ImportOperation) -> int | None:
        left = operation.time_left(self.context["now"])
        return None if left is None else round(left.total_seconds())

    def get_duration_seconds(self, operation: ImportOperation) -> int:
        return round(operation.duration(self.context["now"]).total_seconds())


class OperationDetailSerializer(OperationSerializer):
    """An import operation with the document that Rocket.Chat sent of it."""

    payload = serializers.DictField(
        read_only=True, help_text="The document as Rocket.Chat sent it, less `fileData`."
    )

    class Meta(OperationSerializer.Meta):
        fields = (*OperationSerializer.Meta.fields, "payload")
        read_only_fields = fields


class TransitionSerializer(serializers.ModelSerializer[StatusTransition]):
    """A change of an operation's status or state."""

    serializer_field_mapping = FIELDS

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
    """An operation's counters at a time, once for each time that they moved."""

    serializer_field_mapping = FIELDS

    class Meta:
        model = ProgressSample
        fields = ("observed_at", "completed", "error", "total")
        read_only_fields = fields


class WorkspaceSerializer(serializers.Serializer[Any]):
    """A workspace: how well it can be looked at, and its current operation."""

    workspace = serializers.CharField(read_only=True)
    sync = SyncSerializer(source="*", read_only=True)
    outcome = serializers.SerializerMethodField(
        help_text="How the last look went: `ok`, `empty` (nothing was ever imported) or the kind "
        "of error; null before the first."
    )
    message = serializers.SerializerMethodField(help_text="What was wrong, and what to do.")
    since = serializers.SerializerMethodField(help_text="Since when looks have gone so.")
    synced_at = serializers.SerializerMethodField(help_text="The last look, good or not.")
    polls = serializers.SerializerMethodField(help_text="How many looks have gone so.")
    operation = OperationSerializer(
        read_only=True, allow_null=True, help_text="The current operation, if any."
    )

    def get_outcome(self, health: WorkspaceHealth) -> str | None:
        return health.period.outcome if health.period else None

    def get_message(self, health: WorkspaceHealth) -> str:
        return health.period.message if health.period else ""

    def get_since(self, health: WorkspaceHealth) -> datetime | None:
        return health.period.first_at.astimezone(UTC) if health.period else None

    def get_synced_at(self, health: WorkspaceHealth) -> datetime | None:
        return health.period.last_at.astimezone(UTC) if health.period else None

    def get_polls(self, health: WorkspaceHealth) -> int:
        return health.period.polls if health.period else 0
