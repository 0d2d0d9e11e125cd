"""The outbox: alerts are written in the transaction of the change that they report, then sent."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, prefetch_related_objects
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, Undelivered, load_backend
from importmonitor.alerts.deadline import DeadlinePassed, deadline
from importmonitor.alerts.drafts import OWN_EVENTS, TEST, AlertDraft
from importmonitor.alerts.groups import render_group
from importmonitor.alerts.messages import Message, render_message
from importmonitor.alerts.plain_text import one_line
from importmonitor.alerts.queue import Batch, Queue
from importmonitor.alerts.subscriptions import NoRecipient, channel_of_user
from importmonitor.choices import GOOD_STATUSES, Event
from importmonitor.conf.channels import ChannelConfig
from importmonitor.humanize import format_duration
from importmonitor.logs import get_logger
from importmonitor.models import Alert, Incident, Workspace
from importmonitor.models.alerts import MAX_BACKOFF, USER_CHANNEL, AlertQuerySet
from importmonitor.secret import trim_traceback

logger = get_logger(__name__)

#: How long the delivery of an alert is retried.
RETRY_FOR = timedelta(days=2)
#: The back-off after the first failed attempt, doubled with each further one, up to the max.
INITIAL_BACKOFF = timedelta(minutes=1)
#: How long one delivery may take, in seconds.
DELIVERY_DEADLINE = 20.0
#: After this many seconds, one call begins no further delivery.
MAX_SECONDS = 20.0

# The same where a page waits for it.
_RETRY_SECONDS = 5.0
# A message that is delivered so long after its event says so.
_LATE = timedelta(minutes=15)


def write(
    drafts: Sequence[AlertDraft], at: datetime, channels: Sequence[ChannelConfig] | None = None
) -> int:
    """Write an alert for each draft and each channel that wants it; return how many.

    Call it in the transaction that writes the change that the drafts report. `channels` defaults
    to all that are configured. During maintenance no alerts are written; those about an incident
    follow when it is over, if the incident is not.
    """
    if not drafts:
        return 0
    if channels is None:
        channels = list(conf.get_options().channels.values())
    workspaces = {draft.workspace for draft in drafts}
    maintenance = list(Incident.objects.maintenance(at).filter(workspace__in=workspaces))
    audible = [draft for draft in drafts if not _is_muted(draft, maintenance)]
    pairs = [(draft, channel) for draft in audible for channel in _receivers(draft, channels)]
    alerts = [
        Alert(
            event=draft.event,
            workspace=draft.workspace,
            operation_id=draft.operation_pk,
            transition_id=draft.transition_pk,
            incident=draft.incident,
            channel=channel.name,
            key=draft.key,
            body=draft.body,
            created_at=at,
            not_before=draft.not_before,
            next_attempt_at=draft.not_before or at,
        )
        for draft, channel in pairs
    ]
    Alert.objects.bulk_create(alerts, ignore_conflicts=True)
    _schedule_reminders(pairs, at)
    return len(alerts)


def _receivers(draft: AlertDraft, channels: Sequence[ChannelConfig]) -> list[ChannelConfig]:
    return [
        channel
        for channel in channels
        if draft.event in OWN_EVENTS or channel.wants(draft.event, draft.workspace, draft.outcome)
    ]


def _is_muted(draft: AlertDraft, maintenance: Sequence[Incident]) -> bool:
    """Return whether maintenance mutes an alert; if it is about an incident, it is postponed."""
    incident = draft.incident
    if draft.event == TEST or (incident and incident.first_alert_at and not incident.is_open):
        # Whoever was alerted gets the end too.
        return False
    ends = [
        row.until
        for row in maintenance
        if row.workspace == draft.workspace and row.operation_id in (None, draft.operation_pk)
    ]
    if ends and incident is not None and incident.is_open and None not in ends:
        incident.next_alert_at = max(end for end in ends if end is not None)
        incident.save(update_fields=["next_alert_at"])
    return bool(ends)


def _schedule_reminders(pairs: Sequence[tuple[AlertDraft, ChannelConfig]], at: datetime) -> None:
    """Record that there is an alert about these incidents, and when the first reminder is due."""
    pauses: dict[Incident, list[timedelta]] = {}
    for draft, channel in pairs:
        if draft.incident is not None and draft.incident.is_open:
            every = [] if channel.remind_every is None else [channel.remind_every]
            pauses.setdefault(draft.incident, []).extend(every)
    for incident, durations in pauses.items():
        if incident.first_alert_at is None:
            incident.first_alert_at = at
            incident.next_alert_at = at + min(durations) if durations else None
        incident.last_alert_at = at
        incident.save(update_fields=["first_alert_at", "last_alert_at", "next_alert_at"])


def deliver(
    *,
    now: Callable[[], datetime] = timezone.now,
    key: str | None = None,
    seconds: float = MAX_SECONDS,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Deliver the alerts that are due, for some seconds; return how many.

    With a `key`, only those that have it. Begins no delivery after `seconds`, or once `is_stopped`.
    Whatever a channel raises is stored, not raised. Each attempt is made by one process, however
    many call this.
    """
    ends_at = time.monotonic() + seconds
    queue = Queue(key)
    delivered = 0
    while time.monotonic() < ends_at and not is_stopped():
        batch = queue.next(now())
        if batch is None:
            break
        if not _can_group(batch):
            batch = batch.split()
        if _drop_outdated(batch, now()) or not _claim(batch, now()):
            continue
        attempt = _attempt(batch, now())
        if attempt.delivered:
            delivered += len(batch.alerts)
            _store_delivery(batch, attempt, now())
            continue
        queue.failures[batch.channel] += 1
        for alert in batch.alerts:
            queue.block(alert)
        _store_failure(batch, attempt, now())
    return delivered


