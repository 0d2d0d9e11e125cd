"""Build the package, and use it in strangers' new projects as the README says.

    PYTHONPATH=. python .ci/stranger.py PYTHON:DJANGO...

Each `PYTHON:DJANGO` is an interpreter and a version of Django, such as /usr/bin/python3.12:6.0. In
a virtual environment of its own, with the wheel and nothing of the extras, a project is begun by
Django's own `startproject`; what the README's section says is put into its files and typed, to the
letter. Run from the repository, by an interpreter that has `build`. Whatever goes wrong ends it
with a non-zero status.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
SECTION = "## In an existing project\n"
#: The rooms that want an extra, and the modules of it; all others have to do without.
OF_EXTRAS = {
    "importmonitor.api.rest.filters": {"django_filters"},
    "importmonitor.api.openapi": {"django_filters", "drf_spectacular"},
    "importmonitor.api.rest_urls": {"django_filters"},
    "importmonitor.api.rest.views": {"django_filters"},
    "importmonitor.contrib.celery": {"celery"},
    "importmonitor.contrib.prometheus": {"prometheus_client"},
    # Django's own, from 6.0 on.
    "importmonitor.contrib.tasks": {"django.tasks"},
}
#: What the README leaves to other pages: somebody who is told.
CHANNEL = """
ALLOWED_HOSTS = ["testserver"]
IMPORTMONITOR |= {
    "BASE_URL": "http://testserver",
    "CHANNELS": {
        "ops": {
            "BACKEND": "importmonitor.alerts.channels.EmailChannel",
            "TO": ["ops@example.org"],
        },
    },
}
CONSOLE = "django.core.mail.backends.console.EmailBackend"
if "MAILERS" in globals():  # Django 6.1 and later
    MAILERS["default"] = {"BACKEND": CONSOLE}
else:
    EMAIL_BACKEND = CONSOLE
"""
IMPORT_ALL = """
import json, pkgutil
from importlib import import_module
import importmonitor
missing = {}
for module in pkgutil.walk_packages(importmonitor.__path__, "importmonitor.", onerror=lambda _: 0):
    try:
        import_module(module.name)
    except ModuleNotFoundError as error:
        missing[module.name] = error.name
print(json.dumps(missing))
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


def main(strangers: list[str]) -> None:
    if not strangers:
        sys.exit("Name at least one PYTHON:DJANGO.")
    with tempfile.TemporaryDirectory() as name:
        dist = Path(name) / "dist"
        # The wheel is built of the sdist, so that is complete too.
        run(sys.executable, "-m", "build", "--outdir", dist, REPOSITORY)
        (wheel,), (_sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        look_into(wheel)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for told in pool.map(partial(stranger, wheel, Path(name)), strangers):
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()


def look_into(wheel: Path) -> None:
    """See that all of the package is in the wheel, and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "-C", REPOSITORY, "ls-files", "importmonitor").splitlines()
    missing = {name for name in tracked if not name.endswith(".po")} - names
    foreign = {name for name in names if not name.startswith(("importmonitor/", "importmonitor-"))}
    assert not missing, f"the wheel lacks {missing}"
    assert not foreign, f"the wheel holds {foreign}"


def stranger(wheel: Path, within: Path, wanted: str) -> str:
    """Begin a project and use the package in it; return what to say of it."""
    interpreter, _, django = wanted.rpartition(":")
    folder = Path(tempfile.mkdtemp(dir=within))
    run(interpreter, "-m", "venv", folder / "venv")
    python, manage = folder / "venv" / "bin" / "python", folder / "manage.py"
    run(python, "-m", "pip", "install", "--quiet", f"django=={django}.*")
    run(python, "-m", "django", "startproject", "stranger", folder)
    clock = Clock(datetime.now(UTC))
    workspace = Workspace(clock, rate_limit=None)
    workspace.add_user("u", "t")
    remote_id = workspace.start_import("slack", file_name="acme.zip")
    clock.advance(300)
    with Server(workspace) as server:
        names = ("ROCKETCHAT_URL", "ROCKETCHAT_USER_ID", "ROCKETCHAT_AUTH_TOKEN")
        environment = dict(zip(names, (server.url, "u", "t"), strict=True))
        follow_readme(folder, python, wheel, environment)
        used = partial(run, python, manage, environment=environment)
        used("check", "--fail-level", "WARNING")
        used("makemigrations", "--check", "--dry-run", "importmonitor")
        see_no_extras(python, used)
        append(folder / "stranger" / "settings.py", CHANNEL)
        clock.advance(600)
        # No Apprise, and lines in place of bars.
        told = used("sync_import_status", "--watch", "--until-finished")
        assert "acme.zip: done" in told, told
        assert "Subject: [importmonitor] default: import finished" in told, told
        assert "ops: delivered" in used("send_test_alert")
        used("prune_import_history", "--older-than", "1")
    *_, last = used("shell", "--command", USE).splitlines()
    page, listed, status, body = json.loads(last)
    assert (page, listed, status) == (200, True, 200), last
    assert body["operation"]["_id"] == remote_id, last
    versions = run(
        python, "-c", "import django, sys; print(sys.version.split()[0], django.__version__)"
    )
    return "Python {}, Django {}: works with the wheel alone.".format(*versions.split())


def follow_readme(folder: Path, python: Path, wheel: Path, environment: Mapping[str, str]) -> None:
    """Do what the README says, to the letter; but install the wheel that was just built."""
    section = (REPOSITORY / "README.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    settings, urls = code.split("# urls.py", 1)
    append(folder / "stranger" / "settings.py", settings)
    append(folder / "stranger" / "urls.py", f"# {urls}")
    typed = re.findall(r"^\$ (.+)$", section, re.MULTILINE)
    assert typed[0] == "pip install importmonitor", typed
    assert "manage.py sync_import_status" in typed, typed
    run(python, "-m", "pip", "install", "--quiet", wheel)
    for line in typed[1:]:
        name, *arguments = shlex.split(line)
        assert name == "manage.py", line
        run(python, folder / name, *arguments, environment=environment)


def see_no_extras(python: Path, used: "partial[str]") -> None:
    """See that no extra is installed, and that what wants none can be imported."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = {
        normalised(re.split(r"[^\w.-]", each)[0])
        for wanted in project["optional-dependencies"].values()
        for each in wanted
    }
    installed = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
    found = extras & {normalised(each["name"]) for each in installed}
    assert len(extras) > 4, extras
    assert not found, f"installed: {found}"
    told = used("shell", "--verbosity", "0", "--command", IMPORT_ALL).splitlines()[-1]
    missing = json.loads(told)
    broken = {
        module: lacks
        for module, lacks in missing.items()
        if not any(module.startswith(room) and lacks in may for room, may in OF_EXTRAS.items())
    }
    assert missing, "everything could be imported: are the extras there?"
    assert not broken, f"without the extras, not to be imported: {broken}"


def normalised(name: str) -> str:
    """Write a distribution's name as all others write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command; return what it printed, or end with it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "ROCKETCHAT_", "COVERAGE_", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=kept | dict(environment or {}),
        timeout=600,
    )
    if done.returncode != 0:
        sys.exit(f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


if __name__ == "__main__":
    main(sys.argv[1:])
