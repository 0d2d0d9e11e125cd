"""`sync_import_status` in this process: options, output, exit statuses."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from importmonitor.management.output import operation_text
from importmonitor.models import ImportOperation, StatusTransition, SyncPeriod
from importmonitor.models import Workspace as WorkspaceRow
from simulator.server import Server
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID, configure

pytestmark = pytest.mark.django_db

KEYS = {
    "workspace",
    "ok",
    "skipped",
    "error",
    "operation",
    "changes",
    "polled_at",
    "duration_ms",
}
OPERATION_KEYS = {
    "remote_id",
    "type",
    "status",
    "state",
    "outcome",
    "valid",
    "counters",
    "percent",
    "seconds_left",
    "stalled",
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit status, stdout and stderr."""
    capsys.readouterr()
    status: Any = 0
    try:
        call_command("sync_import_status", *arguments)
    except SystemExit as error:
        status = error.code
    return status, *capsys.readouterr()


def test_import_is_one_line(rocketchat: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    rocketchat.start_import("csv", "overshoot", seconds=60, file_name="people.csv")
    rocketchat.clock.advance(60)
    operation = rocketchat.current()
    assert operation is not None
    count = operation["count"]
    # Rocket.Chat counts the users twice.
    completed, total = count["completed"] - count["users"], count["total"]
    assert run(capsys) == (
        0,
        f"default: CSV people.csv: done (importer_done), {completed:,} of {total:,}, 100 %\n",
        "",
    )


def test_workspace_without_imports_says_so(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys) == (0, "default: nothing was ever imported\n", "")


def test_verbosity_0_is_silent_on_success(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "--verbosity", "0") == (0, "", "")


def test_failed_sync_exits_with_1(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rocketchat.outage = 502
    status, out, err = run(capsys, "--verbosity", "0")
    assert (status, out) == (1, "default: sync failed (Unreachable)\n")
    assert err.startswith("Unreachable: default: GET http://127.0.0.1:")
    assert err.count("\n") == 1


def test_skipped_workspace_is_a_success(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = timezone.now().replace(microsecond=0) + timedelta(seconds=20)
    lease = WorkspaceRow.objects.create(alias="default", holder="another", expires_at=soon)
    assert run(capsys) == (0, "default: skipped, being synced by another process\n", "")
    status, out, _ = run(capsys, "--format", "json")
    assert (status, json.loads(out)["skipped"], json.loads(out)["ok"]) == (0, "leased", True)
    lease.delete()
    WorkspaceRow.objects.create(alias="default", not_before=soon)
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    assert out == f"default: skipped, rate limited by Rocket.Chat until {soon.isoformat()}\n"


def test_json_describes_the_result(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    remote_id = rocketchat.start_import("slack", seconds=600)
    rocketchat.clock.advance(400)
    status, out, err = run(capsys, "--format", "json")
    assert (status, err, out.count("\n")) == (0, "", 1)
    result = json.loads(out)
    assert set(result) == KEYS
    assert (result["workspace"], result["ok"], result["skipped"], result["error"]) == (
        "default",
        True,
        None,
        None,
    )
    operation = result["operation"]
    assert set(operation) == OPERATION_KEYS
    assert operation["remote_id"] == remote_id
    assert operation["state"] == "importing"
    assert operation["outcome"] is None
    assert operation["counters"]["total"] > operation["counters"]["completed"] > 0
    # Whether Rocket.Chat counts its users twice is not known yet.
    assert operation["percent"] is None
    (change,) = result["changes"]
    assert change["created"] is True
    assert change["fields"]["status"] == [None, operation["status"]]
    assert change["transitions"][0]["reason"] == "remote"


def test_json_describes_an_error(rocketchat: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    rocketchat.add_user(USER_ID, "another token")
    status, out, _err = run(capsys, "--format", "json")
    result = json.loads(out)
    assert status == 1
    assert (result["ok"], result["operation"], result["error"]["kind"]) == (
        False,
        None,
        "Unauthenticated",
    )
    assert "USER_ID and AUTH_TOKEN" in result["error"]["message"]


def test_dry_run_shows_changes_and_writes_nothing(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    remote_id = rocketchat.start_import("slack", seconds=600)
    _, out, _ = run(capsys, "--dry-run")
    assert out.endswith(f" | would change: new operation {remote_id}\n")
    for model in (ImportOperation, StatusTransition, SyncPeriod, WorkspaceRow):
        assert not model._default_manager.exists()
    run(capsys)
    assert run(capsys, "--dry-run")[1].endswith(" | would change: nothing\n")
    rocketchat.clock.advance(600)
    _, out, _ = run(capsys, "--dry-run")
    assert "would change: status importer_new → importer_done" in out


def test_fail_on_import_error_exits_with_3(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rocketchat.start_import("csv", seconds=600)
    rocketchat.clock.advance(300)
    assert run(capsys, "--fail-on-import-error")[0] == 0
    rocketchat.restart()
    status, out, _ = run(capsys, "--fail-on-import-error")
    assert status == 3
    assert ": interrupted (" in out
    assert run(capsys)[0] == 0
    rocketchat.outage = 500
    assert run(capsys, "--fail-on-import-error")[0] == 1


@pytest.mark.parametrize(
    ("setting", "arguments", "message"),
    [
        ({}, (), "No workspace is configured"),
        ({"WORKSPACES": {"default": {}}}, (), "has no URL"),
        (None, ("--workspace", "nope"), "There is no workspace 'nope'"),
    ],
)
def test_misuse_exits_with_2(settings: Any, setting: Any, arguments: Any, message: str) -> None:
    if setting is not None:
        settings.IMPORTMONITOR = setting
    with pytest.raises(CommandError, match=message) as error:
        call_command("sync_import_status", *arguments)
    assert error.value.returncode == 2


def test_unusable_database_exits_with_1(
    rocketchat: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise OperationalError("no such table: importmonitor_synclease")

    monkeypatch.setattr(
        "importmonitor.management.commands.sync_import_status.sync_workspace", refuse
    )
    status, out, err = run(capsys)
    assert (status, out) == (1, "")
    assert "migrate` been run" in err
    assert err.count("\n") == 1


def test_remote_text_cannot_control_the_terminal(
    rocketchat: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rocketchat.put_operation(
        {"_id": "A", "type": "\x1b[2J\r\nroot: all is well", "status": "importer_\x07new", "ts": 1}
    )
    _, out, _ = run(capsys)
    assert out.count("\n") == 1
    assert out[:-1].isprintable()


def test_output_never_contains_the_token(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings, "http://127.0.0.1:9")
    for arguments in ((), ("--format", "json"), ("--dry-run",), ("--verbosity", "3")):
        status, out, err = run(capsys, *arguments)
        assert status == 1
        assert AUTH_TOKEN not in out + err


def test_workspace_at_a_new_url_stays_the_same_workspace(
    workspace: Workspace, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.start_import("csv", seconds=600)
    for _ in range(2):
        with Server(workspace) as server:
            configure(settings, server.url)
            assert run(capsys)[0] == 0
    assert ImportOperation.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "A: importing"),
        ({"type": "CSV"}, "CSV: importing"),
        (
            {"finished_at": MONDAY, "status": "importer_done", "state": "done"}
            | {"end_reason": "done"},
            "A: done (importer_done)",
        ),
        (
            {"finished_at": MONDAY, "end_reason": "done", "state": "done", "count_error": 1_200},
            "A: done with errors, 1,200 errors",
        ),
        ({"count_completed": 50}, "A: importing, 50 of ?"),
        ({"count_completed": 50, "count_total": 0}, "A: importing, 50 of 0"),
        ({"count_completed": 13, "count_total": 135}, "A: importing, 13 of 135, 9 %"),
        (
            {"count_completed": 179, "count_total": 135, "users_twice": False},
            "A: importing, 179 of 135, 99 %",
        ),
        ({"stalled_since": MONDAY}, "A: importing, stalled"),
    ],
)
def test_operation_text(fields: dict[str, Any], text: str) -> None:
    operation = ImportOperation(**{"remote_id": "A", "state": "importing"} | fields)
    operation.outcome = operation.end_outcome()
    assert operation_text(operation, MONDAY) == text
    assert operation.needs_attention == ("stalled" in text)
