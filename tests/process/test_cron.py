"""`manage.py sync_import_status` as cron runs it: what it says, where, and its exit status."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulator.workspace import Workspace
from tests.commands.test_sync_import_status import KEYS, OPERATION_KEYS
from tests.process.processes import PATIENCE, Project, finished

if TYPE_CHECKING:
    from subprocess import CompletedProcess

SYNC = ("manage.py", "sync_import_status")


def assert_refused(ended: "CompletedProcess[str]", status: int, *words: str) -> None:
    """Assert that it ended with a status and with words on stderr, and nothing else."""
    assert (ended.returncode, ended.stdout) == (status, "")
    for word in words:
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.long
def test_silent_on_success(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv")
    ended = project.sync("--verbosity", "0", "--fail-on-import-error")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    [(polls,)] = project.database.execute("SELECT polls FROM importmonitor_syncperiod")
    assert polls == 1


def test_an_interrupted_import(project: Project, workspace: Workspace) -> None:
    workspace.start_import("csv")
    workspace.restart()
    ended = project.sync("--fail-on-import-error")
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout.startswith("default: ")
    assert "interrupted" in ended.stdout
    assert ended.stdout.count("\n") == 1
    again = project.sync()
    assert (again.returncode, again.stdout, again.stderr) == (0, ended.stdout, "")


def test_refused(project: Project) -> None:
    ended = project.sync(
        "--verbosity", "0", "--fail-on-import-error", ROCKETCHAT_AUTH_TOKEN="outdated-token"
    )
    assert ended.returncode == 1
    assert ended.stdout == "default: sync failed (Unauthenticated)\n"
    assert ended.stderr.startswith("Unauthenticated: default: GET ")
    assert ended.stderr.count("\n") == 1
    assert "401" in ended.stderr
    assert "outdated-token" not in ended.stderr


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
def test_misused(
    project: Project,
    arguments: tuple[str, ...],
    changes: dict[str, str | None],
    words: tuple[str, ...],
) -> None:
    ended = project.sync("--verbosity", "0", *arguments, **changes)
    assert_refused(ended, 2, *words)
    assert "token-of-the-monitor" not in ended.stderr


def test_without_tables(unmigrated: Project, workspace: Workspace) -> None:
    ended = unmigrated.sync()
    assert_refused(ended, 1, "manage.py migrate")
    assert ended.stderr.count("\n") == 1
    assert not workspace.requests


@pytest.mark.long
def test_one_object_a_line(project: Project, workspace: Workspace) -> None:
    operation_id = workspace.start_import("csv", "done", 60, records=100)
    workspace.clock.advance(61)
    ended = project.sync("--format", "json")
    assert (ended.returncode, ended.stderr) == (0, "")
    [line] = ended.stdout.splitlines()
    told = json.loads(line)
    assert set(told) == KEYS
    assert (told["workspace"], told["ok"], told["skipped"], told["error"]) == (
        "default",
        True,
        None,
        None,
    )
    operation = told["operation"]
    assert set(operation) == OPERATION_KEYS
    assert operation["remote_id"] == operation_id
    assert (operation["outcome"], operation["percent"]) == ("done", 100)
    assert operation["counters"]["completed"] == 100
    assert len(told["changes"]) == 1


def test_dry_run_writes_nothing(project: Project, workspace: Workspace) -> None:
    operation_id = workspace.start_import("csv")
    before = project.database.contents()
    ended = project.sync("--dry-run")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"would change: new operation {operation_id}\n" in ended.stdout
    assert workspace.requests.total() == 2  # the current operation and, since it is new, the list
    assert project.database.contents() == before
    assert before["importmonitor_importoperation"] == before["importmonitor_synclease"] == []


def test_a_locked_database_is_waited_for(project: Project) -> None:
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
    ended = finished(process)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "default: nothing was ever imported\n"


def wait_until_opened(pid: int, path: str) -> None:
    """Wait until a process has a file open."""
    ends_at = time.monotonic() + PATIENCE
    while time.monotonic() < ends_at:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(descriptor.readlink()) == path:
                    return
            except OSError:
                continue  # closed in the meantime
        time.sleep(0.01)
    raise AssertionError(f"{path} was never opened")
