"""Incidents: what is wrong and asks for a person, from when until when."""

from datetime import UTC, datetime, timedelta
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Case, Q, Value, When
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from importmonitor.choices import IncidentKind, incident_label
from importmonitor.conf.workspaces import ALIAS_MAX_LENGTH
from importmonitor.models.fields import ExactCharField
from importmonitor.models.operations import ImportOperation
from importmonitor.models.outcomes import Outcome
from importmonitor.models.store import StoreQuerySet

#: The kinds that are about how an import ended, by its outcome. What has ended cannot be over.
ENDED_KINDS = {
    Outcome.FAILED: IncidentKind.FAILED,
    Outcome.INTERRUPTED: IncidentKind.INTERRUPTED,
    Outcome.INCOMPLETE: IncidentKind.INCOMPLETE,
    Outcome.DONE_WITH_ERRORS: IncidentKind.DONE_WITH_ERRORS,
}
#: The kinds that nothing but a person, or a later import, ends: without a time, to acknowledge one
#: is to close it.
ACKNOWLEDGED_FOR_GOOD = (*ENDED_KINDS.values(), IncidentKind.UNUSUAL)
#: The kinds of a workspace whose polls fail.
OUTAGE_KINDS = (IncidentKind.UNREACHABLE, IncidentKind.REFUSED)

#: Characters of the reason for an acknowledgement or maintenance.
MAX_NOTE_LENGTH = 1000
#: Alerts are acknowledged, and maintenance is planned, for no longer than this.
MAX_HOURS = 366 * 24
#: What is not over.
OPEN = Q(until=None) & ~Q(kind=IncidentKind.MAINTENANCE)

# An alert that was written later than this was written by a clock that was ahead.
_CLOCK_MARGIN = timedelta(minutes=15)


def acknowledged_at(moment: datetime) -> Q:
    """Return the condition that an incident is acknowledged at a time."""
    has_no_end = Q(acknowledged_until=None) | Q(acknowledged_until__gt=moment)
    return Q(acknowledged_at__isnull=False) & has_no_end


def validate_until(until: datetime, now: datetime) -> None:
    """Raise ValidationError unless a time is within the next year."""
    if until <= now:
        raise ValidationError(gettext("This time is in the past."))
    if until > now + timedelta(hours=MAX_HOURS):
        raise ValidationError(gettext("This is more than a year away."))


def plan_maintenance(
    now: datetime, *, since: datetime | None, until: datetime | None, hours: float | None
) -> tuple[datetime, datetime]:
    """Return when maintenance begins and ends; raises ValidationError."""
    since = since or now
    if (until is None) == (hours is None):
        raise ValidationError(gettext("Say until when, or for how many hours."))
    if since > now:
        validate_until(since, now)
    if until is None:
        if since < now - timedelta(hours=MAX_HOURS):
            raise ValidationError(gettext("This maintenance would already be over."))
        # In UTC: in a zone, Python adds to the time of day, whatever happens to the clocks.
        until = since.astimezone(UTC) + timedelta(hours=min(hours or 0, MAX_HOURS))
    if until <= since:
        raise ValidationError(gettext("It would end before it begins."))
    if until <= now:
        raise ValidationError(gettext("This maintenance would already be over."))
    if until - since > timedelta(hours=MAX_HOURS):
        raise ValidationError(gettext("It can last a year at most."))
    return since, until


