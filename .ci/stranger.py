"""Build the package, and use it in new projects as the README describes.

    PYTHONPATH=. python .ci/stranger.py PYTHON:DJANGO...

A `PYTHON:DJANGO` is an interpreter and a version of Django, such as /usr/bin/python3.12:6.0. Each
gets a virtual environment with the wheel and without the extras, a project made by `startproject`,
and the code and commands of the README's section, unchanged. Run from the repository, by an
interpreter that has `build`. The exit status is not zero if anything fails.
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
#: The packages that need an extra, and its modules; every other package works without extras.
EXTRA_PACKAGES = {
    "importmonitor.api.rest.filters": {"django_filters"},
    "importmonitor.api.openapi": {"django_filters", "drf_spectacular"},
    "importmonitor.api.rest_urls": {"django_filters"},
    "importmonitor.api.rest.incidents": {"django_filters"},
    "importmonitor.api.rest.views": {"django_filters"},
    "importmonitor.contrib.celery": {"celery"},
    "importmonitor.contrib.prometheus": {"prometheus_client"},
    "importmonitor.contrib.sentry": {"sentry_sdk"},
    # Part of Django 6.0 and later.
    "importmonitor.contrib.tasks": {"django.tasks"},
}
#: An alert channel, which the README's section does not have.
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
client = Client()
client.force_login(user)
page = client.get("/admin/importmonitor/importoperation/")
response = Client().get(
    "/chat/api/v1/getCurrentImportOperation",
    headers={"X-User-Id": str(user.pk), "X-Auth-Token": token},
)
is_listed = "acme.zip" in page.text
print(json.dumps([page.status_code, is_listed, response.status_code, response.json()]))
"""


def main(targets: list[str]) -> None:
    if not targets:
        sys.exit("Name at least one PYTHON:DJANGO.")
    with tempfile.TemporaryDirectory() as name:
        dist = Path(name) / "dist"
        # The wheel is built from the sdist, which therefore is complete too.
        run(sys.executable, "-m", "build", "--outdir", dist, REPOSITORY)
        (wheel,), (_sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        check_contents(wheel)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for result in pool.map(partial(use_in_new_project, wheel, Path(name)), targets):
                sys.stdout.write(f"{result}\n")
                sys.stdout.flush()


def check_contents(wheel: Path) -> None:
    """Check that the wheel contains the whole package and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "-C", REPOSITORY, "ls-files", "importmonitor").splitlines()
    missing = {name for name in tracked if not name.endswith(".po")} - names
    foreign = {name for name in names if not name.startswith(("importmonitor/", "importmonitor-"))}
    assert not missing, f"the wheel lacks {missing}"
    assert not foreign, f"the wheel contains {foreign}"


def use_in_new_project(wheel: Path, parent: Path, target: str) -> str:
    """Start a project and use the package in it; return a line about the result."""
    interpreter, _, django = target.rpartition(":")
    folder = Path(tempfile.mkdtemp(dir=parent))
    # Without a pip of its own, which would take as long as all that it installs.
    run(interpreter, "-m", "venv", "--without-pip", folder / "venv")
    python, manage = folder / "venv" / "bin" / "python", folder / "manage.py"
    pip(python, "install", "--quiet", f"django=={django}.*")
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
        run_manage = partial(run, python, manage, environment=environment)
        run_manage("check", "--fail-level", "WARNING")
        run_manage("makemigrations", "--check", "--dry-run", "importmonitor")
        check_imports_without_extras(python, run_manage)
        append(folder / "stranger" / "settings.py", CHANNEL)
        clock.advance(600)
        # Without Apprise, and with lines instead of bars.
        output = run_manage("sync_import_status", "--watch", "--until-finished")
        assert "acme.zip: done" in output, output
        assert "X-Importmonitor-Event: import.finished" in output, output
        assert "ops: delivered" in run_manage("send_test_alert")
        run_manage("prune_import_history", "--older-than", "1")
    *_, last = run_manage("shell", "--command", USE).splitlines()
    page_status, is_listed, api_status, body = json.loads(last)
    assert (page_status, is_listed, api_status) == (200, True, 200), last
    assert body["operation"]["_id"] == remote_id, last
    versions = run(
        python, "-c", "import django, sys; print(sys.version.split()[0], django.__version__)"
    )
    return "Python {}, Django {}: works with the wheel alone.".format(*versions.split())


def follow_readme(folder: Path, python: Path, wheel: Path, environment: Mapping[str, str]) -> None:
    """Follow the README's section exactly, but install the wheel that was just built."""
    section = (REPOSITORY / "README.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    settings, urls = code.split("# urls.py", 1)
    append(folder / "stranger" / "settings.py", settings)
    append(folder / "stranger" / "urls.py", f"# {urls}")
    commands = re.findall(r"^\$ (.+)$", section, re.MULTILINE)
    assert commands[0] == "pip install /path/to/importmonitor", commands
    assert "manage.py sync_import_status" in commands, commands
    pip(python, "install", "--quiet", wheel)
    for line in commands[1:]:
        name, *arguments = shlex.split(line)
        assert name == "manage.py", line
        run(python, folder / name, *arguments, environment=environment)


def check_imports_without_extras(python: Path, run_manage: "partial[str]") -> None:
    """Check that no extra is installed, and that whatever needs none can be imported."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = {
        normalize(re.split(r"[^\w.-]", requirement)[0])
        for requirements in project["optional-dependencies"].values()
        for requirement in requirements
    }
    distributions = json.loads(pip(python, "list", "--format", "json"))
    installed = extras & {normalize(distribution["name"]) for distribution in distributions}
    assert len(extras) > 4, extras
    assert not installed, f"installed: {installed}"
    output = run_manage("shell", "--verbosity", "0", "--command", IMPORT_ALL)
    missing = json.loads(output.splitlines()[-1])
    broken = {
        module: name
        for module, name in missing.items()
        if not any(
            module.startswith(package) and name in modules
            for package, modules in EXTRA_PACKAGES.items()
        )
    }
    assert missing, "every module can be imported: are the extras installed?"
    assert not broken, f"not importable without the extras: {broken}"


def normalize(name: str) -> str:
    """Return the normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(python: Path, *arguments: str | Path) -> str:
    """Run this interpreter's pip on another one's environment, and return its output."""
    return run(sys.executable, "-m", "pip", "--python", python, *arguments)


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output; exit with its output if it fails."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "ROCKETCHAT_", "COVERAGE_", "PYTHON"))
    }
    process = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=inherited | dict(environment or {}),
        timeout=600,
    )
    if process.returncode != 0:
        sys.exit(f"{command} exited with {process.returncode}:\n{process.stdout}{process.stderr}")
    return process.stdout


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


if __name__ == "__main__":
    main(sys.argv[1:])
