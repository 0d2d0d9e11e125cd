"""The totals of all workspaces: as many series and queries for ten as for a hundred thousand."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, Q
from prometheus_client.metrics_core import Metric

from importmonitor import conf, shared_cache
from importmonitor.contrib.prometheus.families import (
    POLL_OUTCOMES,
    age,
    gauge,
    known_or_other,
    known_state,
)
from importmonitor.models import Viewer, Workspace
from importmonitor.models.outcomes import Outcome
from importmonitor.rocketchat.states import ImportState

#: The sync status of a workspace without a poll.
_NEVER = "never"
#: Counting 100,000 takes longer than the rest of a scrape. The counts of more than this many are
#: kept for a while: a pair of Prometheus servers scrapes twice.
_MANY = 1_000
_KEEP_SECONDS = 15


class _Summary(NamedTuple):
    """What workspaces are counted by; one index has it all."""

    sync_status: str
    import_state: str
    import_outcome: str


class _Counts(NamedTuple):
    """How many workspaces there are by summary, and how many of all were not polled recently."""

    summaries: Counter[_Summary]
    late: int


def total_metrics(viewer: Viewer, now: datetime, selected: int) -> Iterator[Metric]:
    """Yield the totals of the configured workspaces that a viewer may see.

    `selected` is how many of them have series of their own.
    """
    counts = _get_counts(viewer, now)
    statuses = Counter(dict.fromkeys((*POLL_OUTCOMES, _NEVER), 0))
    states = Counter({state.value: 0 for state in ImportState if state != ImportState.NONE})
    outcomes = Counter(dict.fromkeys(Outcome.values, 0))
    for summary, number in counts.summaries.items():
        statuses[known_or_other(summary.sync_status, POLL_OUTCOMES) or _NEVER] += number
        if summary.import_state:
            states[known_state(summary.import_state).value] += number
        if summary.import_outcome:
            outcomes[summary.import_outcome] += number
    polled = viewer.workspaces().filter(last_polled_at__isnull=False)
    oldest = polled.order_by("last_polled_at").values_list("last_polled_at", flat=True)[:1]

    yield gauge(
        "workspaces",
        "Configured workspaces by the result of the last poll; never if there was none.",
        (([status], number) for status, number in statuses.items()),
        ("sync_status",),
    )
    yield gauge(
        "workspaces_late",
        "Configured workspaces whose last poll was not recent, whatever its result.",
        [([], counts.late)],
        (),
    )
    yield gauge(
        "oldest_poll_age_seconds",
        "Seconds since the last poll of the workspace that was polled the longest ago; absent if "
        "none was polled.",
        (([], age(moment, now)) for moment in oldest),
        (),
    )
    yield gauge(
        "operations",
        "Current import operations by Rocket.Chat's coarse state.",
        (([state], number) for state, number in states.items()),
        ("state",),
    )
    yield gauge(
        "operations_ended",
        "Current import operations that have ended, by outcome.",
        (([outcome], number) for outcome, number in outcomes.items()),
        ("outcome",),
    )
    yield gauge(
        "workspaces_left_out",
        "Configured workspaces without metrics of their own, because of METRICS_LIMIT.",
        # A workspace can have been added since it was counted.
        [([], max(0, statuses.total() - selected))],
        (),
    )


def _get_counts(viewer: Viewer, now: datetime) -> _Counts:
    """Return the counts, of a large fleet up to _KEEP_SECONDS old."""
    key = shared_cache.make_key("metrics", viewer.key)
    if kept := shared_cache.get(key):
        rows, late = kept
        return _Counts(Counter({_Summary(*summary): number for *summary, number in rows}), late)
    counts = _count(viewer, now)
    if counts.summaries.total() > _MANY:
        rows = [[*summary, number] for summary, number in counts.summaries.items()]
        shared_cache.set(key, [rows, counts.late], _KEEP_SECONDS)
    return counts


def _count(viewer: Viewer, now: datetime) -> _Counts:
    """Count the visible workspaces.

    The hidden ones are subtracted, so that two indexes have all that is counted.
    """
    rows = Workspace.objects.listed()
    if viewer.aliases is not None:
        rows = rows.visible_to(viewer)
    groups = rows.values_list(*_Summary._fields).annotate(Count("pk")).order_by()
    summaries = Counter({_Summary(*summary): number for *summary, number in groups})
    late = rows.late(now).count()
    if viewer.aliases is None and not viewer.is_superuser:
        # Not those of `listed`, whose indexes do not have the groups: one scan of the table.
        hidden = viewer.hidden_workspaces().filter(is_configured=True)
        numbers = {
            "number": Count("pk"),
            "late": Count("pk", filter=Q(last_polled_at__lt=now - conf.get_options().late_after)),
        }
        for *summary, number, hidden_late in (
            hidden.values_list(*_Summary._fields).annotate(**numbers).order_by()
        ):
            summaries[_Summary(*summary)] -= number
            late -= hidden_late
    return _Counts(+summaries, max(0, late))
