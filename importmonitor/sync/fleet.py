"""The workspaces that a watch polls, and when their next polls are due."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Min
from django.utils import timezone

from importmonitor import conf
from importmonitor.models import Workspace
from importmonitor.models.workspace_queries import WorkspaceQuerySet
from importmonitor.sync.claims import Claim, claim_due
from importmonitor.sync.interval import MAX_BACKOFF
from importmonitor.sync.pool import CONCURRENCY
from importmonitor.sync.register import register_workspaces

# The first polls of many workspaces are due in so many steps.
_STEPS = 200
# Between the first polls of two workspaces, where they are few.
_MAX_PAUSE = timedelta(seconds=0.1)
# So many workspaces are named or shown one by one.
_MAX_NAMED = 20
# A clock may be wrong by so much before a due time is not believed.
_MARGIN = timedelta(minutes=2)


class Fleet:
    """The workspaces with these names, or all, as the settings have them.

    What is due is in the database, so that processes share a fleet: one claims a workspace, polls
    it, and writes when the next poll is due.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        spread: float,
        longest: float,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        """`spread` is the number of seconds that the first polls of many workspaces take.

        `longest` is that between two polls of a workspace. Raises ImproperlyConfigured.
        """
        self.names = names
        self.is_started = False
        self.workspaces = conf.get_workspaces()
        self._aliases: frozenset[str] = frozenset()
        self._spread = timedelta(seconds=spread)
        self._longest = timedelta(seconds=max(longest, MAX_BACKOFF)) + _MARGIN
        self._now = now

    def __len__(self) -> int:
        return len(self.names or self.workspaces)

    def __contains__(self, alias: object) -> bool:
        return alias in self.workspaces and (not self.names or alias in self.names)

    def start(self, *, at_once: bool) -> None:
        """Schedule the workspaces; all of them `at_once`, or if they are few.

        Otherwise those that have a time keep it, and the others follow during an interval.
        """
        self._update(self.workspaces)
        if at_once or len(self) <= CONCURRENCY:
            now = self._now()
            self._rows().filter(is_configured=True).exclude(not_before__gt=now).update(due_at=now)
        self.is_started = True

    def reread(self) -> None:
        """Read the settings again, and schedule the workspaces that are new.

        Raises ImproperlyConfigured, after which the workspaces are those of the time before.
        """
        self._update(conf.get_workspaces())

    def claim(self, limit: int) -> list[Claim]:
        """Claim up to `limit` workspaces whose polls are due."""
        return claim_due(self._rows(), self.workspaces, limit, self._now())

    def next_due(self) -> float | None:
        """Return the seconds until the next poll is due, None if none is scheduled."""
        due_at: datetime | None = self._rows().aggregate(first=Min("due_at"))["first"]
        return None if due_at is None else (due_at - self._now()).total_seconds()

    def aliases(self) -> Sequence[str]:
        """Return the aliases of all workspaces."""
        return self.names or list(self.workspaces)

    def some(self) -> list[str]:
        """Return the first aliases: as many as can be named one by one."""
        return list(islice(self.names or self.workspaces, _MAX_NAMED))

    def _rows(self) -> WorkspaceQuerySet:
        rows = Workspace.objects.all()
        return rows.filter(alias__in=self.names) if self.names else rows

    def _update(self, workspaces: conf.Workspaces) -> None:
        aliases = frozenset(workspaces)
        if aliases != self._aliases:
            register_workspaces(workspaces, self.names)
            self._aliases = aliases
        self.workspaces = workspaces
        now = self._now()
        # Written by a clock that was ahead, or by a watch with longer intervals.
        too_late = self._rows().filter(due_at__gt=now + self._longest)
        too_late.exclude(not_before__gt=now).update(due_at=now)
        self._schedule(now)

    def _schedule(self, now: datetime) -> None:
        """Spread the first polls of workspaces over an interval; a pool's worth is due at once."""
        new = self._rows().filter(is_configured=True, due_at=None)
        keys = list(new.order_by("pk").values_list("pk", flat=True))
        pause = min(self._spread / max(len(keys), 1), _MAX_PAUSE)
        step = max(1, len(keys) // _STEPS)
        for start in [0, *range(CONCURRENCY, len(keys), step)]:
            size = CONCURRENCY if start == 0 else step
            due = new.filter(pk__in=keys[start : start + size])
            due.update(due_at=now + pause * start)
