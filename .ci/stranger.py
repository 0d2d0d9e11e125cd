"""Build the wheel, install it alone into a stranger's new project, and use it as the README says.

Run from the repository, with it on PYTHONPATH, by an interpreter that has `build`. Whatever goes
wrong ends it with a non-zero status.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from project.simulator.clock import Clock
from project.simulator.server import Server
from project.simulator.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
WANTED = (
    "importmonitor/py.typed",
    "importmonitor/migrations/0003_faces.py",
    "importmonitor/locale/de/LC_MESSAGES/django.mo",
    "importmonitor/locale/pt_BR/LC_MESSAGES/django.mo",
    "importmonitor/static/importmonitor/admin.css",
    "importmonitor/static/importmonitor/charts.css",
    "importmonitor/static/importmonitor/refresh.js",
    "importmonitor/templates/importmonitor/cards.html",
    "importmonitor/templates/admin/importmonitor/importoperation/change_list.html",
    "importmonitor/templates/admin/importmonitor/apitoken/made.html",
    "importmonitor/templatetags/importmonitor.py",
)
SETTINGS = """
INSTALLED_APPS += ["importmonitor"]
ALLOWED_HOSTS = ["testserver"]
IMPORTMONITOR = {{
    "WORKSPACES": {{"default": {{"URL": {url!r}, "USER_ID": "u", "AUTH_TOKEN": "t"}}}},
    "BASE_URL": "http://testserver",
    "CHANNELS": {{
        "ops": {{
            "BACKEND": "importmonitor.alerts.channels.EmailChannel",
            "TO": ["ops@example.org"],
        }},
    }},
}}
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
"""
URLS = """
from django.urls import include
urlpatterns += [path("chat/", include("importmonitor.urls"))]
"""
USE = """
import json
from django.contrib.auth.models import User
from django.test import Client
from importmonitor.models import ApiToken
user = User.objects.create_superuser("stranger")
_, token = ApiToken.objects.issue(user)
browser = Client()
browser.force_login(user)
page = browser.get("/admin/importmonitor/importoperation/")
answer = Client().get(
    "/chat/api/v1/getCurrentImportOperation",
    headers={"X-User-Id": str(user.pk), "X-Auth-Token": token},
)
print(json.dumps([page.status_code, "acme.zip" in page.text, answer.status_code, answer.json()]))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", REPOSITORY)
        (wheel,) = (folder / "dist").glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        missing = [wanted for wanted in WANTED if wanted not in names]
        foreign = [
            name for name in names if not name.startswith(("importmonitor/", "importmonitor-"))
        ]
        assert not missing, f"the wheel lacks {missing}"
        assert not foreign, f"the wheel holds {foreign}"
        run(sys.executable, "-m", "venv", folder / "venv")
        python = folder / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", wheel)
        run(python, "-m", "django", "startproject", "stranger", folder)
        clock = Clock(datetime.now(UTC))
        workspace = Workspace(clock, rate_limit=None)
        workspace.add_user("u", "t")
        remote_id = workspace.start_import("slack", file_name="acme.zip")
        clock.advance(300)
        with Server(workspace) as server:
            append(folder / "stranger" / "settings.py", SETTINGS.format(url=server.url))
            append(folder / "stranger" / "urls.py", URLS)
            manage = folder / "manage.py"
            run(python, manage, "check", "--fail-level", "WARNING")
            run(python, manage, "migrate", "--verbosity", "0")
            run(python, manage, "makemigrations", "--check", "--dry-run", "importmonitor")
            run(python, manage, "check", "--database", "default", "--fail-level", "WARNING")
            run(python, manage, "check_rocketchat")
            run(python, manage, "sync_import_status", "--format", "json")
            clock.advance(600)
            # The extras are not there: no Apprise, and lines in place of bars.
            told = run(python, manage, "sync_import_status", "--watch", "--until-finished")
            assert "acme.zip: done" in told, told
            assert "Subject: [importmonitor] default: import finished" in told, told
            assert "ops: delivered" in run(python, manage, "send_test_alert")
            run(python, manage, "prune_import_history", "--older-than", "1")
        *_, last = run(python, manage, "shell", "--command", USE).splitlines()
        page, listed, status, body = json.loads(last)
        assert (page, listed, status) == (200, True, 200), last
        assert body["operation"]["_id"] == remote_id, last
    sys.stdout.write("A stranger's project works with the wheel alone.\n")


def run(*command: str | Path) -> str:
    """Run a command; return what it printed, or end with it."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "ROCKETCHAT_", "COVERAGE_", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=600,
    )
    if done.returncode != 0:
        sys.exit(f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


if __name__ == "__main__":
    main()