def retry(alerts: AlertQuerySet, *, now: Callable[[], datetime] = timezone.now) -> tuple[int, int]:
    """Make these alerts due now, even those given up, and deliver for a few seconds.

    Those that are being delivered at this moment are left alone. Return how many were made due,
    and how many of them were delivered; the rest follows with the next polls.
    """
    started = now()
    keys = set(alerts.retryable(started).values_list("pk", flat=True))
    if not alerts.retry_now(started):
        return 0, 0
    deliver(now=now, seconds=_RETRY_SECONDS)
    delivered = Alert.objects.filter(delivered_at__gte=started).values_list("pk", flat=True)
    return len(keys), len(keys.intersection(delivered))


@dataclass
class _Attempt:
    """The result of one attempt; `error` can be about some recipients of a delivered message."""

    error: str = ""
    delivered: bool = False
    delivered_to: list[str] = field(default_factory=list)
    is_final: bool = False


def _can_group(batch: Batch) -> bool:
    """Return whether a channel takes several alerts as one message."""
    if len(batch.alerts) == 1:
        return True
    if batch.channel.startswith(USER_CHANNEL):
        # The user has asked about each of these imports.
        return False
    channel = conf.get_options().channels.get(batch.channel)
    if channel is None:
        return True
    try:
        return getattr(load_backend(channel), "can_group", True)
    except Misconfigured:
        return True


def _drop_outdated(batch: Batch, at: datetime) -> bool:
    """Delete the reminders of what is over or acknowledged; return whether there were any."""
    reminders = [alert for alert in batch.alerts if alert.is_reminder]
    # In one query: an outage of many workspaces is one batch.
    prefetch_related_objects(reminders, "incident")
    outdated = [alert.pk for alert in reminders if alert.is_outdated(at)]
    if outdated:
        Alert.objects.filter(pk__in=outdated).unclaimed(at).delete()
    return bool(outdated)


def _claim(batch: Batch, at: datetime) -> bool:
    """Claim what no other process has claimed meanwhile; return whether that is anything."""
    batch.outdated = [alert for alert in batch.outdated if Alert.objects.claim(alert, at)]
    batch.alerts = [alert for alert in batch.alerts if Alert.objects.claim(alert, at)]
    return bool(batch.alerts)


def _attempt(batch: Batch, at: datetime) -> _Attempt:
    """Try to deliver a batch."""
    try:
        channel = _find_channel(batch)
    except NoRecipient as error:
        return _Attempt(str(error), is_final=True)
    if channel is None:
        return _Attempt("No channel of this name is configured any more.")
    try:
        message = _render(batch.alerts, at)
    except Exception as error:  # noqa: BLE001 - another version may have written it
        return _Attempt(f"It could not be rendered: {type(error).__name__}.", is_final=True)
    try:
        with deadline(DELIVERY_DEADLINE):
            load_backend(channel).send(message)
    except Undelivered as error:
        return _Attempt(
            one_line(str(error))[:500],
            delivered=error.is_final,
            delivered_to=error.delivered_to,
            is_final=error.is_final,
        )
    except Misconfigured as error:
        return _Attempt(one_line(str(error))[:500])
    except DeadlinePassed:
        return _Attempt(f"It was not delivered within {DELIVERY_DEADLINE:g} s.")
    except Exception as error:  # noqa: BLE001 - a host's own backend can raise anything
        # Without its text, which may contain an option.
        return _Attempt(f"{channel.backend} raised {type(error).__name__}.")
    except BaseException as error:
        # The end of the process: the frames of the channel hold its password, or its URL.
        trim_traceback(error)
        raise
    return _Attempt(delivered=True)


