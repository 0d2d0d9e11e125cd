"""The totals of all workspaces: as many series and queries for ten as for a hundred thousand."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.metrics_core import Metric

from importmonitor import shared_cache
from importmonitor.contrib.prometheus.families import (
    POLL_OUTCOMES,
    age,
    gauge,
    known_or_other,
    known_state,
)
from importmonitor.models import StoredTotals, Viewer, Workspace
from importmonitor.models.outcomes import Outcome
from importmonitor.models.totals import MANY, MAX_AGE, Summary, Totals, count_totals
from importmonitor.rocketchat.states import ImportState

#: The sync status of a workspace without a poll.
_NEVER = "never"


def total_metrics(viewer: Viewer, now: datetime, selected: int) -> Iterator[Metric]:
    """Yield the totals of the configured workspaces that a viewer may see.

    `selected` is how many of them have series of their own.
    """
    totals = _get_totals(viewer, now)
    statuses = Counter(dict.fromkeys((*POLL_OUTCOMES, _NEVER), 0))
    states = Counter({state.value: 0 for state in ImportState if state != ImportState.NONE})
    outcomes = Counter(dict.fromkeys(Outcome.values, 0))
    for summary, number in totals.summaries.items():
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
        [([], totals.late)],
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
        [([], max(0, totals.total - selected))],
        (),
    )
    yield gauge(
        "totals_age_seconds",
        "Seconds since the workspaces were counted; 0 if they were counted for this scrape.",
        [([], age(totals.counted_at, now))],
        (),
    )


def _get_totals(viewer: Viewer, now: datetime) -> Totals:
    """Return the totals; those of many workspaces can be MAX_AGE old.

    A watch has counted them, unless the viewer may not see all workspaces. If none has, this
    request counts them for those that follow.
    """
    if viewer.hidden_aliases is None:
        # What is kept could count one that has been hidden since: its key would not say so.
        return _count(viewer, now)
    if viewer.hidden_aliases == [] and viewer.aliases is None:
        stored = StoredTotals.objects.newest(now)
        if stored is not None:
            return stored.totals
    key = shared_cache.make_key("totals", viewer.key)
    if kept := shared_cache.get(key):
        counted_at, rows, late = kept
        summaries = {Summary(*summary): number for *summary, number in rows}
        return Totals(datetime.fromisoformat(counted_at), summaries, late)
    totals = _count(viewer, now)
    if totals.total > MANY:
        rows = [[*summary, number] for summary, number in totals.summaries.items()]
        value = [now.isoformat(), rows, totals.late]
        shared_cache.set(key, value, int(MAX_AGE.total_seconds()))
    return totals


def _count(viewer: Viewer, now: datetime) -> Totals:
    """Count the visible workspaces.

    Few hidden ones are subtracted, so that two indexes have all that is counted.
    """
    if not viewer.hidden_aliases or viewer.aliases is not None:
        return count_totals(viewer.workspaces(), now)
    totals = count_totals(Workspace.objects.listed(), now)
    rows = Workspace.objects.filter(is_configured=True, alias__in=viewer.hidden_aliases)
    hidden = count_totals(rows, now)
    summaries = Counter(totals.summaries)
    summaries.subtract(hidden.summaries)
    return Totals(now, +summaries, max(0, totals.late - hidden.late))
