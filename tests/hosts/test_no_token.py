"""Hosts where a command runs without Rocket.Chat's token, as when an image is built."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.project import run, use_settings

COMMANDS = (
    ("migrate", "--verbosity=0"),
    ("migrate", "--run-syncdb", "--verbosity=0"),
    ("makemigrations", "--check", "--dry-run", "--verbosity=0"),
    ("collectstatic", "--noinput", "--verbosity=0"),
    ("createsuperuser", "--noinput", "--username=root", "--email=root@example.org"),
    ("createcachetable",),
    ("check", "--database=default"),
    ("clearsessions",),
)
APPRISE = "importmonitor.alerts.channels.AppriseChannel"
#: Settings that read an environment without secrets.
SETTINGS: dict[str, Any] = {
    "no settings": {},
    "no workspace": {"WORKSPACES": {}},
    "no token": {"WORKSPACES": {"default": {"URL": "https://chat.example.org", "USER_ID": "a"}}},
    "empty variables": {"WORKSPACES": {"default": {"URL": "", "USER_ID": "", "AUTH_TOKEN": ""}}},
    "no file of secrets": {
        "WORKSPACES": {
            "default": {
                "URL": "https://chat.example.org",
                "USER_ID": "a",
                "AUTH_TOKEN": "b",
                "CA_BUNDLE": "/run/secrets/ca.pem",
            }
        }
    },
    "no table of workspaces": {"WORKSPACES": f"{__name__}.read_table"},
    "no URL of a channel": {"CHANNELS": {"hook": {"BACKEND": APPRISE, "URL": ""}}},
}


def read_table() -> dict[str, Any]:
    """Return the workspaces, of a table that the migrations create."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM workspaces")
    return {}


def run_commands(name: str, migrations: str, folder: str) -> None:
    """Run what a deployment runs, each as `manage.py` does."""
    modules = {"importmonitor": None} if migrations == "off" else {}
    use_settings(
        IMPORTMONITOR=SETTINGS[name],
        MIGRATION_MODULES=modules,
        STATIC_ROOT=folder,
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.db.DatabaseCache",
                "LOCATION": "cache",
            }
        },
    )

    from django.contrib.auth.models import User
    from django.core.management import call_command, execute_from_command_line

    from importmonitor.checks import check_channels, check_settings
    from importmonitor.models import Workspace

    os.environ["DJANGO_SUPERUSER_PASSWORD"] = "of a test"
    # Such a host's `migrate` does not make the tables of the app: `--run-syncdb` does.
    for command in COMMANDS if migrations == "on" else (COMMANDS[1], *COMMANDS[3:]):
        execute_from_command_line(["manage.py", *command])
    assert User.objects.get().is_superuser
    assert not Workspace.objects.exists()
    # `check` still reports what is missing.
    messages = [*check_settings(app_configs=None), *check_channels(app_configs=None)]
    assert messages
    with pytest.raises(SystemExit):
        execute_from_command_line(["manage.py", "check", "--fail-level=WARNING"])
    if name not in {"no settings", "no workspace", "no URL of a channel"}:
        with pytest.raises(SystemExit):
            execute_from_command_line(["manage.py", "sync_import_status"])
    call_command("flush", interactive=False, verbosity=0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "migrations"), [*((name, "on") for name in SETTINGS), ("no token", "off")]
)
def test_commands_work_without_secrets(name: str, migrations: str, tmp_path: Path) -> None:
    run(run_commands, name, migrations, str(tmp_path))
