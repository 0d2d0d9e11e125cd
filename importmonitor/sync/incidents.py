"""The incidents that a poll opens and closes, in the transaction of what causes it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from importmonitor import conf
from importmonitor.choices import Event, IncidentKind
from importmonitor.models import ImportOperation, Incident, Outcome, Workspace
from importmonitor.models.fields import insert_with_keys
from importmonitor.models.incidents import (
    ACKNOWLEDGED_FOR_GOOD,
    ENDED_KINDS,
    OUTAGE_KINDS,
    IncidentQuerySet,
)
from importmonitor.models.workspaces import STABLE_AFTER
from importmonitor.rocketchat.exceptions import RocketChatError
from importmonitor.sync.change import Change

#: The incidents of a poll by the operation and the event that opened or closed them.
EventIncidents = dict[tuple[int, Event], Incident]

_KINDS = {
    Event.FAILED: IncidentKind.FAILED,
    Event.INTERRUPTED: IncidentKind.INTERRUPTED,
    Event.STALLED: IncidentKind.STALLED,
    Event.WAITING: IncidentKind.WAITING,
    Event.UNUSUAL: IncidentKind.UNUSUAL,
}
#: The ends of an import.
END_EVENTS = frozenset({Event.FINISHED, Event.FAILED, Event.INTERRUPTED})
#: What a change must touch to open or close an incident.
INCIDENT_FIELDS = (
    "status",
    "stalled_since",
    "waiting_since",
    "outcome",
    "finished_at",
    "end_reason",
)
#: The ends that say nothing about an earlier import of the same importer.
_INCONCLUSIVE = frozenset({Outcome.SUPERSEDED, Outcome.CANCELED})
_REFUSALS = frozenset({"Unauthenticated", "PermissionMissing", "TwoFactorRequired"})

# After so many outages within this time, the next is flapping, and its alert the last for now.
_MAX_OUTAGES = 2
_FLAP_WINDOW = timedelta(hours=2)


def follow_changes(changes: Sequence[Change], at: datetime) -> EventIncidents:
    """Open and close the incidents of a workspace's imports; return those of their events."""
    affected = [
        change
        for change in changes
        # A new operation has no incidents yet.
        if change.events or (not change.created and change.has_changed(INCIDENT_FIELDS))
    ]
    if not affected:
        return {}
    rows = _open_incidents(affected[0].operation.workspace).exclude(operation=None)
    open_incidents = list(rows.select_related("operation").defer("operation__payload"))
    operations = {change.operation.pk: change.operation for change in affected}
    ended = [change.operation for change in affected if _has_conclusive_end(change)]
    closed = [
        incident
        for incident in open_incidents
        if _is_over(incident, operations) or _is_succeeded(incident, ended)
    ]
    Incident.objects.close(closed, at)
    by_event: EventIncidents = {
        (incident.operation_id or 0, Event.RESUMED): incident
        for incident in closed
        if incident.kind == IncidentKind.STALLED
    }
    keys = {incident.open_key for incident in open_incidents}
    opened = []
    for change in affected:
        for event, _transition in change.events:
            incident = _new_incident(event, change.operation, at)
            if incident is not None and incident.open_key not in keys:
                opened.append(incident)
                by_event[change.operation.pk, event] = incident
    insert_with_keys(Incident.objects.all(), opened)
    return by_event


def _open_incidents(workspace: str) -> IncidentQuerySet:
    """Return a workspace's incidents that are open, and maintenance without an end."""
    return Incident.objects.filter(workspace=workspace, until=None)


def _has_conclusive_end(change: Change) -> bool:
    outcome = change.operation.present_outcome
    has_ended = any(event in END_EVENTS for event, _transition in change.events)
    return has_ended and outcome not in _INCONCLUSIVE


def _is_over(incident: Incident, operations: dict[int, ImportOperation]) -> bool:
    operation = operations.get(incident.operation_id or 0)
    if operation is None:
        return False
    match incident.kind:
        case IncidentKind.STALLED:
            return not operation.is_stalled
        case IncidentKind.WAITING:
            return operation.waiting_since is None
        case IncidentKind.MAINTENANCE:
            return not operation.is_active
        case IncidentKind.UNUSUAL:
            # One that began with the end is about few records.
            ended_at = operation.finished_at
            return ended_at is not None and incident.since < ended_at
    outcome = operation.present_outcome
    return outcome is None or ENDED_KINDS.get(outcome) != incident.kind


