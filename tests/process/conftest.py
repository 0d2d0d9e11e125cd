"""The host project as processes, and a simulated workspace in this one."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.process.databases import Database, new_database
from tests.process.processes import Project, SilentServer, clean_environment, terminating

#: Each before the ones that it refers to.
TABLES = (
    "importmonitor_workspace",
    "importmonitor_alert",
    "importmonitor_incident",
    "importmonitor_progresssample",
    "importmonitor_statustransition",
    "importmonitor_importoperation",
    "importmonitor_syncperiod",
    "importmonitor_apitoken",
    "auth_user",
)


@pytest.fixture
def workspace() -> Workspace:
    """A workspace without imports, in real time."""
    workspace = Workspace(Clock(datetime.now(UTC), speed=1.0), seed=3, rate_limit=None)
    workspace.add_user("monitor", "token-of-the-monitor")
    return workspace


@pytest.fixture
def server(workspace: Workspace) -> Iterator[Server]:
    with Server(workspace) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with tables, for all tests of a worker: creating them takes a second."""
    with new_database(tmp_path_factory.mktemp("database")) as database:
        project = Project(database, environment(database, "http://127.0.0.1:9"))
        with terminating(project.started):
            result = project.run("manage.py", "migrate", "--verbosity", "0")
            assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        yield database


@pytest.fixture
def project(migrated: Database, server: Server) -> Iterator[Project]:
    """The host project on an empty database, and the workspace that it monitors."""
    project = Project(migrated, environment(migrated, server.url))
    with terminating(project.started):
        yield project
    for table in TABLES:
        migrated.execute(f"DELETE FROM {table}")


@pytest.fixture
def unmigrated(tmp_path: Path, server: Server) -> Iterator[Project]:
    """The host project on a database without tables."""
    with new_database(tmp_path) as database:
        project = Project(database, environment(database, server.url))
        with terminating(project.started):
            yield project


@pytest.fixture
def silent_server() -> Iterator[SilentServer]:
    with SilentServer() as server:
        yield server


def environment(database: Database, url: str) -> dict[str, str]:
    return clean_environment() | {
        "SECRET_KEY": "only for tests",
        "ENV_FILE": os.devnull,
        "DATABASE_URL": database.url,
        "ROCKETCHAT_URL": url,
        "ROCKETCHAT_USER_ID": "monitor",
        "ROCKETCHAT_AUTH_TOKEN": "token-of-the-monitor",
    }
