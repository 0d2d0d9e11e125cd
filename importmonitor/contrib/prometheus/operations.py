"""The metrics of each workspace's current import operation."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric

from importmonitor.contrib.prometheus.families import gauge, known_or_other, known_state
from importmonitor.models import ImportOperation, Workspace
from importmonitor.rocketchat.operation import IMPORTERS
from importmonitor.rocketchat.states import STEPS, ImportState

_CONTENTS = ("users", "channels", "messages", "contacts")

_DOCUMENTATION = {
    "active": "1 if it has not ended: it runs or waits for input.",
    "stalled": "1 if it should make progress and has not for longer than STALLED_AFTER.",
    "waiting": "1 if it has been waiting for input for longer than WAITING_AFTER.",
    "records": "Records to import, as Rocket.Chat counts them.",
    "records_completed": "Records imported, as Rocket.Chat counts them; it can count too many.",
    "records_failed": "Records that could not be imported.",
    "progress_ratio": "Imported and failed records by all records, 0 to 1; at most 0.99 before the "
    "end.",
    "records_per_second": "Its rate, by several recent polls.",
    "time_left_seconds": "Estimated time left; while it waits for a selection, from then on.",
    "started_timestamp_seconds": "When it was created or, if that is unknown, first seen.",
    "last_progress_timestamp_seconds": "When a poll last saw its status or counters change.",
    "finished_timestamp_seconds": "When it ended; the first time, if it was run again.",
}


def _values(operation: ImportOperation, now: datetime) -> dict[str, float | None]:
    """Return the value of each metric in `_DOCUMENTATION`, None if it is unknown."""
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
        "time_left_seconds": left.expected.total_seconds() if left else None,
        "started_timestamp_seconds": operation.started_at.timestamp(),
        "last_progress_timestamp_seconds": operation.last_progress_at.timestamp(),
        "finished_timestamp_seconds": ended.timestamp() if ended else None,
    }


def _ratio(operation: ImportOperation) -> float | None:
    """Return the percentage without its rounding."""
    percent, total = operation.percent, operation.count_total
    if percent is None or not total:
        return None
    records = operation.progress.records
    exact = percent / 100 if records is None else records / total
    # Rocket.Chat can count 179 of 135, long before the end.
    return max(0.0, min(exact, 1.0 if percent == 100 else 0.99))


def operation_metrics(workspaces: Sequence[Workspace], now: datetime) -> Iterator[Metric]:
    """Yield the metrics of the current operations, without a query."""
    current = [
        (workspace.alias, operation)
        for workspace in workspaces
        if (operation := workspace.current_operation)
    ]
    yield _info(current)
    states = {alias: known_state(operation.state) for alias, operation in current}
    for workspace in workspaces:
        if workspace.is_empty:
            states[workspace.alias] = ImportState.NONE
    yield gauge(
        "operation_state",
        "1 for Rocket.Chat's coarse state of the current import operation, 0 for all others.",
        (
            ([alias, state.value], state == current_state)
            for alias, current_state in states.items()
            for state in ImportState
        ),
        ("workspace", "state"),
    )
    values = [([alias], _values(operation, now)) for alias, operation in current]
    for name, documentation in _DOCUMENTATION.items():
        yield gauge(
            f"operation_{name}",
            f"Of the current import operation: {documentation}",
            ((labels, operation_values[name]) for labels, operation_values in values),
        )
    yield gauge(
        "operation_contents",
        "Records to import in the current import operation, by kind.",
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
        "The workspace's current import operation; it has no outcome while it is active.",
    )
    for alias, operation in current:
        outcome = operation.present_outcome
        info.add_metric(
            (),
            {
                "workspace": alias,
                "importer": known_or_other(operation.importer_key, IMPORTERS),
                "status": known_or_other(operation.status, STEPS),
                "outcome": outcome.value if outcome else "",
            },
        )
    return info
