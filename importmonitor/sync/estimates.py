"""The estimates of an operation: its rate and the time left, and what its end teaches."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import models

from importmonitor.models import ImportOperation, Outcome, ProgressSample
from importmonitor.models.compiled import CompiledQuery, Param
from importmonitor.models.operations import ImportOperationQuerySet
from importmonitor.rocketchat import states
from importmonitor.sync.change import Change
from importmonitor.sync.forecast import (
    Counts,
    PastImport,
    PresentImport,
    Sample,
    StepSpeed,
    Transition,
    forecast,
    learn,
)
from importmonitor.sync.rate import records_per_second
from importmonitor.tenancy import store_alias

#: How often the rate and the forecast of a step are computed.
FORECAST_INTERVAL = timedelta(minutes=1)
#: How many imports of a workspace, and of all others, a forecast is based on.
MAX_HISTORY = 10
#: With so many of the same workspace, those of others add nothing.
ENOUGH_HISTORY = 3

_LEARNED_FROM = (Outcome.DONE, Outcome.DONE_WITH_ERRORS)
_NO_FORECAST: dict[str, Any] = dict.fromkeys(
    ("forecast_at", "seconds_left", "seconds_left_low", "seconds_left_high")
)


def update_estimates(change: Change, at: datetime) -> None:
    """Set the rate and the forecast of the current operation, of which something has changed."""
    operation = change.operation
    has_new_step = change.created or "status" in change.updated
    age = None if has_new_step or operation.forecast_at is None else at - operation.forecast_at
    # A good one is kept: to compute it takes longer than all the rest of a poll.
    is_recent = age is not None and timedelta(0) <= age < FORECAST_INTERVAL
    if is_recent and operation.rate is not None:
        return
    samples = _present_samples(change, at)
    change.set("rate", records_per_second(samples) if samples else None)
    if is_recent:
        return
    values = dict(_NO_FORECAST)
    if _can_forecast(operation):
        transitions = [] if change.created else _transitions(operation)
        transitions += [_transition(row) for row in change.transitions]
        present = PresentImport(
            workspace=operation.workspace,
            importer_key=operation.importer_key,
            status=operation.status,
            counts=Counts(**operation.counters),
            transitions=transitions,
            samples=samples,
        )
        result = forecast(present, _history(operation), at)
        if result is not None:
            values = dict(
                zip(_NO_FORECAST, (at, result.seconds, result.low, result.high), strict=True)
            )
    for name, value in values.items():
        change.set(name, value)


def store_speeds(operations: Iterable[ImportOperation]) -> None:
    """Store what operations teach that have just ended well."""
    for operation in operations:
        if operation.outcome not in _LEARNED_FROM or not operation.importer_key:
            continue
        samples = _samples(
            ProgressSample.objects.filter(operation=operation)
            .order_by("observed_at", "pk")
            .values_list("observed_at", "completed", "error", "total")
        )
        past = learn(
            operation.workspace,
            operation.importer_key,
            _transitions(operation),
            Counts(**operation.counters),
            samples,
        )
        operation.speeds = {"steps": [list(step) for step in past.steps], "growth": past.growth}
        ImportOperation.objects.filter(pk=operation.pk).update(speeds=operation.speeds)


def _can_forecast(operation: ImportOperation) -> bool:
    if operation.status in states.ENDS or operation.valid is False or operation.is_stalled:
        return False
    return operation.status.startswith("importer_importing_") or operation.status in (
        "importer_user_selection",
        "importer_finishing",
    )


def _present_samples(change: Change, at: datetime) -> list[Sample]:
    """Return the samples of the operation's present step, this poll's included."""
    operation = change.operation
    has_new_step = change.created or "status" in change.updated
    rows = [] if has_new_step else ProgressSample.objects.of_step(operation)
    if change.is_sampled:
        rows.append((at, operation.count_completed, operation.count_error, operation.count_total))
    return _samples(rows)


def _samples(rows: Iterable[tuple[datetime, int | None, int | None, int | None]]) -> list[Sample]:
    return [
        Sample(at, completed, error or 0, total)
        for at, completed, error, total in rows
        if completed is not None
    ]


def _transitions(operation: ImportOperation) -> list[Transition]:
    return [_transition(row) for row in operation.transitions.order_by("observed_at", "pk")]


def _transition(row: Any) -> Transition:
    return Transition(
        row.observed_at, row.to_status, row.count_completed, row.count_error, row.count_total
    )


def _history(operation: ImportOperation) -> Sequence[PastImport]:
    """Return what the latest imports by the same importer taught, this workspace's first."""
    names = {"workspace": operation.workspace, "importer_key": operation.importer_key}
    rows = _taught_here.rows(store_alias(), **names)
    if len(rows) < ENOUGH_HISTORY:
        rows += _taught_elsewhere.rows(store_alias(), **names)
    history = (_past_import(alias, operation.importer_key, speeds) for alias, speeds in rows)
    return list(filter(None, history))


_WORKSPACE, _IMPORTER_KEY = (
    Param(name, models.CharField()) for name in ("workspace", "importer_key")
)


def _taught() -> ImportOperationQuerySet:
    rows = ImportOperation.objects.filter(importer_key=_IMPORTER_KEY, speeds__isnull=False)
    return rows.filter(outcome__in=_LEARNED_FROM).newest_first()


_taught_here = CompiledQuery(
    lambda: _taught().filter(workspace=_WORKSPACE).values_list("workspace", "speeds")[:MAX_HISTORY]
)
_taught_elsewhere = CompiledQuery(
    lambda: _taught().exclude(workspace=_WORKSPACE).values_list("workspace", "speeds")[:MAX_HISTORY]
)


def _past_import(workspace: str, importer_key: str, speeds: Any) -> PastImport | None:
    """Return a stored lesson, None if it is not readable: another release can have written it."""
    try:
        steps = tuple(
            StepSpeed(str(step), int(records), float(seconds), tuple(map(float, curve)))
            for step, records, seconds, curve in speeds["steps"]
        )
        return PastImport(workspace, importer_key, steps, float(speeds["growth"]))
    except (KeyError, TypeError, ValueError):
        return None
