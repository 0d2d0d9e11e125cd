"""The rows of the workspaces: which of them pages and endpoints show, and their periods."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple, Self

from django.db import connections, models
from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from importmonitor import conf
from importmonitor.choices import GOOD_STATUSES
from importmonitor.models.leases import LeaseQuerySet
from importmonitor.models.periods import SyncPeriod

if TYPE_CHECKING:
    from importmonitor.models.viewers import Viewer
    from importmonitor.models.workspaces import Workspace

#: Up to this many rows are named in a condition.
_FEW = 300
#: The clocks of two hosts rightly differ by up to this.
CLOCK_SKEW = timedelta(seconds=1)


class Freshness(StrEnum):
    """Whether the stored state is still Rocket.Chat's."""

    OK = "ok"
    STALE = "stale"
    FAILING = "failing"


class Urgency(models.IntegerChoices):
    """How soon a person should look at a workspace; the lowest first.

    By the last poll alone: a workspace that is no longer polled keeps its urgency, and is late.
    """

    FAILED = 0, _("Import failed or stalled")
    FAILING = 1, _("Cannot be polled")
    ACTIVE = 2, _("Import running")
    CALM = 3, _("Nothing to do")


NEVER_POLLED = Q(last_polled_at=None)
# By a redundant first condition, because most workspaces are calm: the index skips them.
#: Those whose last poll failed.
FAILING = Q(urgency__lte=Urgency.FAILING) & ~Q(sync_status__in=(*GOOD_STATUSES, ""))
#: Those whose current import has not ended, as of the last poll.
IMPORTING = Q(urgency__lte=Urgency.ACTIVE, import_outcome="") & ~Q(import_state="")


