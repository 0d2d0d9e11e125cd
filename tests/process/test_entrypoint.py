"""The entry point of the image: migrations by several processes at once, and the health checks."""

import pytest

from simulator.workspace import Workspace
from tests.process.processes import Project, wait_for

MIGRATE = "from project.entrypoint import migrate, setup; setup(); migrate()"
HOLD = """
from project.entrypoint import migration_lock, setup
setup()
from django.db import connection
with migration_lock(connection):
    print("held", flush=True)
    input()
"""


@pytest.mark.long
def test_processes_that_start_together_migrate_one_at_a_time(unmigrated: Project) -> None:
    processes = [unmigrated.start("-c", MIGRATE) for _ in range(3)]
    results = [wait_for(process) for process in processes]
    assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 3
    applied = [result.stdout.count("Applying importmonitor.0001") for result in results]
    assert sorted(applied) == [0, 0, 1]


def test_lock_of_a_killed_process_is_free(unmigrated: Project) -> None:
    holder = unmigrated.start("-c", HOLD)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = unmigrated.start("-c", HOLD)
    holder.kill()
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "held\n"


@pytest.mark.long
def test_watch_is_healthy_once_it_has_polled(project: Project, workspace: Workspace) -> None:
    check = ("-m", "project.entrypoint", "healthcheck", "watch")
    assert project.run(*check).returncode == 1
    project.sync()
    assert project.run(*check).returncode == 0
    # A workspace that is down says nothing about the watch.
    workspace.outage = 502
    project.sync()
    assert project.run(*check).returncode == 0
    project.database.execute(
        "UPDATE importmonitor_workspace SET last_polled_at = '2020-01-01 00:00:00'"
    )
    assert project.run(*check).returncode == 1


def test_web_that_does_not_respond_is_unhealthy(project: Project) -> None:
    result = project.run("-m", "project.entrypoint", "healthcheck", BIND="0.0.0.0:9")
    assert (result.returncode, result.stderr) == (1, "[Errno 111] Connection refused\n")


@pytest.mark.parametrize("arguments", [(), ("serve",), ("healthcheck", "beat")])
def test_unknown_role_is_refused(project: Project, arguments: tuple[str, ...]) -> None:
    result = project.run("-m", "project.entrypoint", *arguments)
    assert result.returncode == 2
    assert "ROLE [ARGUMENT...]" in result.stderr


def test_mistake_in_the_settings_is_one_line(project: Project) -> None:
    result = project.run("-m", "project.entrypoint", "web", MIGRATE_ON_START="perhaps")
    message = "MIGRATE_ON_START is 'perhaps': set it to on or off.\n"
    assert (result.returncode, result.stderr) == (2, message)


def test_arguments_are_passed_on(project: Project) -> None:
    result = project.run(
        "-m", "project.entrypoint", "manage", "sync_import_status", "--verbosity=0"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
