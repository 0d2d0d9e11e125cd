"""The order in which waiting alerts are delivered.

For each channel, alerts about the same subject go in the order of their events, workspaces take
turns, and when a channel works again, what it could not deliver goes first, oldest first.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from importmonitor.alerts.drafts import OWN_EVENTS, TEST
from importmonitor.choices import Event
from importmonitor.models import Alert

#: Outages that begin within this time of each other are one message.
SAME_OUTAGE = timedelta(minutes=1)
#: More alerts than these of one poll are one message.
MAX_SEPARATE = 10
#: More imports than these to which the same happens within SAME_OUTAGE are one message.
MAX_OF_CAUSE = 2

# What happens to many imports at once has one cause, such as a server that was restarted.
_GROUPED = frozenset({Event.STALLED, Event.INTERRUPTED, Event.FAILED, Event.WAITING})

# A channel is left alone after so many failures: the second shows whether it is the channel that
# fails or only one message.
_MAX_FAILURES = 2
# Alerts of one message.
_MAX_BATCH = 1000


@dataclass
class Batch:
    """Alerts that are delivered as one message.

    `outdated` are unreachable workspaces whose recovery is in `alerts`: it tells of both.
    """

    alerts: list[Alert]
    outdated: list[Alert] = field(default_factory=list)

    @property
    def channel(self) -> str:
        channel: str = self.alerts[0].channel
        return channel

    def split(self) -> "Batch":
        """Return the part of the batch that is about the first alert's workspace alone."""
        first = self.alerts[0]
        return Batch([first], [row for row in self.outdated if row.workspace == first.workspace])


@dataclass
class Queue:
    """Chooses what is delivered next, in one call of `outbox.deliver`.

    With a `key`, only the alerts that have it, as they are.
    """

    key: str | None = None
    failures: Counter[str] = field(default_factory=Counter)
    _blocked: set[tuple[str, str, int | None]] = field(default_factory=set)
    _served: set[str] = field(default_factory=set)

    def next(self, at: datetime) -> Batch | None:
        """Return what to deliver now, None if nothing is due."""
        while True:
            alert = self._due(at)
            if alert is None:
                return None
            if self.key is not None:
                return Batch([alert])
            head = self._head(alert, at)
            if head is not None:
                self._served.add(head.workspace)
                return _batch(head, at)

    def block(self, alert: Alert) -> None:
        """Deliver nothing more about an alert's subject by its channel, in this call."""
        self._blocked.add((alert.channel, *alert.subject))

    def _due(self, at: datetime) -> Alert | None:
        due = Alert.objects.due(at)
        if self.key is not None:
            return due.filter(key=self.key).exclude(channel__in=self.failures).first()
        closed = [name for name, count in self.failures.items() if count >= _MAX_FAILURES]
        due = due.exclude(channel__in=closed)
        for channel, workspace, operation_id in self._blocked:
            about = Q(channel=channel, workspace=workspace, operation_id=operation_id)
            due = due.exclude(about & ~Q(event=TEST))
        alert = due.exclude(workspace__in=self._served).first()
        if alert is None and self._served:
            # Each had its turn.
            self._served.clear()
            alert = due.first()
        return alert

    def _head(self, alert: Alert, at: datetime) -> Alert | None:
        """Return what the channel of an alert that is due delivers first; None if it must wait."""
        waiting = Alert.objects.waiting(alert.channel)
        candidates = [alert]
        if not self.failures[alert.channel]:
            # Whether the channel works again, its oldest message shows.
            oldest = waiting.filter(attempts__gt=0).unclaimed(at).first()
            candidates = [oldest, alert] if oldest else [alert]
        for candidate in candidates:
            if candidate.event == TEST:
                return candidate
            workspace, operation_id = candidate.subject
            about = waiting.filter(workspace=workspace, operation_id=operation_id)
            first = about.exclude(event=TEST).first()
            if first is not None and self._can_send(first, at):
                return first
            self.block(candidate)
        return None

    def _can_send(self, alert: Alert, at: datetime) -> bool:
        if (alert.channel, *alert.subject) in self._blocked or alert.is_claimed(at):
            return False
        if alert.not_before is not None and at < alert.not_before <= at + SAME_OUTAGE * 5:
            return False
        return alert.is_due(at) or not self.failures[alert.channel]


def _batch(head: Alert, at: datetime) -> Batch:
    """Return an alert with those that go into the same message."""
    # One that some recipients have got already goes to the others alone.
    if head.event in OWN_EVENTS or head.delivered_to:
        return Batch([head])
    waiting = Alert.objects.waiting(head.channel).unclaimed(at).exclude(event=TEST)
    if head.event in (Event.UNREACHABLE, Event.RECOVERED):
        events = (Event.UNREACHABLE, Event.RECOVERED)
        return _outage(head, list(waiting.filter(event__in=events)[:_MAX_BATCH]))
    first: dict[tuple[str, int | None], Alert] = {}
    of_poll, of_cause = [], []
    for alert in waiting.filter(Q(workspace=head.workspace) | Q(event=head.event))[:_MAX_BATCH]:
        start = first.setdefault(alert.subject, alert)
        if alert.not_before is not None:
            continue
        if start.created_at == alert.created_at == head.created_at:
            of_poll.append(alert)
        is_same_time = abs(alert.created_at - head.created_at) <= SAME_OUTAGE
        # Not what waits for another attempt: each new one would repeat it.
        can_join = alert is start and (alert.pk == head.pk or alert.is_due(at))
        if alert.event == head.event and is_same_time and can_join:
            of_cause.append(alert)
    if head.event in _GROUPED and len(of_cause) > MAX_OF_CAUSE:
        return Batch(of_cause)
    of_poll = [alert for alert in of_poll if alert.workspace == head.workspace]
    return Batch(of_poll if len(of_poll) > MAX_SEPARATE else [head])


def _outage(head: Alert, waiting: list[Alert]) -> Batch:
    """Return the alerts about an outage of several workspaces that say the same of each."""
    since = _since(head)
    if since is None:
        return Batch([head])
    queues: dict[str, list[Alert]] = {}
    for alert in waiting:
        queues.setdefault(alert.workspace, []).append(alert)
    recovered = _recovery(queues.get(head.workspace, [head]))
    batch = Batch([])
    for alerts in queues.values():
        first, recovery = alerts[0], _recovery(alerts)
        began = _since(first)
        if began is None or abs(began - since) > SAME_OUTAGE or first.event != head.event:
            continue
        if (recovery is None) != (recovered is None):
            continue
        if recovery is not None and recovery is not first:
            batch.outdated.append(first)
        batch.alerts.append(recovery or first)
    return batch if batch.alerts else Batch([head])


def _recovery(alerts: list[Alert]) -> Alert | None:
    """Return the recovery from a workspace's first waiting outage, if that waits too."""
    if not alerts:
        return None
    since = _since(alerts[0])
    return next(
        (
            alert
            for alert in alerts[:2]
            if alert.event == Event.RECOVERED and _since(alert) == since
        ),
        None,
    )


def _since(alert: Alert) -> datetime | None:
    """Return since when a workspace was unreachable; None in an alert of another version."""
    try:
        return datetime.fromisoformat(alert.body["sync"]["since"])
    except (KeyError, TypeError, ValueError):
        return None
