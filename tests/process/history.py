"""What may stand in the history, held against the log of the workspace where it happened."""

from itertools import pairwise
from typing import Any

from project.simulator.workspace import Workspace
from tests.process.databases import Database


def assert_true_history(database: Database, workspace: Workspace) -> dict[str, list[Any]]:
    """Assert that nothing is told twice, out of order, or without having happened.

    Returns the transitions by the operation's id in Rocket.Chat.
    """
    operations = database.execute(
        "SELECT id, remote_id, status, valid FROM importmonitor_importoperation"
    )
    remote_ids = [remote_id for _, remote_id, _, _ in operations]
    happened = _happened(workspace)
    assert len(remote_ids) == len(set(remote_ids))
    assert set(remote_ids) <= set(happened)
    told: dict[str, list[Any]] = {}
    for pk, remote_id, status, _valid in operations:
        transitions = database.execute(
            "SELECT from_status, to_status, valid, reason FROM importmonitor_statustransition "
            f"WHERE operation_id = {pk} ORDER BY id"
        )
        told[remote_id] = transitions
        _assert_chain(transitions, status)
        # An import of the simulator passes each of its steps once.
        events = [(before, after, reason) for before, after, _, reason in transitions]
        assert len(events) == len(set(events)), transitions
        seen = [(after, bool(valid)) for _, after, valid, why in transitions if why != "superseded"]
        steps = iter(happened[remote_id])
        assert all(step in steps for step in seen), (seen, happened[remote_id])
    return told


def assert_up_to_date(database: Database, workspace: Workspace) -> None:
    """Assert that the newest row shows the workspace's current operation."""
    current = workspace.current()
    assert current is not None
    [(status, valid, completed, total, finished_at)] = database.execute(
        "SELECT status, valid, count_completed, count_total, finished_at "
        f"FROM importmonitor_importoperation WHERE remote_id = '{current['_id']}'"
    )
    count = current.get("count", {})
    shown = (status, bool(valid), completed, total)
    assert shown == (
        current["status"],
        current["valid"],
        count.get("completed"),
        count.get("total"),
    )
    still_open = database.execute(
        "SELECT remote_id FROM importmonitor_importoperation WHERE finished_at IS NULL"
    )
    assert still_open == ([] if finished_at else [(current["_id"],)])


def _assert_chain(transitions: list[Any], status: str) -> None:
    assert transitions
    assert transitions[0][0] == ""
    for (_, reached, _, _), (left, _, _, _) in pairwise(transitions):
        assert left == reached, transitions
    assert transitions[-1][1] == status


def _happened(workspace: Workspace) -> dict[str, list[tuple[str, bool]]]:
    """Return the steps of each operation in their order, each with `valid`."""
    happened: dict[str, list[tuple[str, bool]]] = {}
    for entry in workspace.log:
        if entry.operation_id is None:
            continue
        steps = happened.setdefault(entry.operation_id, [])
        step = (str(entry.status), bool(entry.valid))
        if step not in steps[-1:]:
            steps.append(step)
    return happened
