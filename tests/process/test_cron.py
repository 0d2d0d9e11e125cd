"""`manage.py sync_import_status` as cron runs it: its output and its exit status."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulator.workspace import Workspace
from tests.commands.test_sync_import_status import KEYS, OPERATION_KEYS
from tests.process.processes import PATIENCE, Project, wait_for

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SYNC = ("manage.py", "sync_import_status")


def assert_refused(result: "CompletedProcess[str]", status: int, *words: str) -> None:
    """Assert that a command result with this status, these words on stderr, and no traceback."""
    assert (result.returncode, result.stdout) == (status, "")
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_verbosity_0_is_silent_on_success(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv")
    result = project.sync("--verbosity", "0", "--fail-on-import-error")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    [(polls,)] = project.database.execute("SELECT period_polls FROM importmonitor_workspace")
    assert polls == 1


@pytest.mark.long
def test_interrupted_import_exits_with_3(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv")
    workspace.restart()
    result = project.sync("--fail-on-import-error")
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout.startswith("default: ")
    assert "interrupted" in result.stdout
    assert result.stdout.count("\n") == 1
    again = project.sync()
    assert (again.returncode, again.stdout, again.stderr) == (0, result.stdout, "")


def test_refused_token_exits_with_1(project: Project) -> None:
    result = project.sync(
        "--verbosity", "0", "--fail-on-import-error", ROCKETCHAT_AUTH_TOKEN="outdated-token"
    )
    assert result.returncode == 1
    assert result.stdout == "default: sync failed (Unauthenticated)\n"
    assert result.stderr.startswith("Unauthenticated: default: GET ")
    assert result.stderr.count("\n") == 1
    assert "401" in result.stderr
    assert "outdated-token" not in result.stderr


@pytest.mark.thorough(one_in=5)
@pytest.mark.parametrize(
    ("arguments", "changes", "words"),
    [
        pytest.param(
            (),
            {"ROCKETCHAT_URL": None, "ROCKETCHAT_USER_ID": None, "ROCKETCHAT_AUTH_TOKEN": None},
            ("No workspace is configured", "ROCKETCHAT_URL"),
            id="nothing-configured",
        ),
        pytest.param(("--workspace", "acme"), {}, ("acme", "default"), id="unknown-alias"),
        pytest.param(("--format", "yaml"), {}, ("--format", "json"), id="bad-option"),
        pytest.param((), {"ROCKETCHAT_URL": "chat.example.org"}, ("URL", "https://"), id="bad-url"),
        pytest.param((), {"SECRET_KEY": None}, ("SECRET_KEY is not set",), id="no-secret-key"),
    ],
)
def test_misuse_exits_with_2(
    project: Project,
    arguments: tuple[str, ...],
    changes: dict[str, str | None],
    words: tuple[str, ...],
) -> None:
    result = project.sync("--verbosity", "0", *arguments, **changes)
    assert_refused(result, 2, *words)
    assert "token-of-the-monitor" not in result.stderr


def test_missing_tables_exit_with_1(unmigrated: Project, workspace: Workspace) -> None:
    result = unmigrated.sync()
    assert_refused(result, 1, "manage.py migrate")
    assert result.stderr.count("\n") == 1
    assert not workspace.requests


@pytest.mark.long
def test_json_is_one_object_per_line(project: Project, workspace: Workspace) -> None:
    operation_id = workspace.start_import("csv", "done", 60, records=100)
    workspace.clock.advance(61)
    result = project.sync("--format", "json")
    assert (result.returncode, result.stderr) == (0, "")
    [line] = result.stdout.splitlines()
    values = json.loads(line)
    assert set(values) == KEYS
    assert (values["workspace"], values["ok"]) == ("default", True)
    assert (values["skipped"], values["error"]) == (None, None)
    operation = values["operation"]
    assert set(operation) == OPERATION_KEYS
    assert operation["remote_id"] == operation_id
    assert (operation["outcome"], operation["percent"]) == ("done", 100)
    # Rocket.Chat counts the users twice.
    assert operation["counters"]["completed"] == 110
    assert len(values["changes"]) == 1


def test_dry_run_writes_nothing(project: Project, workspace: Workspace) -> None:
    operation_id = workspace.start_import("csv")
    before = project.database.contents()
    result = project.sync("--dry-run")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"would change: new operation {operation_id}\n" in result.stdout
    # The current operation and, since it is new, the list and the name of its user.
    assert workspace.requests.total() == 3
    assert project.database.contents() == before
    assert before["importmonitor_importoperation"] == before["importmonitor_workspace"] == []


@pytest.mark.long
def test_command_waits_for_a_locked_database(project: Project) -> None:
    if project.database.kind != "sqlite":
        pytest.skip("only SQLite has one writer at a time")
    path = project.database.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        process = project.start(*SYNC)
        wait_until_opened(process.pid, path)
        time.sleep(1)
        assert process.poll() is None
        writer.execute("COMMIT")
    result = wait_for(process)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "default: nothing was ever imported\n"


def wait_until_opened(pid: int, path: str) -> None:
    """Wait until a process has a file open."""
    ends_at = time.monotonic() + PATIENCE
    while time.monotonic() < ends_at:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(descriptor.readlink()) == path:
                    return
            except OSError:
                continue  # It was closed meanwhile.
        time.sleep(0.01)
    raise AssertionError(f"{path} was never opened")
