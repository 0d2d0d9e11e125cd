"""Alerts about incidents that are still open, and about workspaces that nothing polls."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from importmonitor import conf
from importmonitor.alerts import outbox
from importmonitor.choices import IncidentKind
from importmonitor.logs import get_logger
from importmonitor.models import Incident, Workspace
from importmonitor.sync.alerts import draft_for_incident
from importmonitor.sync.incidents import new_incident
from importmonitor.sync.poll import database_errors, deliver_alerts
from importmonitor.tenancy import store_alias

logger = get_logger(__name__)

# Incidents in one call; the rest follows with the next.
_MAX_BATCH = 200


def review_incidents(now: datetime) -> int:
    """Write the alerts that polls of other workspaces, or none, would write; return how many.

    They are those about incidents that are still open after a channel's REMIND_EVERY, or after
    maintenance, and about workspaces that are no longer polled. Any process may call this at any
    time: an alert is written once.
    """
    count = _open_unpolled(now)
    if any(channel.remind_every for channel in conf.get_options().channels.values()):
        Incident.objects.resume_reminders(now)
    due = Incident.objects.alert_due(now).select_related("operation").defer("operation__payload")
    return count + sum(_write_alert(incident, now) for incident in due[:_MAX_BATCH])


def review_and_deliver(now: Callable[[], datetime] = timezone.now) -> None:
    """Write those alerts, and send them; nothing is raised if the database cannot be used."""
    try:
        count = review_incidents(now())
    except database_errors() as error:
        logger.warning("Incidents could not be reviewed: %s", type(error).__name__)
    else:
        if count:
            deliver_alerts(now)


def _write_alert(incident: Incident, now: datetime) -> int:
    """Write the alert about an incident that is due, unless another process does."""
    with transaction.atomic(using=store_alias()):
        same = Incident.objects.filter(pk=incident.pk, next_alert_at=incident.next_alert_at)
        if not same.update(next_alert_at=None):
            return 0
        incident.next_alert_at = None
        if incident.is_acknowledged(now):
            incident.next_alert_at = incident.acknowledged_until
            incident.save(update_fields=["next_alert_at"])
            return 0
        if incident.first_alert_at is None:
            # Maintenance has held it back.
            return outbox.write([draft_for_incident(incident, now)], now)
        return _write_reminders(incident, now)


def _write_reminders(incident: Incident, now: datetime) -> int:
    """Write a reminder for the channels whose time has come, and say when the next is due."""
    first, last, count = incident.first_alert_at, incident.last_alert_at, 0
    assert first is not None
    assert last is not None
    next_times = []
    for channel in conf.get_options().channels.values():
        every = channel.remind_every
        if every is None:
            continue
        # The number is that of the time that has passed: after a pause there is one reminder.
        number = (now - first) // every
        next_times.append(first + (number + 1) * every)
        if number > 0 and last < first + number * every:
            draft = draft_for_incident(incident, now, reminder=number)
            count += outbox.write([draft], now, [channel])
    # Later, if maintenance has begun meanwhile.
    incident.next_alert_at = max(
        filter(None, (incident.next_alert_at, min(next_times, default=None))), default=None
    )
    incident.save(update_fields=["next_alert_at"])
    return count


def _open_unpolled(now: datetime) -> int:
    """Open the incidents of workspaces whose last poll is too long ago, by their usual pauses.

    Not after a pause of all polling, such as when the machine slept.
    """
    earliest = now - conf.get_options().late_after
    polling = Workspace.objects.filter(period_started_at__lte=earliest, last_polled_at__gt=earliest)
    late = Workspace.objects.listed().late(now)
    late = late.filter(Exists(polling.order_by()))
    known = Incident.objects.filter(
        workspace=OuterRef("alias"), kind=IncidentKind.UNPOLLED, until=None
    )
    # A workspace that Rocket.Chat has asked to wait is not polled on purpose.
    late = late.exclude(Exists(known)).exclude(not_before__gt=now)
    rows = [row for row in late.order_by("last_polled_at")[:_MAX_BATCH] if row.has_gap(now)]
    # They can be removed from the settings since the last round.
    configured, count = conf.find_configured(row.alias for row in rows), 0
    for row in rows:
        assert row.last_polled_at is not None
        if row.alias in configured:
            incident = new_incident(IncidentKind.UNPOLLED, row.alias, row.last_polled_at)
            with transaction.atomic(using=store_alias()):
                # Of several processes, one gets to insert it.
                inserted = Incident.objects.bulk_create([incident], ignore_conflicts=True)
                opened = Incident.objects.filter(open_key=inserted[0].open_key).first()
                if opened is not None and opened.first_alert_at is None:
                    count += outbox.write([draft_for_incident(opened, now)], now)
    return count
