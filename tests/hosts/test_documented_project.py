"""A new project that follows docs/using-in-your-project.md, with an API and a schema of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_docs import ROOT, code_block

API = """
from rest_framework import generics, serializers


class GreetingSerializer(serializers.Serializer):
    text = serializers.CharField()


class GreetingView(generics.RetrieveAPIView):
    serializer_class = GreetingSerializer
"""
SETTINGS = """
INSTALLED_APPS += ["drf_spectacular", "drf_spectacular_sidecar"]
ALLOWED_HOSTS = ["testserver"]
if "MAILERS" in globals():  # Django 6.1's startproject has a backend for development
    MAILERS["default"] = {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}
"""
AUTO_SCHEMA = """
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
"""
URLS = """
from drf_spectacular.views import SpectacularAPIView
from host.api import GreetingView

urlpatterns += [
    path("greeting/", GreetingView.as_view()),
    path("host-schema/", SpectacularAPIView.as_view()),
]
"""
RESPONSES = """
from django.test import Client
for path in (
    "/healthz",
    "/chat/api/v1/getCurrentImportOperation",
    "/chat/api/v1/channels.list",
    "/api/workspaces/",
    "/api/schema/",
    "/metrics",
):
    print(path, Client(raise_request_exception=False).get(path).status_code)
"""


def start_project(folder: Path, *, auto_schema: bool, own_schema: bool) -> None:
    """Start a project and add what the README and the page say, unchanged."""
    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "host", str(folder)], check=True
    )
    section = (ROOT / "README.md").read_text().partition("## In an existing project\n")[2]
    settings, urls = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0].split("# urls.py", 1)
    documented = code_block("importmonitor.api.healthz")
    if not own_schema:
        documented = re.sub(r".*openapi\.urls.*\n", "", documented)
    parts = {
        "settings.py": settings + SETTINGS,
        # The page mounts again what the README has already.
        "urls.py": re.sub(r"urlpatterns \+= .*", "", urls.partition("\n")[2]) + documented,
        "api.py": API,
    }
    if auto_schema:
        # Without it, drf-spectacular describes no view of the host's.
        parts["settings.py"] += AUTO_SCHEMA
        parts["urls.py"] += URLS
    for name, text in parts.items():
        path = folder / "host" / name
        path.write_text((path.read_text() if path.exists() else "") + text)


@pytest.mark.long
@pytest.mark.parametrize("own_schema", [True, False], ids=["our schema", "no schema of ours"])
@pytest.mark.parametrize("auto_schema", [True, False], ids=["AutoSchema", "DRF's default"])
def test_documented_project_is_clean(tmp_path: Path, auto_schema: bool, own_schema: bool) -> None:
    start_project(tmp_path, auto_schema=auto_schema, own_schema=own_schema)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "ROCKETCHAT_", "IMPORTMONITOR_"))
    } | {
        "ROCKETCHAT_URL": "https://chat.example.org",
        "ROCKETCHAT_USER_ID": "d26x6zSkaPSe5gCyy",
        "ROCKETCHAT_AUTH_TOKEN": "t" * 43,
        "PYTHONPATH": str(ROOT),
    }

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    schema = manage("spectacular", "--fail-on-warn", "--validate")
    assert ("/greeting/:" in schema) == auto_schema
    assert "mport" not in schema
    deployed = manage("check", "--deploy")
    # Of a new project, Django itself has warnings about security.
    assert set(re.findall(r"\((\w+)\.[A-Z]\d+\)", deployed)) == {"security"}
    statuses = dict(
        line.rsplit(" ", 1)
        for line in manage("shell", "--command", RESPONSES).splitlines()
        if line.startswith("/")
    )
    assert statuses == {
        "/healthz": "200",
        "/chat/api/v1/getCurrentImportOperation": "401",
        "/chat/api/v1/channels.list": "404",
        "/api/workspaces/": "401",
        "/api/schema/": "401" if own_schema else "404",
        "/metrics": "401",
    }
