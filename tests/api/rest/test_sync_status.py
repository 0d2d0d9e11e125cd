"""The age of the data, and the sync status of the workspaces."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from importmonitor.models import ImportOperation
from importmonitor.sync.register import register_configured
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, RUNNING, sync, sync_nothing, sync_refused, workspace_at
from tests.api.rest.api_client import OPERATIONS, WORKSPACES, ApiClient, detail_url

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _two_workspaces(db: None, settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        },
        "UNREACHABLE_AFTER": 5 * MINUTE,
    }
    register_configured()


def sync_by_workspace(api: ApiClient) -> dict[str, Any]:
    """Return the sync status of each operation and workspace, by workspace."""
    listed = {row["workspace"]: row["sync"] for row in api.rows(OPERATIONS)}
    alone = {
        operation.workspace: api.body(detail_url(operation.pk))["sync"]
        for operation in ImportOperation.objects.all()
    }
    assert alone == listed
    of_workspaces = {row["workspace"]: row["sync"] for row in api.rows(WORKSPACES)}
    assert {alias: of_workspaces[alias] for alias in listed} == listed
    return listed


def test_sync_status_and_age(api: ApiClient) -> None:
    sync(RUNNING, at=NOON)
    sync(RUNNING, at=NOON, alias="acme")
    sync_refused(at=NOON + 2 * MINUTE, alias="acme")
    at_noon = {"synced_at": "2026-03-25T12:00:00Z"}
    with time_machine.travel(NOON + 3 * MINUTE, tick=False):
        assert sync_by_workspace(api) == {
            "default": at_noon | {"state": "ok", "age_seconds": 180},
            "acme": at_noon | {"state": "failing", "age_seconds": 180},
        }
    with time_machine.travel(NOON + 11 * MINUTE, tick=False):
        assert sync_by_workspace(api)["default"] == at_noon | {"state": "stale", "age_seconds": 660}
    # No negative age if the clock was set back.
    with time_machine.travel(NOON - MINUTE, tick=False):
        assert sync_by_workspace(api)["default"]["age_seconds"] == 0


def test_unpolled_workspace_is_stale(api: ApiClient) -> None:
    make_row().save()
    never = {"state": "stale", "synced_at": None, "age_seconds": None}
    assert sync_by_workspace(api) == {"default": never}


def test_workspaces_have_all_fields(api: ApiClient) -> None:
    with time_machine.travel(NOON + 3 * MINUTE, tick=False):
        before = api.body(WORKSPACES)
        nothing: dict[str, Any] = {
            "sync": {"state": "stale", "synced_at": None, "age_seconds": None},
            "outcome": None,
            "message": "",
            "since": None,
            "synced_at": None,
            "polls": 0,
            "clock_offset_seconds": None,
            "list_refused": "",
            "operation": None,
        }
        assert before == {
            "next": None,
            "previous": None,
            "results": [{"workspace": alias, **nothing} for alias in ("default", "acme")],
        }
        sync(RUNNING, at=NOON)
        sync_refused(at=NOON + MINUTE)
        sync_refused(at=NOON + 2 * MINUTE)
        sync_nothing(at=NOON, alias="acme")
        sync_nothing(at=NOON + MINUTE, alias="acme")
        default, acme = api.rows(WORKSPACES)
        (operation,) = api.rows(OPERATIONS)
    assert "must be logged in" in default.pop("message")
    assert default == {
        "workspace": "default",
        "sync": {"state": "failing", "synced_at": "2026-03-25T12:00:00Z", "age_seconds": 180},
        "outcome": "Unauthenticated",
        "since": "2026-03-25T12:01:00Z",
        "synced_at": "2026-03-25T12:02:00Z",
        "polls": 2,
        "clock_offset_seconds": None,
        "list_refused": "",
        "operation": operation,
    }
    assert acme == {
        "workspace": "acme",
        "sync": {"state": "ok", "synced_at": "2026-03-25T12:01:00Z", "age_seconds": 120},
        "outcome": "empty",
        "message": "",
        "since": "2026-03-25T12:00:00Z",
        "synced_at": "2026-03-25T12:01:00Z",
        "polls": 2,
        "clock_offset_seconds": None,
        "list_refused": "",
        "operation": None,
    }


def test_current_operation_is_the_newest(api: ApiClient) -> None:
    newest = {**RUNNING, "_id": "newest00000000001", "ts": "2026-03-25T11:59:00.000Z"}
    sync(newest, at=NOON)
    ImportOperation.objects.bulk_create(make_row(minutes + 2) for minutes in range(3))
    make_row(-9, workspace="acme").save()
    default, acme = api.rows(WORKSPACES)
    assert default["operation"]["remote_id"] == "newest00000000001"
    # Its operations are not shown before its first poll.
    assert acme["operation"] is None
    assert "payload" not in default["operation"]


def test_removed_workspace_keeps_its_operations(api: ApiClient, settings: Any) -> None:
    sync(RUNNING, at=NOON)
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    assert api.body(WORKSPACES) == {"next": None, "previous": None, "results": []}
    assert [row["workspace"] for row in api.rows(OPERATIONS)] == ["default"]


def test_wrong_settings_hide_nothing(api: ApiClient, settings: Any) -> None:
    sync(RUNNING, at=NOON)
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": {"URL": "nonsense"}}, "TYPO": 1}
    (workspace,) = api.rows(WORKSPACES)
    assert workspace["operation"]["remote_id"] == RUNNING["_id"]
