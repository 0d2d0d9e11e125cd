"""Example bodies, built by the serializers of the REST API from one document."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import Serializer

from importmonitor.api.rest import serializers
from importmonitor.choices import OK, IncidentKind
from importmonitor.models import (
    ImportOperation,
    Incident,
    ProgressSample,
    StatusTransition,
    Workspace,
)
from importmonitor.rocketchat.operation import parse_operation

DOCUMENT: dict[str, Any] = {
    "_id": "65f8a1c2e4b0d9a7c3f1e205",
    "type": "CSV",
    "importerKey": "csv",
    "ts": "2026-03-25T11:00:00.000Z",
    "status": "importer_importing_messages",
    "valid": True,
    "user": "d26x6zSkaPSe5gCyy",
    "_updatedAt": "2026-03-25T11:30:00.000Z",
    "file": "20260225110000_d26x6zSkaPSe5gCyy_people.csv",
    "contentType": "text/csv",
    "count": {
        "total": 1324,
        "completed": 722,
        "error": 0,
        "users": 120,
        "channels": 4,
        "messages": 1200,
    },
}

_STARTED_AT = datetime(2026, 3, 25, 11, tzinfo=UTC)
_POLLED_AT = datetime(2026, 3, 25, 11, 30, 30, tzinfo=UTC)
_document = parse_operation(DOCUMENT)
_operation = ImportOperation(
    pk=1,
    workspace="default",
    **asdict(_document),
    remote_user_name="Ada Lovelace",
    state=_document.state.value,
    started_at=_STARTED_AT,
    first_seen_at=_STARTED_AT,
    last_seen_at=_POLLED_AT,
    last_progress_at=_POLLED_AT,
    modified_at=_POLLED_AT,
    note="Asked the vendor for a new export.",
    note_by="ada",
    note_at=_POLLED_AT,
    rate=2.5,
    # 120 users and so many records are 1,444, since users are counted twice.
    users_twice=True,
    forecast_at=_POLLED_AT,
    seconds_left=300.0,
    seconds_left_low=240.0,
    seconds_left_high=420.0,
)
_workspace = Workspace(
    alias="default",
    current_operation=_operation,
    sync_status=OK,
    period_started_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
    last_polled_at=_POLLED_AT,
    last_synced_at=_POLLED_AT,
    period_polls=69_000,
    clock_offset=timedelta(0),
)
_context = {"now": _POLLED_AT + timedelta(seconds=12), "workspaces": {"default": _workspace}}


def _body(serializer: type[Serializer[Any]], instance: object) -> Any:
    """Return the JSON of an instance."""
    return json.loads(JSONRenderer().render(serializer(instance, context=_context).data))


OPERATION = _body(serializers.OperationSerializer, _operation)
DETAIL = _body(serializers.OperationDetailSerializer, _operation)
WORKSPACE = _body(serializers.WorkspaceSerializer, _workspace)
TRANSITION = _body(
    serializers.TransitionSerializer,
    StatusTransition(
        pk=1,
        observed_at=_POLLED_AT - timedelta(minutes=10),
        reason=StatusTransition.Reason.REMOTE,
        from_status="importer_importing_channels",
        to_status=_document.status,
        from_state="importing",
        to_state=_document.state.value,
        valid=True,
        count_total=1324,
        count_completed=244,
    ),
)
SAMPLE = _body(
    serializers.SampleSerializer,
    ProgressSample(observed_at=_POLLED_AT, completed=722, total=1324),
)
_MORNING = datetime(2026, 3, 26, 7, tzinfo=UTC)
ACKNOWLEDGEMENT = {"until": "2026-03-26T07:00:00Z", "note": "IT moves the disk."}
INCIDENT = _body(
    serializers.IncidentSerializer,
    Incident(
        pk=1,
        workspace="default",
        operation=_operation,
        kind=IncidentKind.STALLED,
        since=_POLLED_AT - timedelta(minutes=20),
        first_alert_at=_POLLED_AT - timedelta(minutes=5),
        last_alert_at=_POLLED_AT - timedelta(minutes=5),
        acknowledged_by="ada",
        acknowledged_at=_POLLED_AT,
        acknowledged_until=_MORNING,
        note=ACKNOWLEDGEMENT["note"],
    ),
)
MAINTENANCE_REQUEST: dict[str, Any] = {
    "since": "2026-03-25T22:00:00Z",
    "hours": 2,
    "note": "Restart",
}
MAINTENANCE = _body(
    serializers.IncidentSerializer,
    Incident(
        pk=2,
        workspace="acme",
        kind=IncidentKind.MAINTENANCE,
        since=datetime(2026, 3, 25, 22, tzinfo=UTC),
        until=datetime(2026, 3, 26, tzinfo=UTC),
        acknowledged_by="ada",
        acknowledged_at=_POLLED_AT,
        note=MAINTENANCE_REQUEST["note"],
    ),
)
