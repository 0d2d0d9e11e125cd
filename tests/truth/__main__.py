"""Live through a year from the command line: `python -m tests.truth`."""

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
    """Live through a year and print what is wrong; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.truth",
        description="Hold a year of imports against the truth.",
    )
    parser.add_argument("--imports", type=int, default=3000, help="how many (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="where chance comes from (default: 0)")
    options = parser.parse_args()
    imports = max(options.imports, 1)
    set_up()
    from django.core.management import call_command
    from django.test.utils import override_settings

    call_command("migrate", verbosity=0)
    # What is loaded by now stays: the collector need not look at it again and again.
    gc.freeze()
    began = time.perf_counter()
    with override_settings(IMPORTMONITOR=configuration(workspaces_for(imports))):
        year = live(imports, options.seed)
    report(year, time.perf_counter() - began)
    return 0 if year.holds else 1


def set_up() -> None:
    """Set Django up with a database that is gone when this process is."""
    for name in [name for name in os.environ if name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_"))]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only for the benchmark",
        "DATABASE_URL": "sqlite://:memory:",
    }
    django.setup()
    # Every outage is a warning, and there are to be some.
    logging.getLogger("importmonitor").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
