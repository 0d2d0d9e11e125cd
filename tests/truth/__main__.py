"""Simulate a year and judge the history: `python -m tests.truth`."""

import argparse
import gc
import logging
import os
import sys
import time

import django

from tests.truth.conf import configuration
from tests.truth.figures import report
from tests.truth.workspaces import live, workspaces_for


def main() -> int:
    """Simulate a year and print what is wrong; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.truth",
        description="Compare the history of simulated imports with what actually happened.",
    )
    parser.add_argument(
        "--imports", type=int, default=3000, help="number of imports (default: 3000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all randomness (default: 0)")
    options = parser.parse_args()
    imports = max(options.imports, 1)
    set_up()
    from django.core.management import call_command
    from django.test.utils import override_settings

    call_command("migrate", verbosity=0)
    # What is loaded by now stays: the garbage collector need not visit it again.
    gc.freeze()
    started = time.perf_counter()
    with override_settings(IMPORTMONITOR=configuration(workspaces_for(imports))):
        year = live(imports, options.seed)
    report(year, time.perf_counter() - started)
    return 0 if year.holds else 1


def set_up() -> None:
    """Set Django up with a database in memory."""
    for name in [name for name in os.environ if name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_"))]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only for this run",
        "DATABASE_URL": "sqlite://:memory:",
    }
    django.setup()
    # Every outage logs a warning, and there are many.
    logging.getLogger("importmonitor").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