def _find_channel(batch: Batch) -> ChannelConfig | None:
    """Return the channel of a batch, None if it is not configured; raises NoRecipient."""
    if batch.channel.startswith(USER_CHANNEL):
        return channel_of_user(batch.channel, batch.alerts[0].workspace)
    return conf.get_options().channels.get(batch.channel)


def _render(alerts: Sequence[Alert], at: datetime) -> Message:
    # In the site's language and time zone, not those of the request that delivers.
    with translation.override(settings.LANGUAGE_CODE), timezone.override(None):
        messages = [render_message(alert.body) for alert in alerts]
        message = (
            messages[0]
            if len(messages) == 1
            else render_group(messages, is_everything=_is_everything_down(alerts[0], at))
        )
        age = at - alerts[0].created_at
        if age >= _LATE:
            late = {"title": message.title, "age": format_duration(age)}
            message = replace(message, title=_("%(title)s, %(age)s ago") % late)
        return replace(message, delivered_to=tuple(alerts[0].delivered_to))


def _is_everything_down(alert: Alert, at: datetime) -> bool:
    """Return whether an alert is about an outage, and all workspaces that are polled have one."""
    if alert.event != Event.UNREACHABLE:
        return False
    polled = Workspace.objects.filter(last_polled_at__gt=at - 2 * conf.get_options().late_after)
    return not polled.filter(sync_status__in=GOOD_STATUSES).exists()


def _store_delivery(batch: Batch, attempt: _Attempt, now: datetime) -> None:
    keys = [alert.pk for alert in (*batch.outdated, *batch.alerts)]
    Alert.objects.filter(pk__in=keys).update(
        delivered_at=now,
        next_attempt_at=None,
        claimed_until=None,
        last_error=attempt.error,
        delivered_to=attempt.delivered_to,
    )
    # The channel works: what it could not deliver before goes now.
    postponed = Alert.objects.waiting(batch.channel).filter(next_attempt_at__gt=now).unclaimed(now)
    postponed.exclude(not_before__gt=now).update(next_attempt_at=now)


def _store_failure(batch: Batch, attempt: _Attempt, now: datetime) -> None:
    retry_at = now
    for alert in (*batch.outdated, *batch.alerts):
        # Unless this attempt took so long that another process has made the next one meanwhile.
        row = Alert.objects.filter(pk=alert.pk, delivered_at=None, attempts=alert.attempts + 1)
        failure = {
            "last_error": attempt.error,
            "claimed_until": None,
            "delivered_to": attempt.delivered_to or alert.delivered_to,
        }
        names = (alert.event, alert.channel, attempt.error)
        # A test alert is of no use tomorrow.
        can_retry = now - alert.created_at < RETRY_FOR and alert.event != TEST
        if can_retry and not attempt.is_final:
            backoff = min(INITIAL_BACKOFF * 2 ** min(alert.attempts, 10), MAX_BACKOFF)
            retry_at = max(retry_at, now + backoff * random.uniform(0.9, 1.1))
            row.update(**failure, next_attempt_at=retry_at)
            _postpone(alert, retry_at)
            logger.warning("%s was not delivered by %s: %s", *names)
        else:
            row.update(**failure, next_attempt_at=None, given_up_at=now)
            logger.error("%s was given up for %s: %s", *names)


def _postpone(alert: Alert, until: datetime) -> None:
    """Let what the channel could not deliver before, or follows this alert, wait with it."""
    waiting = Alert.objects.waiting(alert.channel).filter(next_attempt_at__lt=until)
    follows = Q(workspace=alert.workspace, operation_id=alert.operation_id, pk__gt=alert.pk)
    waiting.filter(follows | Q(attempts__gt=0), claimed_until=None).exclude(event=TEST).update(
        next_attempt_at=until
    )
