"""The store in Prometheus's words.

All of it is read when it is asked for and nothing is counted in the process, so that each of
several processes gives the same answer. What is not known is absent, and never 0.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from importmonitor import __version__, conf
from importmonitor.alerts.messages import TEST
from importmonitor.contrib.prometheus.families import OTHER, gauge, known
from importmonitor.contrib.prometheus.operations import of_operations
from importmonitor.models import Alert, SyncPeriod, health
from importmonitor.models.health import Freshness, WorkspaceHealth
from importmonitor.rocketchat import exceptions

#: How a poll can end.
POLL_OUTCOMES = (
    SyncPeriod.OK,
    SyncPeriod.EMPTY,
    exceptions.BadAnswer.__name__,
    exceptions.NotRocketChat.__name__,
    exceptions.PermissionMissing.__name__,
    exceptions.RateLimited.__name__,
    exceptions.TwoFactorRequired.__name__,
    exceptions.Unauthenticated.__name__,
    exceptions.Unreachable.__name__,
    OTHER,
)

#: An alert that was given up is told for so long.
_GIVEN_UP_FOR = timedelta(days=1)
# Among so many alerts, the newest: no index leads to those that were given up.
_NEWEST = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoreCollector:
    """Collects everything in at most five queries, whatever is stored and configured."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they are at the time that was given."""
        yield InfoMetricFamily(
            "importmonitor_build", "The importmonitor that answers.", {"version": __version__}
        )
        workspaces = health.workspace_health(self._now)
        yield from _of_workspaces(workspaces, self._now)
        yield from of_operations(workspaces, self._now)
        yield from _of_alerts(self._now)


def _of_workspaces(workspaces: Sequence[WorkspaceHealth], now: datetime) -> Iterator[Metric]:
    """Yield how each workspace can be looked at, without a query."""
    yield gauge(
        "workspace_up",
        "Whether the workspace was looked at of late, and the last look was good.",
        (([each.alias], each.freshness == Freshness.OK) for each in workspaces),
    )
    yield gauge(
        "workspace_last_good_look_age_seconds",
        "How long ago the workspace was last looked at with success; absent if it never was.",
        (
            ([each.alias], _age(each.sync.synced_at, now))
            for each in workspaces
            if each.sync is not None
        ),
    )
    yield _polls(workspaces)


def _polls(workspaces: Sequence[WorkspaceHealth]) -> Metric:
    """Return the polls of each workspace's newest period, by outcome.

    A sum over all periods would be read from ever more rows. And it would fall to anything but 0
    when old ones are pruned, and Prometheus would take what is left for so many new polls. That a
    new period begins is a true reset; the zeros make it, and its first poll, be seen.
    """
    polls = CounterMetricFamily(
        "importmonitor_polls",
        "Polls of the workspace by outcome. All begin again at 0 when a poll ends otherwise than "
        "the one before it: for rate() and increase(), scrape at least as often as it polls.",
        labels=("workspace", "outcome"),
    )
    for each in workspaces:
        period = each.period
        newest = {known(period.outcome, POLL_OUTCOMES): period.polls} if period else {}
        for outcome in POLL_OUTCOMES:
            polls.add_metric([each.alias, outcome], newest.get(outcome, 0))
    return polls


def _of_alerts(now: datetime) -> Iterator[Metric]:
    """Yield what is undelivered on each channel, in two queries."""
    newest = Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    # A range, and not that it is not null: for that, SQLite uses no index.
    waits = Q(next_attempt_at__gt=_EPOCH)
    given_up = Q(given_up_at__gt=now - _GIVEN_UP_FOR, pk__gt=newest - _NEWEST)
    undelivered = (
        Alert.objects.filter(waits | given_up)
        # Of a test that failed, whoever sent it was told.
        .exclude(event=TEST, next_attempt_at=None)
        .order_by()
        .values("channel")
        .annotate(
            due=Count("pk", filter=waits & Q(attempts=0)),
            retrying=Count("pk", filter=waits & Q(attempts__gt=0)),
            given_up=Count("pk", filter=given_up),
            oldest=Min("created_at", filter=waits),
        )
    )
    # Of a channel that is configured, it is told that there is nothing.
    channels: dict[str, Any] = {name: {} for name in conf.options().channels}
    channels |= {each["channel"]: each for each in undelivered}
    yield gauge(
        "alerts_undelivered",
        "Alerts that are due, being retried, or (in the last 24 hours) given up, by channel.",
        (
            ([channel, delivery], counted.get(delivery, 0))
            for channel, counted in channels.items()
            for delivery in ("due", "retrying", "given_up")
        ),
        ("channel", "delivery"),
    )
    yield gauge(
        "alerts_oldest_undelivered_age_seconds",
        "How old the oldest alert is that is due or being retried; absent if there is none.",
        (([channel], _age(counted.get("oldest"), now)) for channel, counted in channels.items()),
        ("channel",),
    )


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())
