"""The previous release keeps working after the migrations of this one."""

import io
import json
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from simulator.workspace import Workspace
from tests.process.processes import BASE_DIR, Project, terminating, wait_for

pytestmark = pytest.mark.long

#: Until there is a release: the commit before the migration that it would be upgraded by.
FIRST_MIGRATION = "importmonitor/migrations/0010_delivery.py"
MIGRATE = ("manage.py", "migrate", "--verbosity", "0")
SERVE = """
import json
from django.contrib.auth.models import User
from django.test import Client
from importmonitor.models import ApiToken
user, _ = User.objects.get_or_create(username="admin", is_superuser=True, is_staff=True)
_, token = ApiToken.objects.issue(user)
client = Client()
client.force_login(user)
pages = ("importoperation", "alert", "workspace")
statuses = [client.get(f"/admin/importmonitor/{page}/").status_code for page in pages]
headers = {"X-User-Id": str(user.pk), "X-Auth-Token": token}
response = client.get("/api/v1/getCurrentImportOperation", headers=headers)
print(json.dumps([statuses, response.status_code, response.json()["operation"]["_id"]]))
"""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=BASE_DIR, check=True, capture_output=True).stdout


def previous_release() -> str:
    """Return the newest tag before this commit, or a commit if there is none."""
    with suppress(subprocess.CalledProcessError):
        return git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^").decode().strip()
    log = git("log", "--diff-filter=A", "--format=%H", "--", FIRST_MIGRATION)
    return f"{log.decode().split()[-1]}^"


@pytest.fixture
def old_release(unmigrated: Project, tmp_path: Path) -> Iterator[Project]:
    """The previous release, on the same database."""
    try:
        archive = git("archive", previous_release())
    except (OSError, IndexError, subprocess.CalledProcessError):
        pytest.skip("needs the repository with its history")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tmp_path / "old", filter="data")
    channels = {
        "IMPORTMONITOR_ALERT_EMAILS": "ops@example.org",
        "EMAIL_URL": "consolemail://",
        "SECURE_SSL_REDIRECT": "off",
    }
    unmigrated.environment |= channels
    project = Project(unmigrated.database, unmigrated.environment, folder=tmp_path / "old")
    with terminating(project.started):
        yield project


def serve(project: Project) -> object:
    result = project.run(
        "manage.py", "shell", "--verbosity", "0", "--command", SERVE, ALLOWED_HOSTS="testserver"
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_previous_release_polls_serves_and_delivers_on_the_new_schema(
    old_release: Project, unmigrated: Project, workspace: Workspace
) -> None:
    old, new = old_release, unmigrated
    assert old.run(*MIGRATE).returncode == 0
    workspace.start_import("csv", seconds=0.1)
    assert old.sync("--watch", "--until-finished", "--interval", "1").returncode == 0
    # As docs/operations.md has it: the old processes run on during and after the migration.
    watch = old.start("manage.py", "sync_import_status", "--watch", "--idle-interval", "1")
    assert watch.stdout is not None
    watch.stdout.readline()
    assert new.run(*MIGRATE).returncode == 0
    for project in (old, new, old):
        remote_id = workspace.start_import("slack", seconds=0.1)
        result = project.sync("--watch", "--until-finished", "--interval", "1")
        assert result.returncode == 0, result.stdout + result.stderr
        assert serve(project) == [[200, 200, 200], 200, remote_id]
        result = project.run("manage.py", "send_test_alert")
        assert (result.returncode, result.stderr) == (0, "")
    watch.terminate()
    result = wait_for(watch)
    assert (result.returncode, result.stderr) == (0, "")
    # None was lost: for SQLite, INSERT OR IGNORE also ignores rows without a required column.
    alerts = new.database.execute("SELECT event, delivery FROM importmonitor_alert")
    assert Counter(alerts) >= Counter(
        {("test", "delivered"): 3, ("import.finished", "delivered"): 3}
    )
    assert {delivery for _event, delivery in alerts} == {"delivered"}
    statement = "SELECT DISTINCT sync_status FROM importmonitor_workspace"
    assert new.database.execute(statement) == [("ok",)]
