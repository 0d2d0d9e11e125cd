"""The host project's settings, for benchmarks.

They have a command that does nothing, to measure others against, and can have a simulated fleet.
"""

import os

from project.settings import *  # noqa: F403 - all of them, and two apps more
from project.settings import IMPORTMONITOR
from project.settings import INSTALLED_APPS as HOST_APPS

INSTALLED_APPS = [*HOST_APPS, "benchmarks.noop", "benchmarks.fleet"]
if "FLEET_URL" in os.environ:
    IMPORTMONITOR["WORKSPACES"] = os.environ.get(
        "FLEET_WORKSPACES", "simulator.fleet_settings.workspaces"
    )
if os.environ.get("TASKS") == "django":
    INSTALLED_APPS.append("django_tasks_db")
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
