"""How old what is told is, and how well the workspaces can be looked at."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from importmonitor.models import ImportOperation
from tests.admin.helpers import make_row
from tests.api.helpers import NOON, RUNNING, sync, sync_nothing, sync_refused, workspace_at
from tests.api.rest.asking import OPERATIONS, WORKSPACES, Asking, detail

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _two_workspaces(settings: Any) -> None:
    settings.IMPORTMONITOR = {
        "WORKSPACES": {
            "default": workspace_at("http://127.0.0.1:9"),
            "acme": workspace_at("http://127.0.0.1:9/acme"),
        },
        "UNREACHABLE_AFTER": 5 * MINUTE,
    }


def ages(asking: Asking) -> dict[str, Any]:
    """Return what is told of the age of each operation and workspace, by its workspace."""
    listed = {each["workspace"]: each["sync"] for each in asking.rows(OPERATIONS)}
    alone = {
        each.workspace: asking.body(detail(each.pk))["sync"]
        for each in ImportOperation.objects.all()
    }
    assert alone == listed
    of_workspaces = {each["workspace"]: each["sync"] for each in asking.rows(WORKSPACES)}
    assert {alias: of_workspaces[alias] for alias in listed} == listed
    return listed


def test_ages(asking: Asking) -> None:
    sync(RUNNING, at=NOON)
    sync(RUNNING, at=NOON, alias="acme")
    sync_refused(at=NOON + 2 * MINUTE, alias="acme")
    at_noon = {"synced_at": "2026-03-25T12:00:00Z"}
    with time_machine.travel(NOON + 3 * MINUTE, tick=False):
        assert ages(asking) == {
            "default": at_noon | {"state": "ok", "age_seconds": 180},
            "acme": at_noon | {"state": "failing", "age_seconds": 180},
        }
    with time_machine.travel(NOON + 11 * MINUTE, tick=False):
        assert ages(asking)["default"] == at_noon | {"state": "stale", "age_seconds": 660}
    # A clock that was set back.
    with time_machine.travel(NOON - MINUTE, tick=False):
        assert ages(asking)["default"]["age_seconds"] == 0


def test_never_looked_at(asking: Asking) -> None:
    make_row().save()
    never = {"state": "stale", "synced_at": None, "age_seconds": None}
    assert ages(asking) == {"default": never}


def test_workspaces(asking: Asking) -> None:
    with time_machine.travel(NOON + 3 * MINUTE, tick=False):
        before = asking.body(WORKSPACES)
        nothing: dict[str, Any] = {
            "sync": {"state": "stale", "synced_at": None, "age_seconds": None},
            "outcome": None,
            "message": "",
            "since": None,
            "synced_at": None,
            "polls": 0,
            "operation": None,
        }
        assert before == {
            "count": 2,
            "next": None,
            "previous": None,
            "results": [{"workspace": alias, **nothing} for alias in ("default", "acme")],
        }
        sync(RUNNING, at=NOON)
        sync_refused(at=NOON + MINUTE)
        sync_refused(at=NOON + 2 * MINUTE)
        sync_nothing(at=NOON, alias="acme")
        sync_nothing(at=NOON + MINUTE, alias="acme")
        default, acme = asking.rows(WORKSPACES)
        (operation,) = asking.rows(OPERATIONS)
    assert "must be logged in" in default.pop("message")
    assert default == {
        "workspace": "default",
        "sync": {"state": "failing", "synced_at": "2026-03-25T12:00:00Z", "age_seconds": 180},
        "outcome": "Unauthenticated",
        "since": "2026-03-25T12:01:00Z",
        "synced_at": "2026-03-25T12:02:00Z",
        "polls": 2,
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
        "operation": None,
    }


def test_the_current_operation_is_the_newest(asking: Asking) -> None:
    newest = {**RUNNING, "_id": "newest00000000001", "ts": "2026-03-25T11:59:00.000Z"}
    sync(newest, at=NOON)
    ImportOperation.objects.bulk_create(make_row(minutes + 2) for minutes in range(3))
    make_row(-9, workspace="acme").save()
    default, acme = asking.rows(WORKSPACES)
    assert default["operation"]["remote_id"] == "newest00000000001"
    # That nobody has looked at it yet is told; what is stored all the same is not.
    assert acme["operation"] is None
    assert "payload" not in default["operation"]


def test_a_workspace_that_is_no_longer_configured(asking: Asking, settings: Any) -> None:
    sync(RUNNING, at=NOON)
    settings.IMPORTMONITOR = {"WORKSPACES": {}}
    assert asking.body(WORKSPACES) == {"count": 0, "next": None, "previous": None, "results": []}
    assert [each["workspace"] for each in asking.rows(OPERATIONS)] == ["default"]


def test_wrong_settings_keep_nothing_back(asking: Asking, settings: Any) -> None:
    sync(RUNNING, at=NOON)
    settings.IMPORTMONITOR = {"WORKSPACES": {"default": {"URL": "nonsense"}}, "TYPO": 1}
    (found,) = asking.rows(WORKSPACES)
    assert found["operation"]["remote_id"] == RUNNING["_id"]
