"""The procedures of docs/operations.md, run as they are there.

Only the folders are others, and no user is created or changed to. What `systemctl` is called with
is recorded.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.server import Server
from simulator.workspace import Workspace
from tests.process.processes import BASE_DIR, PATIENCE, Project

PAGE = BASE_DIR / "docs" / "operations.md"
UNITS = {path.name for path in (BASE_DIR / "deploy" / "systemd").glob("*.*") if path.is_file()}
PROGRAMS = {
    "useradd": "",
    "systemctl": 'echo "$@" >>"$SYSTEMCTL_LOG"',
    "runuser": 'shift 3; PATH=${PATH#*:} exec "$@"',
    "date": "echo 2026-11-29T043000",
}
HISTORY = "SELECT workspace, remote_id, outcome FROM importmonitor_importoperation ORDER BY 1, 2"


@dataclass
class Installation:
    """A server as docs/operations.md sets it up, with other folders."""

    project: Project
    folder: Path
    replacements: dict[str, str]

    @property
    def systemctl_calls(self) -> list[str]:
        """What it was called with; all units are ones that are shipped."""
        calls = (self.folder / "systemctl.log").read_text().splitlines()
        for _command, *units in map(str.split, calls):
            assert {unit if "." in unit else f"{unit}.service" for unit in units} <= UNITS
        return calls

    def write(self, name: str, text: str) -> None:
        (self.folder / "etc" / name).write_text(text)

    def set_variables(self, **variables: str) -> None:
        lines = (f"{name}={value!r}\n" for name, value in variables.items())
        self.write("environment", "".join(lines))

    def run(self, script: str, stdin: str = "", **replacements: str) -> str:
        """Run a script with the paths replaced; return its output."""
        for old, new in (self.replacements | replacements).items():
            script = script.replace(old, new)
        process = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "SYSTEMCTL_LOG": str(self.folder / "systemctl.log"),
            },
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout + process.stderr

    def manage(self, *arguments: str) -> str:
        return self.run(" ".join(["/srv/importmonitor/deploy/manage", *arguments]))

    def sync(self) -> list[str]:
        """Poll; return which workspaces' imports changed."""
        lines = self.manage("sync_import_status", "--format", "json").splitlines()
        return [result["workspace"] for result in map(json.loads, lines) if result["changes"]]


@pytest.fixture
def installation(project: Project, tmp_path: Path) -> Installation:
    environment, folder = project.environment, tmp_path
    if project.database.kind == "mysql":
        pytest.skip("documented for SQLite and PostgreSQL")
    for name in ("bin", "etc", "backups", "srv", "units"):
        (folder / name).mkdir()
    programs = dict(PROGRAMS)
    if shutil.which("sqlite3") is None:
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])"
        programs["sqlite3"] = f'{sys.executable} -c "{code}" "$@"'
    replacements = {
        "/srv/importmonitor/deploy/manage": str(folder / "bin" / "manage"),
        "/srv/importmonitor-0.2.0/deploy/manage": str(folder / "bin" / "manage"),
        "/srv/": f"{folder}/srv/",
        "/etc/systemd/system": str(folder / "units"),
        "/etc/importmonitor": str(folder / "etc"),
        "/var/backups/importmonitor": str(folder / "backups"),
        # As `new_database` names the file.
        "/var/lib/importmonitor/db.sqlite3": environment["DATABASE_URL"].removeprefix("sqlite:///"),
        "/var/lib/importmonitor": str(folder / "lib"),
        " -o importmonitor": "",
    }
    manage = (BASE_DIR / "deploy" / "manage").read_text().partition("\n")[2]
    for old, new in {
        "/etc/importmonitor": str(folder / "etc"),
        '"$(dirname "$0")/.."': str(BASE_DIR),
        ".venv/bin/python": sys.executable,
    }.items():
        assert old in manage
        manage = manage.replace(old, new)
    programs["manage"] = manage
    for name, code in programs.items():
        path = folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(stat.S_IRWXU)
    installation = Installation(project, folder, replacements)
    installation.set_variables(
        ENV_FILE=os.devnull,
        ROCKETCHAT_URL=environment["ROCKETCHAT_URL"],
        ROCKETCHAT_USER_ID=environment["ROCKETCHAT_USER_ID"],
    )
    installation.write("secret-key", "only for tests\n")
    installation.write("database-url", environment["DATABASE_URL"] + "\n")
    installation.write("rocketchat-token", environment["ROCKETCHAT_AUTH_TOKEN"] + "\n")
    return installation