def _is_succeeded(incident: Incident, ended: Iterable[ImportOperation]) -> bool:
    """Return whether a later import of the same importer has ended: its outcome counts now."""
    operation = incident.operation
    if operation is None or incident.kind not in ACKNOWLEDGED_FOR_GOOD:
        return False
    return any(
        other.importer_key == operation.importer_key and other.started_at > operation.started_at
        for other in ended
    )


def _new_incident(event: Event, operation: ImportOperation, at: datetime) -> Incident | None:
    outcome = operation.present_outcome
    if event != Event.FINISHED:
        kind = _KINDS.get(event)
    elif outcome in conf.get_options().incident_outcomes:
        kind = ENDED_KINDS[Outcome(outcome)]
    else:
        kind = None
    if kind is None:
        return None
    began = {
        IncidentKind.STALLED: operation.stalled_since,
        IncidentKind.WAITING: operation.waiting_since,
    }
    since = began.get(kind, operation.finished_at) or at
    return new_incident(kind, operation.workspace, since, operation=operation)


def new_incident(
    kind: IncidentKind,
    workspace: str,
    since: datetime,
    *,
    message: str = "",
    operation: ImportOperation | None = None,
) -> Incident:
    """Return an open incident, unsaved."""
    incident = Incident(
        kind=kind, workspace=workspace, since=since, message=message, operation=operation
    )
    incident.open_key = incident.key
    return incident


def follow_failure(workspace: Workspace, error: RocketChatError, at: datetime) -> Incident | None:
    """Open the incident of a workspace whose polls have failed for too long, and return it.

    One outage is one incident, whatever the errors: its kind is that of the last. After some
    outages in a short time the incident is that it flaps, until it has been reachable, or
    unreachable, for an hour.
    """
    since = workspace.failing_since
    if since is None or at - since < conf.get_options().unreachable_after:
        return None
    kind = IncidentKind.REFUSED if error.kind in _REFUSALS else IncidentKind.UNREACHABLE
    outage = open_outage(workspace.alias)
    if outage is not None:
        if outage.kind != kind:
            outage.kind, outage.message = kind, str(error)
            outage.open_key = outage.key
            outage.save(update_fields=["kind", "message", "open_key"])
        return None
    if workspace.flapping_since is not None:
        if at - since < STABLE_AFTER:
            return None
        close_flapping(workspace, at)
    elif _count_outages(workspace.alias, at) >= _MAX_OUTAGES:
        kind, workspace.flapping_since = IncidentKind.FLAPPING, at
    incident = new_incident(kind, workspace.alias, since, message=str(error))
    incident.save(force_insert=True)
    return incident


def follow_recovery(workspace: Workspace, at: datetime, *, is_good: bool) -> Incident | None:
    """Close what the first poll of a period ends; return the incident that is over, if any.

    Any poll ends that a workspace was not polled; one that succeeds, an outage.
    """
    kinds = {IncidentKind.UNPOLLED}
    if is_good:
        kinds |= {*OUTAGE_KINDS, IncidentKind.MAINTENANCE}
    rows = _open_incidents(workspace.alias).filter(operation=None, kind__in=kinds)
    closed = list(rows)
    if closed:
        Incident.objects.close(closed, at)
    # One end of an outage that nothing polled either is one message.
    over = [incident for incident in closed if incident.kind != IncidentKind.MAINTENANCE]
    return min(over, key=lambda incident: incident.since, default=None) if is_good else None


def close_flapping(workspace: Workspace, at: datetime) -> Incident | None:
    """Close the incident of a workspace that no longer flaps, and return it."""
    workspace.flapping_since = None
    kind = IncidentKind.FLAPPING
    incident = _open_incidents(workspace.alias).filter(operation=None, kind=kind).first()
    if incident is not None:
        Incident.objects.close([incident], at)
    return incident


def open_outage(alias: str) -> Incident | None:
    """Return the open incident of a workspace whose polls fail, if there is one."""
    return _open_incidents(alias).filter(operation=None, kind__in=OUTAGE_KINDS).first()


def _count_outages(alias: str, at: datetime) -> int:
    """Return how many outages of a workspace there were recently."""
    rows = Incident.objects.filter(workspace=alias, operation=None, kind__in=OUTAGE_KINDS)
    return rows.filter(since__range=(at - _FLAP_WINDOW, at)).count()
