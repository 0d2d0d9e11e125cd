"""Checks of the stored history against the simulator's log."""

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from simulator.workspace import Workspace
from tests.process.databases import Database

_ENDS = ("importer_done", "importer_import_failed", "importer_import_cancelled")
_EVENTS = {"failed": "import.failed", "interrupted": "import.interrupted"}


def assert_true_history(
    database: Database, workspace: Workspace, alias: str = "default", *, one_clock: bool = True
) -> dict[str, list[Any]]:
    """Assert that nothing is stored twice, out of order, or without having happened.

    Without `one_clock`, the times of samples can be out of order. Return the transitions by the
    operation's id in Rocket.Chat.
    """
    operations = database.execute(
        "SELECT id, remote_id, status, valid FROM importmonitor_importoperation "
        f"WHERE workspace = '{alias}'"
    )
    remote_ids = [remote_id for _, remote_id, _, _ in operations]
    logged = _logged_steps(workspace)
    assert len(remote_ids) == len(set(remote_ids))
    assert set(remote_ids) <= set(logged)
    transitions = _transitions(database)
    for pk, remote_id, status, _valid in operations:
        own = transitions[pk]
        _assert_chain(own, status)
        # An import of the simulator passes each of its steps once.
        changes = [(before, after, reason) for before, after, _, reason in own]
        assert len(changes) == len(set(changes)), own
        stored = [(after, bool(valid)) for _, after, valid, why in own if why != "superseded"]
        steps = iter(logged[remote_id])
        assert all(step in steps for step in stored), (own, logged[remote_id])
    _assert_samples(database, one_clock=one_clock)
    return {remote_id: transitions[pk] for pk, remote_id, _, _ in operations}


def assert_all_alerted(database: Database, path: Path, alias: str = "default") -> Counter[str]:
    """Assert that every event of the history has one alert, which is in the channel's file.

    For a workspace that was polled before its first import. Return how often each was delivered.
    """
    alerts = database.execute(
        "SELECT event, remote_id FROM importmonitor_alert AS alert "
        "JOIN importmonitor_importoperation AS operation ON operation.id = alert.operation_id "
        f"WHERE operation.workspace = '{alias}' AND channel = 'file'"
    )
    expected: Counter[tuple[str, str]] = Counter()
    transitions = _transitions(database)
    for pk, remote_id, end, finished_at in database.execute(
        "SELECT id, remote_id, end_reason, finished_at FROM importmonitor_importoperation "
        f"WHERE workspace = '{alias}'"
    ):
        _, status, _, reason = transitions[pk][0]
        if reason == "remote" and status not in _ENDS:
            expected["import.started", remote_id] += 1
        assert bool(end) is (finished_at is not None)
        if end:
            event = _EVENTS.get(end, "import.finished")
            if end == "superseded" and ("import.interrupted", remote_id) in alerts:
                # Sent before the newer import was seen, it is the only alert of this end.
                event = "import.interrupted"
            expected[event, remote_id] += 1
    assert Counter(alerts) == expected
    rows = database.execute(
        "SELECT alert.key, delivered_at FROM importmonitor_alert AS alert "
        f"WHERE workspace = '{alias}' AND channel = 'file'"
    )
    assert len(rows) == len(alerts)
    assert all(delivered_at for _, delivered_at in rows)
    lines = path.read_text().splitlines()
    deliveries = Counter(line for line in lines if line.split(":")[1] == alias)
    assert set(deliveries) == {key for key, _ in rows}
    return deliveries


def assert_up_to_date(database: Database, workspace: Workspace, alias: str = "default") -> None:
    """Assert that the newest row shows the workspace's current operation."""
    current = workspace.current()
    assert current is not None
    [(status, valid, completed, total, finished_at)] = database.execute(
        "SELECT status, valid, count_completed, count_total, finished_at "
        f"FROM importmonitor_importoperation WHERE remote_id = '{current['_id']}' "
        f"AND workspace = '{alias}'"
    )
    count = current.get("count", {})
    stored = (status, bool(valid), completed, total)
    assert stored == (
        current["status"],
        current["valid"],
        count.get("completed"),
        count.get("total"),
    )
    still_open = database.execute(
        "SELECT remote_id FROM importmonitor_importoperation "
        f"WHERE finished_at IS NULL AND workspace = '{alias}'"
    )
    assert still_open == ([] if finished_at else [(current["_id"],)])


def _assert_chain(transitions: list[Any], status: str) -> None:
    assert transitions
    assert transitions[0][0] == ""
    for (_, reached, _, _), (left, _, _, _) in pairwise(transitions):
        assert left == reached, transitions
    assert transitions[-1][1] == status


def _transitions(database: Database) -> dict[int, list[Any]]:
    """Return the transitions of each operation in order, by its primary key."""
    transitions = defaultdict(list)
    for pk, *transition in database.execute(
        "SELECT operation_id, from_status, to_status, valid, reason "
        "FROM importmonitor_statustransition ORDER BY id"
    ):
        transitions[pk].append(tuple(transition))
    return transitions


def _assert_samples(database: Database, *, one_clock: bool) -> None:
    """Assert that every sample differs from the one before in its counters, and is later."""
    samples = database.execute(
        "SELECT operation_id, completed, error, total, observed_at "
        "FROM importmonitor_progresssample ORDER BY operation_id, id"
    )
    for (*before, at), (*after, later) in pairwise(samples):
        if before[0] == after[0]:
            assert before != after, samples
            assert at < later or not one_clock, samples


def _logged_steps(workspace: Workspace) -> dict[str, list[tuple[str, bool]]]:
    """Return the steps of each operation in order, with `valid`."""
    logged: dict[str, list[tuple[str, bool]]] = {}
    for entry in workspace.log:
        if entry.operation_id is None:
            continue
        steps = logged.setdefault(entry.operation_id, [])
        step = (str(entry.status), bool(entry.valid))
        if step not in steps[-1:]:
            steps.append(step)
    return logged