class WorkspaceQuerySet(LeaseQuerySet):
    def listed(self) -> Self:
        """Return the rows of the workspaces that are configured, by an index.

        With IN, because SQLite uses no index for a bare boolean column.
        """
        return self.filter(is_configured__in=[True])

    def with_imports(self) -> Self:
        """Return the rows with their current imports, but for the documents, which can be large."""
        return self.select_related("current_operation").defer("current_operation__payload")

    def without_hidden(self, viewer: "Viewer") -> Self:
        """Return the rows whose groups include a viewer, however many do not."""
        # Not by what is seen: SQLite would read all that by an index, and sort it for each page.
        return self.exclude(viewer.hides())

    def search(self, text: str) -> Self:
        """Return those whose aliases begin with a text or, if there are none, have it in them."""
        rows = self.starting_with(text.lower())
        return rows if rows.exists() else self.filter(alias__contains=text.lower())

    def late(self, now: datetime) -> Self:
        """Return those whose last poll is so long ago that something is wrong with the polling."""
        return self.filter(last_polled_at__lt=now - conf.get_options().late_after)

    def with_freshness(self, freshness: Freshness, now: datetime) -> Self:
        """Return those whose `freshness` is this; STALE includes those that were never polled."""
        if freshness == Freshness.FAILING:
            return self.meeting_any(FAILING)
        late_after = conf.get_options().late_after
        is_good = Q(sync_status__in=GOOD_STATUSES)
        earliest, latest = now - late_after, now + late_after
        late = (Q(last_polled_at__lt=earliest), Q(last_polled_at__gt=latest))
        if freshness == Freshness.OK:
            # Not by a range, by which SQLite would read all of them to sort them.
            return self.filter(is_good).exclude(late[0] | late[1])
        return self.meeting_any(NEVER_POLLED, *(is_good & condition for condition in late))

    def meeting_any(self, *conditions: Q) -> Self:
        """Return the configured ones that meet any of these conditions, of which an index has each.

        Few are named, as an index finds them. Of many, a page is soon full in the order of the
        keys: the index would read all of them, and sort them for each page.
        """
        rows = self.model.objects.listed().order_by()
        first, *others = (rows.filter(condition).values("pk") for condition in conditions)
        matches = first.union(*others, all=True).order_by() if others else first
        keys = list(matches.values_list("pk", flat=True)[: _FEW + 1])
        if len(keys) <= _FEW:
            return self.filter(pk__in=keys)
        # Negated twice, so that databases use no index for it.
        return self.exclude(~reduce(or_, conditions))

    def starting_with(self, text: str) -> Self:
        """Return those whose aliases begin with a text, by an index."""
        rows = self.model.objects.filter(alias__startswith=text).order_by()
        if connections[rows.db].vendor == "sqlite":
            # It has no index for LIKE, and compares texts by their bytes. "{" follows "z".
            rows = rows.filter(alias__gte=text, alias__lt=text + "{")
        return self.filter(pk__in=rows.values("pk"))

    def by_alias(self, aliases: Collection[str]) -> "dict[str, Workspace]":
        """Return the rows of these workspaces, by alias."""
        return {row.alias: row for row in self.filter(alias__in=aliases)}

    def periods(self, start: datetime, end: datetime, limit: int | None = None) -> list[SyncPeriod]:
        """Return these workspaces' periods that overlap a span, oldest first; in three queries.

        Of one workspace, in two.

        Limited to the newest `limit`, SyncPeriod.MAX by default. The first of each workspace may
        have ended before the span: its result holds until the next poll.
        """
        workspaces = list(self)
        periods = SyncPeriod.objects.filter(workspace__in=[row.alias for row in workspaces])
        is_within = Q(first_at__gte=start, first_at__lte=end)
        if len(workspaces) == 1:
            earlier = periods.filter(first_at__lt=start).order_by("-first_at")
            both = periods.filter(is_within | Q(pk=Subquery(earlier.values("pk")[:1])))
            newest = both.order_by("-pk")[: limit or SyncPeriod.MAX]
            return _with_open_ends(list(newest)[::-1], workspaces)
        before = SyncPeriod.objects.filter(workspace=OuterRef("alias"), first_at__lt=start)
        keys = self.annotate(before=Subquery(before.order_by("-first_at").values("pk")[:1]))
        within = periods.filter(is_within).order_by("-pk")
        # In a query of their own, so that one flapping workspace does not push out all others.
        first = SyncPeriod.objects.filter(pk__in=keys.values("before")).order_by("pk")
        rows = [*first, *list(within[: limit or SyncPeriod.MAX])[::-1]]
        return _with_open_ends(rows, workspaces)

    def count_polls(self, since: datetime, now: datetime) -> "PollCounts":
        """Return how many workspaces were polled since a time, and with which result."""
        polled = Q(last_polled_at__gte=since, last_polled_at__lte=now + CLOCK_SKEW)
        counts = self.aggregate(
            polled=Count("pk", filter=polled),
            failed=Count("pk", filter=polled & ~Q(sync_status__in=GOOD_STATUSES)),
            limited=Count("pk", filter=~polled & Q(not_before__gt=now)),
        )
        return PollCounts(**counts)

    def mark_pruned(self, alias: str, before: datetime) -> None:
        """Record that operations that started before a time, and are over, stay deleted.

        Like `renew` it is a fence, as the first statement of a transaction.
        """
        # A later time that was recorded before stays. Greatest, but for NULLs.
        later = Case(When(pruned_before__gt=before, then=F("pruned_before")), default=Value(before))
        self.filter(alias=alias).update(pruned_before=later, pruned_at=timezone.now())


class PollCounts(NamedTuple):
    """How many workspaces were polled, how many of them failed, and how many are rate limited."""

    polled: int
    failed: int
    limited: int


def is_since(time: datetime | None, since: datetime, now: datetime) -> bool:
    """Return whether a time is since another one, and not one of a clock that was ahead."""
    return time is not None and since <= time <= now + CLOCK_SKEW


def _with_open_ends(
    periods: list[SyncPeriod], workspaces: "Iterable[Workspace]"
) -> list[SyncPeriod]:
    """Fill in what the workspaces' rows have of the open periods."""
    open_periods = {workspace.period_id: workspace for workspace in workspaces}
    for period in periods:
        workspace = open_periods.get(period.pk)
        if workspace is not None:
            period.last_at = workspace.last_polled_at or period.last_at
            period.polls = workspace.period_polls
            period.watched = workspace.watched
            period.message = workspace.message
    return periods
