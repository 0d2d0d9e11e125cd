"""The leases of the workspaces: what a poll starts from, and how it ends."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps
from django.db import connections, models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.utils import timezone

from importmonitor.models.alerts import Alert, latest_due
from importmonitor.models.compiled import CompiledQuery, Param, columns
from importmonitor.models.operations import ImportOperation
from importmonitor.models.store import StoreQuerySet

if TYPE_CHECKING:
    from importmonitor.models.workspaces import Workspace

#: The longest that Rocket.Chat, or a firewall, can rightly ask a poll to wait.
_MAX_WAIT = timedelta(days=1, minutes=1)
#: The longest that a lease lasts: that of a DEADLINE of an hour.
_MAX_LEASE = timedelta(hours=1, minutes=1)
#: What was written for later than this was written by a clock that was ahead.
_CLOCK_MARGIN = timedelta(minutes=1)

#: What every poll writes, if only to say that nothing has changed.
_POLL_FIELDS = (
    "last_polled_at",
    "last_synced_at",
    "period_polls",
    "watched",
    "clock_offset",
    "clock_candidate",
    "clock_samples",
    "remote_time",
    "response_time",
    "rate_limit",
    "rate_remaining",
    "rate_resets_at",
    "due_at",
)


class PollState(NamedTuple):
    """What a poll starts from.

    `workspace` has its current operation loaded. `alerts_due` is whether an alert is due anywhere,
    `has_others` whether another operation than the current one has not ended.
    """

    workspace: "Workspace"
    alerts_due: bool
    has_others: bool


class LeaseQuerySet(StoreQuerySet["Workspace"]):
    workspace_field = "alias"

    def get_state(self, alias: str) -> "Workspace | None":
        """Return a workspace's row by a compiled query, None if it was never polled."""
        row = _state.first(self.db, alias=alias)
        return self.model.from_db(self.db, columns(self.model), row) if row else None

    def poll_state(self, alias: str, now: datetime) -> PollState:
        """Return what a poll starts from, in one query.

        Before the first poll its workspace is an unsaved row.
        """
        row = _poll_state.first(self.db, alias=alias, at=now, latest=latest_due(now))
        if row is None:
            return PollState(self.model(alias=alias), alerts_due=False, has_others=False)
        return self._read_state(row)

    def _read_state(self, row: Sequence[Any]) -> PollState:
        alerts_due, has_others, *values = row
        names, operation_names = columns(self.model), columns(ImportOperation)
        workspace = self.model.from_db(self.db, names, values[: len(names)])
        if workspace.current_operation_id is not None:
            workspace.current_operation = ImportOperation.from_db(
                self.db, operation_names, values[len(names) :]
            )
        return PollState(workspace, bool(alerts_due), bool(has_others))

    def acquire(
        self,
        alias: str,
        holder: str,
        *,
        now: datetime,
        duration: timedelta,
        store_groups: Callable[[], str | None] = lambda: None,
    ) -> bool:
        """Acquire a workspace's lease and return True, unless it is held or must not be polled.

        A single conditional UPDATE, so of any number of processes one gets it. A new row gets
        what `store_groups` returns at once: it is visible before its first poll has ended.
        """
        if self._acquire(alias, holder, now, duration):
            return True
        if self.filter(alias=alias).exists():
            return False
        self.bulk_create([self.model(alias=alias, groups=store_groups())], ignore_conflicts=True)
        return self._acquire(alias, holder, now, duration)

    def _acquire(self, alias: str, holder: str, now: datetime, duration: timedelta) -> bool:
        values = {
            "alias": alias,
            "holder": holder,
            "at": now,
            "until": now + duration,
            "latest": now + duration + _CLOCK_MARGIN,
            "latest_wait": now + _MAX_WAIT,
            "latest_poll": now + _CLOCK_MARGIN,
        }
        return bool(_acquired.update(self.db, **values))

    def claim(
        self,
        limit: int,
        holder: str,
        *,
        now: datetime,
        duration: Callable[[Sequence[str]], timedelta],
    ) -> list[PollState]:
        """Acquire the leases of up to `limit` workspaces whose polls are due, the oldest first.

        `duration` returns how long the leases of workspaces with these aliases last. Until a poll
        says when the next one is due, that is when its lease expires: if this process dies, another
        one polls the workspace. Three queries, however many workspaces there are.
        """
        features: Any = connections[self.db].features
        latest = now + _CLOCK_MARGIN
        is_free = _is_free(now, latest + _MAX_LEASE, now + _MAX_WAIT, latest)
        due = self.filter(is_free, due_at__lte=now)
        chosen = due.order_by("due_at")
        context: AbstractContextManager[None] = nullcontext()
        if features.has_select_for_update_skip_locked:
            # Only so that two processes do not choose the same. SQLite has one writer anyway, and
            # there a transaction that begins by reading may not write.
            chosen = chosen.select_for_update(skip_locked=True)
            context = transaction.atomic(using=self.db)
        with context:
            aliases = list(chosen.values_list("alias", flat=True)[:limit])
            if not aliases:
                return []
            until = now + duration(aliases)
            due.filter(alias__in=aliases).update(
                holder=holder, expires_at=until, not_before=None, due_at=until
            )
        rows = _claimed.rows(self.db, holder=holder, until=until, at=now, latest=latest_due(now))
        return [self._read_state(row) for row in rows]

    def renew(self, alias: str, holder: str, *, until: datetime) -> bool:
        """Extend a lease and return True, if `holder` still has it.

        As the first statement of a transaction it is a fence too: a write, so that SQLite takes
        its lock at once, and one that every other writer of this workspace waits behind until
        the transaction ends.
        """
        return bool(_renewed.update(self.db, alias=alias, holder=holder, until=until))

    def finish(self, workspace: "Workspace", holder: str, changed: Iterable[str]) -> bool:
        """Write a poll's result and release the lease; return True, if `holder` still had it.

        `changed` names the fields to write besides those that every poll writes.
        """
        names = frozenset({*_POLL_FIELDS, *changed})
        values = {name: getattr(workspace, name) for name in names}
        return bool(
            _finished(names).update(self.db, alias=workspace.alias, holder=holder, **values)
        )

    def release(self, alias: str, holder: str) -> None:
        """Release the lease if `holder` still has it."""
        _released.update(self.db, alias=alias, holder=holder)

    def release_all(self, holder_prefix: str) -> None:
        """Release the leases of all holders whose names begin with a prefix.

        Those that were claimed are due again at once.
        """
        held = self.filter(holder__startswith=holder_prefix)
        # First: MySQL assigns from left to right.
        was_claimed = When(due_at=F("expires_at"), then=Value(timezone.now()))
        held.update(due_at=Case(was_claimed, default=F("due_at")), holder="", expires_at=None)


