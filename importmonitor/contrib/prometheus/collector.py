"""The metrics of the store.

They are read from the database at each scrape and nothing is counted in a process, so that all
processes return the same. What is unknown is absent, never 0.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Count, F, Min, Q, Value, When
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from importmonitor import __version__
from importmonitor.alerts.drafts import TEST
from importmonitor.contrib.prometheus.families import POLL_OUTCOMES, age, gauge, known_or_other
from importmonitor.contrib.prometheus.operations import operation_metrics
from importmonitor.contrib.prometheus.selection import find_workspaces, select_workspaces
from importmonitor.contrib.prometheus.totals import total_metrics
from importmonitor.models import Alert, Freshness, Viewer, Workspace
from importmonitor.models.alerts import USER_CHANNEL

# How long an alert that was given up is counted.
_GIVEN_UP_FOR = timedelta(days=1)
# Only the newest alerts are searched for those that were given up, which have no index.
_MAX_SEARCHED_ALERTS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoreCollector:
    """Collects the metrics for a viewer in at most ten queries, whatever is stored.

    With `aliases`, the metrics of these workspaces and no totals: several scrapes that share a
    fleet do not count it twice.
    """

    def __init__(self, now: datetime, viewer: Viewer, aliases: Sequence[str] | None = None) -> None:
        self._now = now
        self._viewer = viewer
        self._aliases = aliases

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as of the given time."""
        yield InfoMetricFamily(
            "importmonitor_build", "The version of importmonitor.", {"version": __version__}
        )
        if self._aliases is None:
            workspaces = select_workspaces(self._viewer, self._now)
            yield from total_metrics(self._viewer, self._now, len(workspaces))
            yield from _alert_metrics(self._now, self._viewer)
        else:
            workspaces = find_workspaces(self._viewer, self._aliases)
        yield from _workspace_metrics(workspaces, self._now)
        yield from operation_metrics(workspaces, self._now)


def _workspace_metrics(workspaces: Sequence[Workspace], now: datetime) -> Iterator[Metric]:
    """Yield the sync status of each workspace, without a query."""
    yield gauge(
        "workspace_up",
        "1 if the last poll was recent and succeeded.",
        (([workspace.alias], workspace.freshness(now) == Freshness.OK) for workspace in workspaces),
    )
    yield gauge(
        "workspace_last_good_look_age_seconds",
        "Seconds since the last successful poll; absent if there was none.",
        (
            ([workspace.alias], age(workspace.last_synced_at, now))
            for workspace in workspaces
            if workspace.was_polled
        ),
    )
    yield _polls(workspaces)


def _polls(workspaces: Sequence[Workspace]) -> Metric:
    """Return the polls of each workspace's newest period, by outcome.

    A sum over all periods would need ever more rows. And when old periods are pruned, it would
    fall, but not to 0, and Prometheus would count the rest as new polls. The start of a new period
    is a true counter reset; the zeros of the other outcomes make it and its first poll visible.
    """
    polls = CounterMetricFamily(
        "importmonitor_polls",
        "Polls of the workspace by outcome. All reset to 0 when the outcome changes: for rate() "
        "and increase(), scrape at least as often as the workspace is polled.",
        labels=("workspace", "outcome"),
    )
    for workspace in workspaces:
        status, count = workspace.sync_status, workspace.period_polls
        newest = {known_or_other(status, POLL_OUTCOMES): count} if status else {}
        for outcome in POLL_OUTCOMES:
            polls.add_metric([workspace.alias, outcome], newest.get(outcome, 0))
    return polls


def _alert_metrics(now: datetime, viewer: Viewer) -> Iterator[Metric]:
    """Yield the undelivered alerts of each channel, in two queries."""
    newest = Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    # A range instead of `IS NOT NULL`, for which SQLite uses no index.
    is_pending = Q(next_attempt_at__gt=_EPOCH)
    given_up = Q(given_up_at__gt=now - _GIVEN_UP_FOR, pk__gt=newest - _MAX_SEARCHED_ALERTS)
    undelivered = (
        Alert.objects.visible_to(viewer)
        .filter(is_pending | given_up)
        # A failed test alert was already reported to its sender.
        .exclude(event=TEST, next_attempt_at=None)
        # A user who may no longer see imports is no fault of a channel.
        .exclude(channel__startswith=USER_CHANNEL, next_attempt_at=None)
        .order_by()
        # All users are one channel: there is no limit to their number.
        .annotate(
            channel_or_users=Case(
                When(channel__startswith=USER_CHANNEL, then=Value(USER_CHANNEL)),
                default=F("channel"),
                output_field=CharField(),
            )
        )
        .values("channel_or_users")
        .annotate(
            due=Count("pk", filter=is_pending & Q(attempts=0)),
            retrying=Count("pk", filter=is_pending & Q(attempts__gt=0)),
            given_up=Count("pk", filter=given_up),
            oldest=Min("created_at", filter=is_pending),
        )
    )
    # A configured channel without undelivered alerts is 0.
    channels: dict[str, Any] = {channel.name: {} for channel in viewer.visible_channels()}
    channels |= {counts["channel_or_users"]: counts for counts in undelivered}
    yield gauge(
        "alerts_undelivered",
        "Alerts that are due, being retried, or (in the last 24 hours) given up, by channel.",
        (
            ([channel, delivery], counts.get(delivery, 0))
            for channel, counts in channels.items()
            for delivery in ("due", "retrying", "given_up")
        ),
        ("channel", "delivery"),
    )
    yield gauge(
        "alerts_oldest_undelivered_age_seconds",
        "Age of the oldest alert that is due or being retried; absent if there is none.",
        (([channel], age(counts.get("oldest"), now)) for channel, counts in channels.items()),
        ("channel",),
    )
