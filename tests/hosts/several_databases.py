"""The host project's settings with a second database: SECOND_DATABASE, and a ROUTER for it."""

import os

from project.settings import *  # noqa: F403 - these settings, changed
from project.settings import DATABASES

_name, _path = os.environ["SECOND_DATABASE"].split("=")
DATABASES[_name] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": _path,
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
}
# Sessions on a replica that lags behind would not work in any host.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
DATABASE_ROUTERS = [f"tests.hosts.routers.{os.environ['ROUTER']}"]
if os.environ.get("WITHOUT_MIGRATIONS"):
    MIGRATION_MODULES = {"importmonitor": None, "auth": None, "contenttypes": None, "admin": None}
