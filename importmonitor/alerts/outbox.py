"""The outbox: what is to be told is written with what it tells of, and delivered afterwards."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone, translation

from importmonitor import conf
from importmonitor.alerts.channels import Misconfigured, Undelivered, backend
from importmonitor.alerts.messages import TEST, AlertDraft, one_line, render_message
from importmonitor.conf.channels import ChannelConfig
from importmonitor.models import Alert

logger = logging.getLogger(__name__)

#: How long a message is tried to be delivered.
GIVE_UP_AFTER = timedelta(days=2)
#: The pause after the first attempt; it doubles with each further one.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
#: For how long an attempt keeps others from making the same one: longer than a mail server that
#: takes its time with each answer. After a process that was killed in one, it is made again then.
CLAIM = timedelta(minutes=5)

#: How long one poll goes on delivering, in seconds.
_BUSY = 20.0


def write(
    notices: Sequence[AlertDraft], at: datetime, channels: Sequence[ChannelConfig] | None = None
) -> int:
    """Write an alert for each notice and each channel that wants it; return how many.

    Belongs into the transaction that writes what the notices tell of. `channels` are those that
    are configured, unless others are given.
    """
    if not notices:
        return 0
    wanted = list(conf.options().channels.values()) if channels is None else channels
    alerts = [
        Alert(
            event=notice.event,
            workspace=notice.workspace,
            operation_id=notice.operation_pk,
            transition_id=notice.transition_pk,
            channel=channel.name,
            key=notice.key,
            body=notice.body,
            created_at=at,
            next_attempt_at=at,
        )
        for notice in notices
        for channel in wanted
        if notice.event in channel.events or notice.event == TEST
    ]
    Alert.objects.bulk_create(alerts, ignore_conflicts=True)
    return len(alerts)


def deliver(*, now: Callable[[], datetime] = timezone.now, key: str | None = None) -> int:
    """Deliver what is due, one after another, for some seconds; return how many were delivered.

    With a `key`, only the alerts of that. Never raises for what a channel does. Of any number of
    processes one makes each attempt.
    """
    ends_at = time.monotonic() + _BUSY
    broken: set[str] = set()
    delivered = 0
    while time.monotonic() < ends_at:
        # A channel that fails would fail the next one too, and take its time for that.
        due = Alert.objects.due(now()).exclude(channel__in=broken)
        alert = (due if key is None else due.filter(key=key)).first()
        if alert is None:
            break
        claimed = Alert.objects.filter(
            pk=alert.pk, attempts=alert.attempts, next_attempt_at__lte=now()
        ).update(attempts=F("attempts") + 1, next_attempt_at=now() + CLAIM)
        if not claimed:
            continue
        if trouble := _attempt(alert):
            broken.add(alert.channel)
            _note_failure(alert, trouble, now())
        else:
            delivered += 1
            Alert.objects.filter(pk=alert.pk).update(
                delivered_at=now(), next_attempt_at=None, last_error=""
            )
    return delivered


def try_again(keys: Sequence[int], *, now: Callable[[], datetime] = timezone.now) -> int:
    """Try once more to deliver these alerts, also what was given up, and whatever else is due.

    Returns how many were delivered.
    """
    again = Alert.objects.filter(pk__in=keys, delivered_at=None)
    again.update(next_attempt_at=now(), given_up_at=None)
    return deliver(now=now)


def _attempt(alert: Alert) -> str:
    """Try to deliver an alert; return why that failed, or ""."""
    channel = conf.options().channels.get(alert.channel)
    if channel is None:
        return "No channel of this name is configured any more."
    try:
        # Whoever's request it is that delivers: a message is in the site's language and time.
        with translation.override(settings.LANGUAGE_CODE), timezone.override(None):
            said = render_message(alert.body)
        backend(channel).send(said)
    except (Undelivered, Misconfigured) as error:
        return one_line(str(error))[:500]
    except Exception as error:  # noqa: BLE001 - a host's own backend can raise anything
        # Its text may hold what it was configured with.
        return f"{channel.backend} raised {type(error).__name__}."
    return ""


def _note_failure(alert: Alert, trouble: str, now: datetime) -> None:
    # Unless somebody else has made the next attempt meanwhile, this one having taken so long.
    row = Alert.objects.filter(pk=alert.pk, delivered_at=None, attempts=alert.attempts + 1)
    # Nobody wants a test to arrive tomorrow.
    if now - alert.created_at < GIVE_UP_AFTER and alert.event != TEST:
        pause = min(FIRST_PAUSE * 2 ** min(alert.attempts, 10), LONGEST_PAUSE)
        again_at = now + pause * random.uniform(0.9, 1.1)
        row.update(last_error=trouble, next_attempt_at=again_at)
        logger.warning("%s was not delivered by %s: %s", alert.event, alert.channel, trouble)
        return
    row.update(last_error=trouble, next_attempt_at=None, given_up_at=now)
    logger.error("%s was given up for %s: %s", alert.event, alert.channel, trouble)