def scripts(title: str, database: str = "sqlite") -> list[str]:
    """Return the blocks of a section, without those for another database."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    other = "# PostgreSQL" if database == "sqlite" else "# SQLite"
    blocks = [block for block in blocks if not block.startswith(other)]
    assert blocks, title
    return blocks


@pytest.mark.parametrize(
    ("title", "release"), [("Install", "0.1.0"), ("Upgrade without downtime", "0.2.0")]
)
@pytest.mark.long
def test_release_is_installed(installation: Installation, title: str, release: str) -> None:
    """The rest of an upgrade: test_upgrade.py, and the restart in test_gunicorn.py."""
    (installation.folder / "srv" / f"importmonitor-{release}").symlink_to(BASE_DIR)
    [script] = scripts(title)
    installation.run(script)
    assert (installation.folder / "srv" / "importmonitor").readlink().name.endswith(release)
    assert {path.name for path in (installation.folder / "units").glob("*.*")} >= UNITS
    if title != "Install":
        *_, restart = installation.systemctl_calls
        assert restart == "restart importmonitor-web importmonitor-watch"


@pytest.mark.long
def test_backup_is_restored(installation: Installation, workspace: Workspace) -> None:
    database = installation.project.database
    if database.kind == "postgres" and not (shutil.which("pg_dump") and shutil.which("psql")):
        pytest.skip("needs PostgreSQL's client programs")
    workspace.start_import("csv", seconds=0.1)
    assert installation.sync() == ["default"]
    [script] = scripts("Back up", database.kind)
    # SQLite: while another connection uses the file, and what it wrote is in the WAL alone.
    connection = database.connect()
    cursor = connection.cursor()
    cursor.execute("UPDATE importmonitor_importoperation SET note = 'checked'")
    connection.commit()
    installation.run(script)
    before = database.contents()
    workspace.start_import("slack", seconds=0.1)
    assert installation.sync() == ["default"]
    cursor.execute("DELETE FROM importmonitor_statustransition")
    connection.commit()
    connection.close()
    assert database.contents() != before

    stop, restore, start = scripts("Restore", database.kind)
    installation.run(stop)
    installation.run(restore)
    assert database.contents() == before
    if database.kind == "sqlite":
        assert database.execute("PRAGMA integrity_check") == [("ok",)]
    installation.run(start)
    assert [call.split()[0] for call in installation.systemctl_calls] == ["stop", "start"]
    # It works, and catches up with what was imported since.
    assert installation.sync() == ["default"]
    assert len(database.execute(HISTORY)) == 2
    assert database.execute(
        "SELECT COUNT(*) FROM importmonitor_importoperation WHERE note = 'checked'"
    ) == [(1,)]


@pytest.mark.long
def test_token_is_rotated(installation: Installation, workspace: Workspace) -> None:
    workspace.start_import("csv", seconds=0.1)
    assert installation.sync() == ["default"]
    [script] = scripts("Rotate Rocket.Chat's token")
    workspace.add_user("monitor", "another-token-of-the-monitor")
    output = installation.run(script, stdin="another-token-of-the-monitor\n")
    assert "another-token" not in output
    assert installation.systemctl_calls == ["restart importmonitor-web importmonitor-watch"]
    path = installation.folder / "etc" / "rocketchat-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert installation.sync() == []


@pytest.mark.long
def test_workspace_is_moved(installation: Installation, workspace: Workspace) -> None:
    workspace.start_import("csv", seconds=0.1)
    assert installation.sync() == ["default"]
    database = installation.project.database
    before = database.execute(HISTORY)
    [script] = scripts("Move a workspace to another URL")
    with Server(workspace) as server:
        installation.run(script, **{"https://chat.example.com": server.url})
        assert server.url in (installation.folder / "etc" / "environment").read_text()
        assert installation.sync() == []
        assert database.execute(HISTORY) == before
        workspace.start_import("slack", seconds=0.1)
        assert installation.sync() == ["default"]
    assert len(database.execute(HISTORY)) == 2


@pytest.mark.long
def test_workspace_is_removed(installation: Installation, workspace: Workspace) -> None:
    environment = installation.project.environment
    names = ("ROCKETCHAT_URL", "ROCKETCHAT_USER_ID", "ROCKETCHAT_AUTH_TOKEN")
    url, user, token = (environment[name] for name in names)
    installation.set_variables(
        ENV_FILE=os.devnull,
        ROCKETCHAT_URL=url,
        ROCKETCHAT_USER_ID=user,
        ROCKETCHAT_WORKSPACES="acme",
        ROCKETCHAT_ACME_URL=url,
        ROCKETCHAT_ACME_USER_ID=user,
        ROCKETCHAT_ACME_AUTH_TOKEN=token,
    )
    workspace.start_import("csv", seconds=0.1)
    assert sorted(installation.sync()) == ["acme", "default"]
    [script] = scripts("Remove a workspace")
    output = installation.run(script, stdin="yes\n")
    assert "Would delete: workspace acme, operations 1," in output
    assert "Deleted: workspace acme, operations 1," in output
    assert installation.sync() == []
    for table in ("importoperation", "syncperiod"):
        rows = installation.project.database.execute(
            f"SELECT DISTINCT workspace FROM importmonitor_{table}"
        )
        assert rows == [("default",)]


@pytest.mark.long
def test_dead_channel_stops_no_poll(installation: Installation, workspace: Workspace) -> None:
    installation.set_variables(
        ENV_FILE=os.devnull,
        ROCKETCHAT_URL=installation.project.environment["ROCKETCHAT_URL"],
        ROCKETCHAT_USER_ID="monitor",
        IMPORTMONITOR_ALERT_EMAILS="ops@example.org",
        EMAIL_URL="smtp://127.0.0.1:9",
    )
    installation.sync()
    workspace.start_import("csv", seconds=0.1)
    assert installation.sync() == ["default"]
    statement = "SELECT delivery, last_error FROM importmonitor_alert WHERE event <> 'test'"
    alerts = installation.project.database.execute(statement)
    assert {delivery for delivery, _error in alerts} == {"due"}
    assert any("Connection" in str(error) for _delivery, error in alerts)
    [script] = scripts("When an alert channel is dead")
    output = installation.run(f"{script.strip()} || true")
    assert re.search(r"^email-\w{6}: .*[Cc]onnection", output, re.MULTILINE)
    # It works again.
    environment = installation.folder / "etc" / "environment"
    environment.write_text(environment.read_text().replace("smtp://127.0.0.1:9", "consolemail://"))
    assert "delivered" in installation.run(script)
    assert "Subject:" in installation.manage("sync_import_status")
    alerts = installation.project.database.execute(statement)
    assert {delivery for delivery, _error in alerts} == {"delivered"}
