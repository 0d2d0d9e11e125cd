"""Each workspace's current import operation, in Prometheus's words."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric

from importmonitor.contrib.prometheus.families import gauge, known
from importmonitor.models import ImportOperation, SyncPeriod
from importmonitor.models.health import WorkspaceHealth
from importmonitor.rocketchat.operation import IMPORTERS
from importmonitor.rocketchat.states import STEPS, ImportState

_CONTENTS = ("users", "channels", "messages", "contacts")


_TOLD = {
    "active": "Whether it runs or waits for somebody, so that more is to be expected of it.",
    "stalled": "Whether it should be moving and has not moved for longer than STALLED_AFTER.",
    "waiting": "Whether it has been waiting for a human for longer than WAITING_AFTER.",
    "records": "Records to import in all, as Rocket.Chat counts them.",
    "records_completed": "Records imported, as Rocket.Chat counts them; it can count too many.",
    "records_failed": "Records that could not be imported.",
    "progress_ratio": "How much of all records is imported, from 0 to 1.",
    "records_per_second": "How fast it is, by what several polls have seen of late.",
    "time_left_seconds": "How long it will yet take at that speed.",
    "started_timestamp_seconds": "When it was created or, where that was not told, first seen.",
    "last_progress_timestamp_seconds": "When its step or its counters were last seen to change.",
    "finished_timestamp_seconds": "When it ended; for the first time, if it was run again.",
}


def _values(operation: ImportOperation, now: datetime) -> dict[str, float | None]:
    """Return the value of each of `_TOLD`, None where it cannot be told."""
    left, ended = operation.time_left(now), operation.finished_at
    return {
        "active": operation.is_active,
        "stalled": operation.is_stalled,
        "waiting": operation.waiting_since is not None,
        "records": operation.count_total,
        "records_completed": operation.count_completed,
        "records_failed": operation.count_error,
        "progress_ratio": _ratio(operation),
        "records_per_second": operation.rate,
        "time_left_seconds": left.total_seconds() if left else None,
        "started_timestamp_seconds": operation.started_at.timestamp(),
        "last_progress_timestamp_seconds": operation.last_progress_at.timestamp(),
        "finished_timestamp_seconds": ended.timestamp() if ended else None,
    }


def _ratio(operation: ImportOperation) -> float | None:
    total, completed = operation.count_total, operation.count_completed
    if total is None or completed is None or total <= 0:
        return None
    # Rocket.Chat can count 179 of 135.
    return max(0.0, min(1.0, completed / total))


def of_operations(workspaces: Sequence[WorkspaceHealth], now: datetime) -> Iterator[Metric]:
    """Yield what there is to know of the operations, without a query."""
    current = [(each.alias, each.operation) for each in workspaces if each.operation]
    yield _info(current)
    states = {alias: _state(operation) for alias, operation in current}
    for each in workspaces:
        if each.period and each.period.outcome == SyncPeriod.EMPTY:
            states[each.alias] = ImportState.NONE
    yield gauge(
        "operation_state",
        "1 for the state of the current import operation, in Rocket.Chat's words; else 0.",
        (
            ([alias, each.value], each == state)
            for alias, state in states.items()
            for each in ImportState
        ),
        ("workspace", "state"),
    )
    values = [([alias], _values(operation, now)) for alias, operation in current]
    for name, told in _TOLD.items():
        yield gauge(
            f"operation_{name}",
            f"Of the current import operation: {told}",
            ((labels, each[name]) for labels, each in values),
        )
    yield gauge(
        "operation_contents",
        "What there is to import in the current import operation, by kind.",
        (
            ([alias, kind], getattr(operation, f"count_{kind}"))
            for alias, operation in current
            for kind in _CONTENTS
        ),
        ("workspace", "kind"),
    )


def _info(current: Sequence[tuple[str, ImportOperation]]) -> Metric:
    info = InfoMetricFamily(
        "importmonitor_operation",
        "The workspace's current import operation; without an outcome while it is active.",
    )
    for alias, operation in current:
        outcome = operation.present_outcome
        info.add_metric(
            (),
            {
                "workspace": alias,
                "importer": known(operation.importer_key, IMPORTERS),
                "status": known(operation.status, STEPS),
                "outcome": outcome.value if outcome else "",
            },
        )
    return info


def _state(operation: ImportOperation) -> ImportState:
    try:
        return ImportState(operation.state)
    except ValueError:
        return ImportState.UNKNOWN
