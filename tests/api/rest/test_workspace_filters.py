"""The filters of the list of workspaces agree with what the list says of each."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
import time_machine
from django.db import connection

from importmonitor.models import ImportOperation, Workspace
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, workspace_at
from tests.api.rest.api_client import WORKSPACES, ApiClient, problem

HOUR = timedelta(hours=1)
#: The current operations, by what they are like.
OPERATIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "running": {"finished_at": None, "outcome": ""},
    "stalled": {"finished_at": None, "outcome": "", "stalled_since": NOON},
    "waiting": {"finished_at": None, "outcome": "", "state": "ready", "status": "file_loaded"},
    "done": {"end_reason": "done", "state": "done", "status": "importer_done"},
    "failed": {"end_reason": "failed", "state": "error", "status": "importer_import_failed"},
}
POLLS: dict[str, dict[str, Any]] = {
    "recent": {"sync_status": "ok", "last_polled_at": NOON},
    "late": {"sync_status": "ok", "last_polled_at": NOON - HOUR},
    "ahead": {"sync_status": "ok", "last_polled_at": NOON + HOUR},
    "empty": {"sync_status": "empty", "last_polled_at": NOON},
    "failing": {"sync_status": "Unreachable", "last_polled_at": NOON},
    "failing_late": {"sync_status": "Unauthenticated", "last_polled_at": NOON - HOUR},
}
#: What each filter means, by what the list says.
MEANINGS: dict[tuple[str, str], Callable[[dict[str, Any]], bool]] = {
    ("status", "ok"): lambda row: row["sync"]["state"] == "ok",
    ("status", "stale"): lambda row: row["sync"]["state"] == "stale",
    ("status", "failing"): lambda row: row["sync"]["state"] == "failing",
    ("status", "never"): lambda row: row["synced_at"] is None,
    ("failing", "true"): lambda row: row["sync"]["state"] == "failing",
    ("failing", "false"): lambda row: row["sync"]["state"] != "failing",
    ("active", "true"): lambda row: bool(row["operation"] and not row["operation"]["outcome"]),
    ("active", "false"): lambda row: not row["operation"] or bool(row["operation"]["outcome"]),
    ("search", "running"): lambda row: row["workspace"].startswith("running"),
    ("search", "RUNNING-l"): lambda row: row["workspace"].startswith("running-l"),
    ("search", "running-late"): lambda row: row["workspace"] == "running-late",
    ("search", "failing_"): lambda row: row["workspace"].startswith("failing_"),
    ("search", "late"): lambda _row: False,
    ("search", "%"): lambda _row: False,
    ("search", "_"): lambda _row: False,
}
EMPTY = {("search", "late"), ("search", "%"), ("search", "_")}


@pytest.fixture
def rows(api: ApiClient, settings: Any) -> list[dict[str, Any]]:
    """The list of workspaces of all kinds."""
    workspaces = [Workspace(alias="never"), Workspace(alias="failing_-never")]
    for name, poll in product(OPERATIONS, POLLS):
        values = OPERATIONS[name]
        if values is not None:
            make_row(workspace=f"{name}-{poll}", remote_id=f"{name}-{poll}", **values).save()
        operation = ImportOperation.objects.order_by("-pk").first() if values else None
        workspace = Workspace(alias=f"{name}-{poll}", current_operation=operation, **POLLS[poll])
        workspace.summarize()
        workspaces.append(workspace)
    Workspace.objects.bulk_create(workspaces)
    Workspace.objects.create(alias="running-gone", is_configured=False)
    options = workspace_at("http://127.0.0.1:9")
    aliases = [*(workspace.alias for workspace in workspaces), "running-gone"]
    settings.IMPORTMONITOR = {"WORKSPACES": dict.fromkeys(aliases, options)}
    with time_machine.travel(NOON, tick=False):
        return api.rows(WORKSPACES)


@pytest.mark.parametrize("few", [0, 300])
def test_filters_return_the_matching_workspaces(
    api: ApiClient, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Whether as few as these are named in the query, or not."""
    monkeypatch.setattr("importmonitor.models.workspace_queries._FEW", few)
    assert len(rows) == 2 + len(OPERATIONS) * len(POLLS)
    for (name, value), is_match in MEANINGS.items():
        with time_machine.travel(NOON, tick=False):
            filtered = api.rows(WORKSPACES, {name: value})
        expected = [row for row in rows if is_match(row)]
        assert filtered == expected, (name, value)
        assert bool(expected) == ((name, value) not in EMPTY), (name, value)


def test_filters_are_combined_with_and(api: ApiClient, rows: list[dict[str, Any]]) -> None:
    with time_machine.travel(NOON, tick=False):
        parameters = {"status": "stale", "active": "true", "failing": "false", "search": "stalled"}
        aliases = [row["workspace"] for row in api.rows(WORKSPACES, parameters)]
    assert aliases == ["stalled-late", "stalled-ahead"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("status", value) for value in ("OK", "empty", "Unreachable", "x")),
        *((name, value) for name in ("active", "failing") for value in ("1", "yes", "TRUE", "x")),
        ("search", "\0"),
        *((name, "") for name in ("status", "active", "failing", "search")),
    ],
)
def test_unknown_value_is_400(api: ApiClient, name: str, value: str) -> None:
    error = problem(api.get(WORKSPACES, {name: value}), 400)
    assert list(error["errors"]) == [name]


QUERIES = ("status=failing", "status=stale", "status=never", "active=true", "search=w1")


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("query", QUERIES)
def test_few_are_read_by_an_index(api: ApiClient, rows: list[dict[str, Any]], query: str) -> None:
    """No page walks all rows to find that few match."""
    assert not any(step.startswith("SCAN") for step in plan_of(api, query))


@pytest.mark.thorough(one_in=3)
@pytest.mark.parametrize("query", QUERIES[:-1])
def test_many_are_not_sorted(
    api: ApiClient, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """No page reads all that match to sort them."""
    monkeypatch.setattr("importmonitor.models.workspace_queries._FEW", 0)
    assert not any("ORDER BY" in step for step in plan_of(api, query))


def plan_of(api: ApiClient, query: str) -> list[str]:
    """Return the steps of SQLite's plan for the statement that reads a page."""
    if connection.vendor != "sqlite":
        pytest.skip("the plan of SQLite")
    statements: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "ORDER BY" in sql and 'FROM "importmonitor_workspace"' in sql:
            statements.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(record):
        api.rows(f"{WORKSPACES}?{query}")
    [(sql, parameters)] = statements
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        plan = [row[3] for row in cursor.fetchall()]
    assert plan
    return plan
