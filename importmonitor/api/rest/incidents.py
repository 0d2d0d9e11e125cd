"""The REST API of incidents: reading and acknowledging them, and maintenance.

The docstrings of the views are in the description of the API.
"""

import math
from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpResponseBase
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from importmonitor.api.permissions import CanChangeIncidents
from importmonitor.api.rest.filters import TIME_ERROR, IncidentFilter, parse_time
from importmonitor.api.rest.pagination import IncidentPagination
from importmonitor.api.rest.serializers import IncidentSerializer, UtcDateTimeField
from importmonitor.api.rest.views import PAGINATION_PARAMETERS, RestView
from importmonitor.models import Incident, get_viewer
from importmonitor.models.incidents import (
    MAX_HOURS,
    MAX_NOTE_LENGTH,
    plan_maintenance,
    validate_until,
)


class ZonedTimeField(UtcDateTimeField):
    """A time with its zone, as in the parameters of the lists."""

    def to_internal_value(self, value: Any) -> datetime:
        moment = parse_time(value) if isinstance(value, str) else None
        if moment is None:
            raise ValidationError(TIME_ERROR)
        return moment


class AcknowledgementSerializer(serializers.Serializer[Any]):
    """An acknowledgement of an incident."""

    until = ZonedTimeField(
        allow_null=True,
        default=None,
        help_text="When the next reminder may come; null: it is acknowledged until it is over.",
    )
    note = serializers.CharField(
        allow_blank=True, default="", max_length=MAX_NOTE_LENGTH, help_text="The reason."
    )


class MaintenanceSerializer(serializers.Serializer[Any]):
    """Maintenance of a workspace; it has either `until` or `hours`."""

    since = ZonedTimeField(
        allow_null=True, default=None, help_text="When it begins; null: at once."
    )
    until = ZonedTimeField(allow_null=True, default=None, help_text="When it ends.")
    hours = serializers.FloatField(
        allow_null=True,
        default=None,
        min_value=0.1,
        max_value=MAX_HOURS,
        help_text="How long it lasts.",
    )
    note = serializers.CharField(
        allow_blank=True, default="", max_length=MAX_NOTE_LENGTH, help_text="The reason."
    )

    def validate_hours(self, hours: float | None) -> float | None:
        if hours is not None and math.isnan(hours):
            raise ValidationError("A valid number is required.")
        return hours


class Conflict(APIException):
    """The incident is over."""

    status_code = HTTPStatus.CONFLICT
    default_detail = "This incident is over."


class StrictJSONParser(JSONParser):
    """Parses JSON, whatever the host's STRICT_JSON says."""

    strict = True


class IncidentList(RestView):
    """The incidents of all workspaces, and maintenance, newest first."""

    queryset = Incident.objects.all()
    serializer_class = IncidentSerializer
    pagination_class = IncidentPagination
    filter_backends = [DjangoFilterBackend]
    filterset_class = IncidentFilter
    parameters = PAGINATION_PARAMETERS | frozenset(IncidentFilter.base_filters)

    def get(self, request: Request) -> HttpResponseBase:
        rows, links = self.paginate(self.filter_queryset(self.get_queryset()))
        now = timezone.now()
        return self.conditional_response(
            lambda: self.page_body(IncidentSerializer(rows, many=True, context={"now": now}).data),
            (*links, *(_version(row, now) for row in rows)),
            [moment for row in rows for moment in _changed_at(row)],
        )


class IncidentDetail(RestView):
    """One incident."""

    queryset = Incident.objects.all()
    serializer_class = IncidentSerializer

    def get(self, request: Request, pk: int) -> HttpResponseBase:
        incident, now = _get_visible(self), timezone.now()
        return self.conditional_response(
            lambda: IncidentSerializer(incident, context={"now": now}).data,
            (_version(incident, now),),
            _changed_at(incident),
        )


class WriteView(RestView):
    """The base of the views that write; their body is a JSON object, or empty."""

    permission_classes = [CanChangeIncidents]
    parser_classes = [StrictJSONParser]

    def read(self, request: Request) -> dict[str, Any]:
        """Return the values of the body; an unknown key is an error."""
        if not isinstance(request.data, dict):
            raise ParseError("Send a JSON object.")
        serializer: serializers.Serializer[Any] = self.get_serializer(data=dict(request.data))  # type: ignore[assignment] # it is one
        if unknown := sorted(set(request.data) - set(serializer.fields)):
            message = f"Unknown key. Known: {', '.join(sorted(serializer.fields))}."
            raise ValidationError({name: [message] for name in unknown})
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values


class IncidentAcknowledge(WriteView):
    """Acknowledge an incident: there are no reminders until a time, or until it is over.

    One about an import that has ended cannot be over by itself; without a time, it is closed.
    """

    queryset = Incident.objects.all()
    serializer_class = AcknowledgementSerializer

    def post(self, request: Request, pk: int) -> Response:
        incident, values, now = _get_visible(self), self.read(request), timezone.now()
        if values["until"] is not None:
            try:
                validate_until(values["until"], now)
            except DjangoValidationError as error:
                raise ValidationError({"until": error.messages}) from None
        if not Incident.objects.filter(pk=pk).acknowledge(by=_name(request), at=now, **values):
            raise Conflict
        incident.refresh_from_db()
        return Response(IncidentSerializer(incident, context={"now": now}).data)


class WorkspaceMaintenance(WriteView):
    """Plan or begin maintenance of a workspace: there are no alerts while it lasts.

    Polls and the history go on, and what is not over afterwards is alerted then.
    """

    queryset = Incident.objects.none()
    serializer_class = MaintenanceSerializer

    def post(self, request: Request, alias: str) -> Response:
        self._check(request, alias)
        values, now = self.read(request), timezone.now()
        note = values.pop("note")
        try:
            since, until = plan_maintenance(now, **values)
        except DjangoValidationError as error:
            raise ValidationError({"until": error.messages}) from None
        incident = Incident.objects.mute(
            alias, since=since, until=until, by=_name(request), at=now, note=note
        )
        body = IncidentSerializer(incident, context={"now": now}).data
        return Response(body, status=HTTPStatus.CREATED)

    def delete(self, request: Request, alias: str) -> Response:
        """End the maintenance of a workspace, and cancel what is planned, if there is any."""
        self._check(request, alias)
        Incident.objects.unmute(alias, timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)

    def _check(self, request: Request, alias: str) -> None:
        if not get_viewer(request).may_see(alias):
            raise NotFound


def _get_visible(view: RestView) -> Incident:
    """Return the incident of the URL; the settings may hide what its workspace's row does not."""
    incident: Incident = view.get_object()
    if get_viewer(view.request).is_refused(incident.workspace):
        raise NotFound
    return incident


def _name(request: Request) -> str:
    return str(request.user.get_username())[:150]


def _version(incident: Incident, now: datetime) -> str:
    fields = Incident._meta.concrete_fields
    values = [getattr(incident, field.attname) for field in fields]
    return f"{values} {incident.is_acknowledged(now)}"


def _changed_at(incident: Incident) -> list[datetime]:
    moments = (
        *(incident.since, incident.until),
        *(incident.acknowledged_at, incident.last_alert_at),
    )
    return [moment for moment in moments if moment is not None]
