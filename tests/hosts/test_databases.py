"""Hosts with several databases."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.conftest import AUTH_TOKEN, MONDAY, USER_ID
from tests.process.databases import Database
from tests.process.processes import Project, clean_environment, terminating

#: Creates the test databases as `manage.py test` does.
CREATE_TEST_DATABASES = (
    "import django; django.setup(); "
    "from django.test.utils import setup_databases, teardown_databases; "
    "teardown_databases(setup_databases(0, False), 0)"
)
SCOPE = (
    "import django; django.setup(); from importmonitor import tenancy; print(tenancy.get_scope())"
)
#: What a cron job, a user and a program do; prints what they get.
USE = """
import re
from contextlib import suppress
from unittest.mock import patch
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from importmonitor.models import ImportOperation
from importmonitor.sync import sync_workspace

ADMIN = "/admin/importmonitor/"

with patch("importmonitor.sync.record._record_poll", side_effect=RuntimeError):
    with suppress(RuntimeError):
        sync_workspace("default")
print("rows of a poll that failed:", ImportOperation.objects.count())
call_command("sync_import_status")

browser = Client()
browser.force_login(User.objects.get())
page = browser.get(ADMIN + "importoperation/", secure=True)
print("history:", page.status_code, b"acme.zip" in page.content)
form = {"name": "dashboard", "user": "boss", "expires_at_0": "", "expires_at_1": ""}
page = browser.post(ADMIN + "apitoken/add/", form, secure=True)
fields = dict(re.findall('<input id="(im-[a-z-]+)"[^>]* value="([^"]*)"', page.content.decode()))
headers = {"X-User-Id": fields["im-user-id"], "X-Auth-Token": fields["im-token"]}
response = Client().get("/api/v1/getCurrentImportOperation", headers=headers, secure=True)
print("endpoint:", response.status_code, response.json()["operation"]["status"])
operation = ImportOperation.objects.get()
url = f"{ADMIN}importoperation/{operation.pk}/change/"
page = browser.post(url, {"note": "ours"}, secure=True, follow=True)
print("note:", page.status_code, ImportOperation.objects.get().note)
print("healthz:", Client().get("/healthz", secure=True).status_code)
"""
USED = """\
rows of a poll that failed: 0
default: Slack acme.zip: importing (importer_importing_messages), 180 of 900
history: 200 True
endpoint: 200 importer_importing_messages
note: 200 ours
healthz: 200
"""


@pytest.fixture
def chat() -> Iterator[Server]:
    workspace = Workspace(Clock(MONDAY), seed=1, rate_limit=None)
    workspace.add_user(USER_ID, AUTH_TOKEN)
    workspace.start_import("slack", seconds=600, records=900, file_name="acme.zip")
    workspace.clock.advance(300)
    with Server(workspace) as server:
        yield server


@pytest.fixture
def host(tmp_path: Path, chat: Server) -> Iterator[Callable[..., Project]]:
    """Returns the host project with a router and a second database."""
    started: list[Project] = []

    def make(router: str, second: str, **environment: str) -> Project:
        path = tmp_path / "default.sqlite3"
        project = Project(
            Database("sqlite", f"sqlite:///{path}", lambda: sqlite3.connect(path)),
            clean_environment()
            | {
                "ALLOWED_HOSTS": "testserver",
                "DATABASE_URL": f"sqlite:///{path}",
                "DJANGO_SETTINGS_MODULE": "tests.hosts.several_databases",
                "ENV_FILE": os.devnull,
                "IMPORTMONITOR_REMEMBER_FOR": "0",
                "ROCKETCHAT_URL": chat.url,
                "ROCKETCHAT_USER_ID": USER_ID,
                "ROCKETCHAT_AUTH_TOKEN": AUTH_TOKEN,
                "ROUTER": router,
                "SECOND_DATABASE": f"{second}={tmp_path / 'second.sqlite3'}",
                "SECRET_KEY": "only for tests",
            }
            | environment,
        )
        started.append(project)
        return project

    yield make
    for project in started:
        with terminating(project.started):
            pass


def manage(project: Project, *arguments: str) -> str:
    result = project.run("manage.py", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize(
    ("router", "second"), [("OtherAppRouter", "analytics"), ("AuthRouter", "auth_db")]
)
@pytest.mark.parametrize("options", [{}, {"WITHOUT_MIGRATIONS": "1"}])
@pytest.mark.long
def test_every_database_can_be_migrated_and_checked(
    host: Callable[..., Project], router: str, second: str, options: dict[str, str]
) -> None:
    project = host(router, second, **options)
    # A deployment, and the next one.
    for _ in range(2):
        for database in (second, "default"):
            manage(project, "migrate", "--database", database, "--run-syncdb", "--verbosity", "0")
    manage(project, "check", "--database", second, "--database", "default")
    result = project.run("-c", CREATE_TEST_DATABASES)
    assert result.returncode == 0, result.stderr


@pytest.mark.long
def test_tokens_apart_from_their_users_are_warned_of(host: Callable[..., Project]) -> None:
    output = manage(host("AuthRouter", "auth_db"), "check")
    assert "(importmonitor.W007) The API tokens are in the database 'default', and their" in output


@pytest.mark.long
def test_replica_that_lags_behind_is_not_read(host: Callable[..., Project], tmp_path: Path) -> None:
    project = host("ReplicaRouter", "replica")
    prepare(project, "default")
    # From now on nothing is replicated.
    shutil.copy(tmp_path / "default.sqlite3", tmp_path / "second.sqlite3")
    assert use(project) == USED
    with closing(sqlite3.connect(tmp_path / "second.sqlite3")) as replica:
        assert replica.execute("SELECT * FROM importmonitor_workspace").fetchall() == []


@pytest.mark.long
def test_history_has_its_own_database(host: Callable[..., Project], tmp_path: Path) -> None:
    project = host("HistoryRouter", "history")
    prepare(project, "default", "history")
    assert use(project) == USED
    with closing(sqlite3.connect(tmp_path / "default.sqlite3")) as default:
        names = default.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert [name for (name,) in names if "importmonitor" in name] == ["importmonitor_apitoken"]
    # What is cached is kept apart by it.
    assert project.run("-c", SCOPE).stdout == "history/\n"


def prepare(project: Project, *databases: str) -> None:
    """Migrate the databases, and create a superuser."""
    for database in databases:
        manage(project, "migrate", "--database", database, "--verbosity", "0")
    project.environment["DJANGO_SUPERUSER_PASSWORD"] = "only for tests"
    manage(project, "createsuperuser", "--no-input", "--username", "boss", "--email", "")


def use(project: Project) -> str:
    """Use the host; return what was printed."""
    result = project.run("-c", USE)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
