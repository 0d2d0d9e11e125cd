"""The outbox: alerts are written in the transaction of the change that they report, then sent."""

import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone, translation

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, Undelivered, load_backend
from importmonitor.alerts.messages import TEST, AlertDraft, one_line, render_message
from importmonitor.conf.channels import ChannelConfig
from importmonitor.logs import get_logger
from importmonitor.models import Alert

logger = get_logger(__name__)

#: How long the delivery of an alert is retried.
RETRY_FOR = timedelta(days=2)
#: The back-off after the first failed attempt, doubled with each further one, up to the max.
INITIAL_BACKOFF = timedelta(minutes=1)
MAX_BACKOFF = timedelta(hours=1)
#: How long an attempt keeps other processes from making the same one: longer than a slow mail
#: server takes. If the process is killed meanwhile, the next attempt is made after that.
CLAIM_DURATION = timedelta(minutes=5)

#: After this many seconds, one call delivers no further alerts.
_MAX_SECONDS = 20.0


def write(
    drafts: Sequence[AlertDraft], at: datetime, channels: Sequence[ChannelConfig] | None = None
) -> int:
    """Write an alert for each draft and each channel that wants its event; return how many.

    Call it in the transaction that writes the change that the drafts report. `channels` defaults
    to all that are configured.
    """
    if not drafts:
        return 0
    if channels is None:
        channels = list(conf.get_options().channels.values())
    alerts = [
        Alert(
            event=draft.event,
            workspace=draft.workspace,
            operation_id=draft.operation_pk,
            transition_id=draft.transition_pk,
            channel=channel.name,
            key=draft.key,
            body=draft.body,
            created_at=at,
            next_attempt_at=draft.not_before or at,
        )
        for draft in drafts
        for channel in channels
        if draft.event in channel.events or draft.event == TEST
    ]
    Alert.objects.bulk_create(alerts, ignore_conflicts=True)
    return len(alerts)


def deliver(*, now: Callable[[], datetime] = timezone.now, key: str | None = None) -> int:
    """Deliver the alerts that are due, one by one, for some seconds; return how many.

    With a `key`, only those that have it. Whatever a channel raises is stored, not raised. Each
    attempt is made by one process, however many call this.
    """
    ends_at = time.monotonic() + _MAX_SECONDS
    failed_channels: set[str] = set()
    delivered = 0
    while time.monotonic() < ends_at:
        # A channel that has failed would probably fail again, and as slowly.
        due = Alert.objects.due(now()).exclude(channel__in=failed_channels)
        alert = (due if key is None else due.filter(key=key)).first()
        if alert is None:
            break
        claimed = Alert.objects.filter(
            pk=alert.pk, attempts=alert.attempts, next_attempt_at__lte=now()
        ).update(attempts=F("attempts") + 1, next_attempt_at=now() + CLAIM_DURATION)
        if not claimed:
            continue
        if error := _attempt(alert):
            failed_channels.add(alert.channel)
            _store_failure(alert, error, now())
        else:
            delivered += 1
            Alert.objects.filter(pk=alert.pk).update(
                delivered_at=now(), next_attempt_at=None, last_error=""
            )
    return delivered


def retry(keys: Sequence[int], *, now: Callable[[], datetime] = timezone.now) -> int:
    """Make the alerts with these primary keys due now, even those given up, and deliver.

    Returns how many were delivered.
    """
    undelivered = Alert.objects.filter(pk__in=keys, delivered_at=None)
    undelivered.update(next_attempt_at=now(), given_up_at=None)
    return deliver(now=now)


def _attempt(alert: Alert) -> str:
    """Try to deliver an alert; return why that failed, or ""."""
    channel = conf.get_options().channels.get(alert.channel)
    if channel is None:
        return "No channel of this name is configured any more."
    try:
        # In the site's language and time zone, not those of the request that delivers.
        with translation.override(settings.LANGUAGE_CODE), timezone.override(None):
            message = render_message(alert.body)
        load_backend(channel).send(message)
    except (Undelivered, Misconfigured) as error:
        return one_line(str(error))[:500]
    except Exception as error:  # noqa: BLE001 - a host's own backend can raise anything
        # Without its text, which may contain an option.
        return f"{channel.backend} raised {type(error).__name__}."
    return ""


def _store_failure(alert: Alert, error: str, now: datetime) -> None:
    # Unless this attempt took so long that another process has made the next one meanwhile.
    row = Alert.objects.filter(pk=alert.pk, delivered_at=None, attempts=alert.attempts + 1)
    # A test alert is of no use tomorrow.
    if now - alert.created_at < RETRY_FOR and alert.event != TEST:
        backoff = min(INITIAL_BACKOFF * 2 ** min(alert.attempts, 10), MAX_BACKOFF)
        next_attempt_at = now + backoff * random.uniform(0.9, 1.1)
        row.update(last_error=error, next_attempt_at=next_attempt_at)
        logger.warning("%s was not delivered by %s: %s", alert.event, alert.channel, error)
        return
    row.update(last_error=error, next_attempt_at=None, given_up_at=now)
    logger.error("%s was given up for %s: %s", alert.event, alert.channel, error)
