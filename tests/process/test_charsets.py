"""Databases on MariaDB that are not full Unicode."""

import json
import os
import re
from pathlib import Path

import pytest

from simulator.server import Server
from simulator.workspace import Workspace
from tests.process.conftest import environment
from tests.process.databases import new_database
from tests.process.processes import Project, terminating
from tests.remote.servers import Server as FailingServer
from tests.remote.servers import answering, http

pytestmark = pytest.mark.skipif(
    not os.environ.get("TEST_DATABASE_URL", "").startswith("mysql"),
    reason="MySQL and MariaDB alone have character sets for columns",
)

CHECK = ("manage.py", "check", "--database", "default")


NAME = "Отчёт 😀.zip"
ERROR = http("<h1>Ошибка 😀</h1>", 404, "text/html; charset=utf-8")


@pytest.mark.parametrize("charset", ["latin1", "utf8mb3"])
def test_unstorable_texts_are_left_out_and_the_rest_is_stored(
    tmp_path: Path, server: Server, workspace: Workspace, charset: str
) -> None:
    workspace.start_import("csv", "waiting", 0.1, file_name=NAME)
    with new_database(tmp_path, charset) as database:
        project = Project(database, environment(database, server.url))
        with terminating(project.started):
            result = project.run("manage.py", "migrate", "--verbosity", "0")
            assert result.returncode == 0, result.stderr
            for _ in range(2):
                result = project.sync("--format", "json")
                assert (result.returncode, result.stderr) == (0, "")
            # The second poll finds nothing new.
            assert json.loads(result.stdout)["changes"] == []
            statement = "SELECT file, unreadable, payload FROM importmonitor_importoperation"
            [(file, unreadable, payload)] = database.execute(statement)
            assert (file, json.loads(str(unreadable))) == ("", ["file"])
            assert json.loads(str(payload))["file"].endswith(NAME)
            with FailingServer(answering(ERROR)) as failing:
                assert project.sync(ROCKETCHAT_URL=failing.url).returncode == 1
            [(message,)] = database.execute("SELECT message FROM importmonitor_workspace")
            assert ("Ошибка ?" if charset == "utf8mb3" else "?????? ?") in str(message)
            # The check says what to do, and that is right.
            warnings = project.run(*CHECK).stderr
            assert f"importmonitor_importoperation.file ({charset})" in warnings
            for statement_to_run in re.findall(r"ALTER TABLE [^;]+;", warnings):
                database.execute(statement_to_run)
            assert "importmonitor.W004" not in project.run(*CHECK).stderr
            assert project.sync().returncode == 0
            [(file, unreadable, _)] = database.execute(statement)
            assert str(file).endswith(NAME)
            assert json.loads(str(unreadable)) == []