class IncidentQuerySet(StoreQuerySet["Incident"]):
    def open(self) -> Self:
        """Return the incidents that are not over, the oldest first."""
        return self.filter(OPEN).order_by("since")

    def maintenance(self, at: datetime) -> Self:
        """Return the maintenance at a time, of workspaces and of single imports."""
        return self.unfinished_maintenance(at).filter(since__lte=at)

    def unfinished_maintenance(self, at: datetime) -> Self:
        """Return the maintenance that is not over, or is planned, at a time; the first first."""
        rows = self.filter(Q(until=None) | Q(until__gt=at), kind=IncidentKind.MAINTENANCE)
        return rows.order_by("since")

    def alert_due(self, now: datetime) -> Self:
        """Return the open incidents about which an alert, or another one, is to be written."""
        is_due = Q(next_alert_at__lte=now) | Q(last_alert_at__gt=now + _CLOCK_MARGIN)
        return self.open().filter(is_due, next_alert_at__isnull=False)

    def resume_reminders(self, now: datetime) -> int:
        """Make a reminder due of open incidents that have none ahead; return of how many.

        When they were alerted no channel had reminders, or it was not configured.
        """
        alerted = self.open().filter(first_alert_at__isnull=False, next_alert_at=None)
        return alerted.exclude(acknowledged_at(now)).order_by().update(next_alert_at=now)

    def lock(self) -> None:
        """Lock these incidents until the end of the transaction.

        In the order of their keys: two updates of the same rows would otherwise wait for each
        other, if the database chose another order for one of them.
        """
        list(self.order_by("pk").select_for_update().values_list("pk", flat=True))

    def acknowledge(
        self, *, by: str, at: datetime, until: datetime | None = None, note: str = ""
    ) -> int:
        """Acknowledge these incidents, until a time or until they are over; return how many.

        One about an import that has ended cannot be over by itself: without a time, it is closed.
        """
        rows = self.open().order_by()
        values = {"acknowledged_by": by, "acknowledged_at": at, "acknowledged_until": until}
        if note:
            values["note"] = note
        with transaction.atomic(using=self.db):
            rows.lock()
            if until is None:
                ended = rows.filter(kind__in=ACKNOWLEDGED_FOR_GOOD)
                closed = ended.update(**values, until=at, open_key=None, next_alert_at=None)
                return closed + rows.update(**values, next_alert_at=None)
            # The next alert, if there is to be one, comes after that.
            later = Case(When(next_alert_at__isnull=False, then=Value(until)))
            return rows.update(**values, next_alert_at=later)

    def mute(
        self,
        workspace: str,
        *,
        operation: ImportOperation | None = None,
        since: datetime,
        until: datetime | None,
        by: str,
        at: datetime,
        note: str = "",
    ) -> "Incident | None":
        """Store maintenance of a workspace, or of one of its imports, and return it.

        Without `until` it lasts until the import ends, or the workspace is reachable again: then
        what there is already is returned, and None if the import has ended.
        """
        incident = Incident(
            kind=IncidentKind.MAINTENANCE,
            workspace=workspace,
            operation=operation,
            since=since,
            until=until,
            acknowledged_by=by,
            acknowledged_at=at,
            note=note,
        )
        if until is not None:
            incident.save(force_insert=True, using=self.db)
            return incident
        incident.open_key = incident.key
        with transaction.atomic(using=self.db):
            if operation is not None:
                # Waits for a poll that is writing the end, and would not see this row.
                rows = ImportOperation.objects.using(self.db).select_for_update().defer("payload")
                locked = rows.filter(pk=operation.pk).first()
                if locked is None or not locked.is_active:
                    return None
            self.bulk_create([incident], ignore_conflicts=True)
            # Unless it was ended at once.
            return self.filter(open_key=incident.open_key).first() or incident

    def unmute(self, workspace: str, at: datetime, operation: ImportOperation | None = None) -> int:
        """End present and planned maintenance of a subject, and return how many there was.

        What it held back is alerted with the next polls, if it is not over.
        """
        subject = self.filter(workspace=workspace, operation=operation)
        lasting = subject.unfinished_maintenance(at).order_by()
        of_workspace = Incident.objects.using(self.db).filter(workspace=workspace)
        held = of_workspace.open().filter(first_alert_at=None).order_by()
        # Maintenance without an end has postponed nothing to it.
        is_held = Q(next_alert_at__gt=at) | Q(next_alert_at=None, acknowledged_at=None)
        with transaction.atomic(using=self.db):
            of_workspace.filter(Q(until=None) | Q(until__gt=at)).lock()
            # Planned maintenance has not begun, and leaves nothing.
            planned, _rows = lasting.filter(since__gt=at).delete()
            ended = lasting.update(until=at, open_key=None)
            held.filter(is_held).update(next_alert_at=at)
        return planned + ended

    def close(self, incidents: "list[Incident]", at: datetime) -> None:
        """Close incidents, in a transaction; none ends before it has begun."""
        if incidents:
            # With those that the transaction may close later.
            self.filter(workspace__in={row.workspace for row in incidents}, until=None).lock()
        for incident in incidents:
            incident.until = max(at, incident.since)
            incident.open_key = None
            incident.next_alert_at = None
        self.bulk_update(incidents, ["until", "open_key", "next_alert_at"])


class Incident(models.Model):
    """Something that is wrong now, or was, and asks for a person.

    The sync opens and closes it in the transaction of what causes it. Planned maintenance is a row
    too: while it lasts, there are no alerts about its subject.
    """

    workspace = models.CharField(_("workspace"), max_length=ALIAS_MAX_LENGTH)
    operation = models.ForeignKey(
        ImportOperation,
        on_delete=models.CASCADE,
        null=True,
        related_name="incidents",
        verbose_name=_("import operation"),
    )
    kind = models.CharField(_("kind"), max_length=30)
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"), null=True, help_text=_("Empty while it is open."))
    message = models.TextField(_("message"), blank=True)
    first_alert_at = models.DateTimeField(_("first alert"), null=True)
    last_alert_at = models.DateTimeField(_("last alert"), null=True)
    next_alert_at = models.DateTimeField(_("next alert"), null=True)
    acknowledged_by = models.CharField(_("acknowledged by"), max_length=150, blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_until = models.DateTimeField(
        _("acknowledged until"), null=True, help_text=_("Empty: until it is over.")
    )
    note = models.TextField(_("note"), blank=True)
    # One of a kind and subject is open at a time. Not a conditional constraint, which MySQL and
    # MariaDB do not have.
    open_key = ExactCharField(max_length=120, null=True, unique=True, editable=False)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ("-since", "-pk")
        # The sync writes them; people acknowledge them.
        default_permissions = ("view", "change")
        indexes = (
            models.Index(fields=("until", "workspace"), name="importmonitor_incident_open"),
            models.Index(fields=("workspace", "-since"), name="importmonitor_incident_since"),
            models.Index(fields=("kind", "-since"), name="importmonitor_incident_kind"),
            models.Index(fields=("since", "id"), name="importmonitor_incident_newest"),
            models.Index(fields=("next_alert_at",), name="importmonitor_incident_alert"),
        )

    def __str__(self) -> str:
        return f"{self.workspace}: {incident_label(self.kind)}"

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.until is None

    @property
    def key(self) -> str:
        """What no two open incidents have in common: the kind and the subject."""
        return f"{self.kind}:{self.workspace}:{self.operation_id or ''}"

    def is_acknowledged(self, now: datetime) -> bool:
        """Return whether a person has acknowledged it, and not only until a time that is past."""
        if self.acknowledged_at is None:
            return False
        return self.acknowledged_until is None or self.acknowledged_until > now

    def duration(self, now: datetime) -> timedelta:
        """Return how long it lasted, or has lasted; never negative."""
        return max((self.until or now) - self.since, timedelta(0))
