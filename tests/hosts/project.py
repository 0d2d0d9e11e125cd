"""Projects of other shapes, in separate processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import AUTH_TOKEN

BASE_DIR = Path(__file__).resolve().parent.parent.parent


def run_module(module: str, *arguments: str) -> str:
    """Run a module in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=BASE_DIR,
        env=os.environ | {"IMPORTMONITOR_REMEMBER_FOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


def run(function: Callable[..., None], *arguments: str, **environment: str) -> None:
    """Run a function of a test module in a process of its own; it fails as its assertions do.

    The module must import nothing that needs Django's settings: `function` makes them.
    """
    name, module = function.__name__, function.__module__
    code = f"from {module} import {name}; {name}(*{list(arguments)!r}); print('passed')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=BASE_DIR,
        env=os.environ | {"LOG_LEVEL": "INFO", "ENV_FILE": os.devnull} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert done.stdout.endswith("passed\n")
    assert AUTH_TOKEN not in done.stdout + done.stderr


def use_settings(**settings: Any) -> None:
    """Set Django up with the suite's settings and these, on an empty database in memory."""
    from tests import settings as module

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    for name, value in ({"DATABASES": {"default": memory}} | settings).items():
        setattr(module, name, value)

    import django

    django.setup()