def _is_free(at: Any, latest: Any, latest_wait: Any, latest_poll: Any) -> Q:
    """Return the condition that a lease can be acquired.

    No lease lasts longer than `latest`, and where the last poll is still to come, a clock was
    ahead: what it wrote is not believed.
    """
    is_unheld = Q(expires_at=None) | Q(expires_at__lte=at) | Q(expires_at__gt=latest)
    may_be_polled = (
        Q(not_before=None)
        | Q(not_before__lte=at)
        | Q(not_before__gt=latest_wait)
        | Q(last_polled_at__gt=latest_poll)
    )
    return is_unheld & may_be_polled


def _workspaces() -> LeaseQuerySet:
    rows: LeaseQuerySet = _model().objects.all()
    return rows


def _model() -> "type[Workspace]":
    # That module imports this one.
    return apps.get_model("importmonitor", "Workspace")


_ALIAS, _HOLDER = (Param(name, models.CharField()) for name in ("alias", "holder"))
_AT, _UNTIL, _LATEST, _LATEST_WAIT, _LATEST_POLL = (
    Param(name, models.DateTimeField())
    for name in ("at", "until", "latest", "latest_wait", "latest_poll")
)


def _held() -> LeaseQuerySet:
    return _workspaces().filter(alias=_ALIAS, holder=_HOLDER)


def _states(*conditions: Q) -> models.QuerySet[Any, Any]:
    others = ImportOperation.objects.filter(workspace=OuterRef("alias"), finished_at=None)
    return (
        _workspaces()
        .filter(*conditions)
        .order_by()
        .values_list(
            Exists(Alert.objects.due(_AT, _LATEST)),
            Exists(others.exclude(pk=OuterRef("current_operation_id"))),
            *columns(_model()),
            *(f"current_operation__{name}" for name in columns(ImportOperation)),
        )
    )


_state = CompiledQuery(
    lambda: _workspaces().filter(alias=_ALIAS).order_by().values_list(*columns(_model()))
)
_poll_state = CompiledQuery(lambda: _states(Q(alias=_ALIAS)))
# By the index of `due_at`.
_claimed = CompiledQuery(lambda: _states(Q(due_at=_UNTIL, holder=_HOLDER)))
_acquired = CompiledQuery(
    lambda: _workspaces().filter(_is_free(_AT, _LATEST, _LATEST_WAIT, _LATEST_POLL), alias=_ALIAS),
    holder=_HOLDER,
    expires_at=_UNTIL,
    not_before=None,
)
_renewed = CompiledQuery(_held, expires_at=_UNTIL)
_released = CompiledQuery(_held, holder="", expires_at=None)


@cache
def _finished(names: frozenset[str]) -> CompiledQuery:
    """Return the query that writes these fields. Few sets of them ever occur."""
    fields = {
        field.attname: Param(field.attname, field)
        for field in _model()._meta.concrete_fields
        if field.attname in names or field.name in names
    }
    return CompiledQuery(_held, holder="", expires_at=None, **fields)
