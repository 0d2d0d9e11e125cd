"""The environment of the host project, with a database of its own."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.databases import temporary_database
from benchmarks.processes import run

#: As long as Rocket.Chat's own.
USER_ID, TOKEN = "benchmarkUser0017", "benchmark-token-of-43-characters-0123456789"


@contextmanager
def project_environment(
    urls: Mapping[str, str], server: str = "", **variables: str
) -> Iterator[dict[str, str]]:
    """Yield the environment for these workspaces by alias, with an empty, migrated database.

    `server` is the URL of a database server, "" for SQLite; `variables` are added.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_", "PYTHON"))
        and not name.lower().endswith("_proxy")
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        temporary_database(server, Path(folder)) as database_url,
    ):
        environment = inherited | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only for the benchmark",
            "ALLOWED_HOSTS": "127.0.0.1,testserver",
            "SECURE_SSL_REDIRECT": "off",
            "SECURE_COOKIES": "off",
            "DATABASE_URL": database_url,
            "ROCKETCHAT_WORKSPACES": ",".join(urls),
        }
        for alias, url in urls.items():
            prefix = f"ROCKETCHAT_{alias.upper()}_"
            environment |= {
                f"{prefix}URL": url,
                f"{prefix}USER_ID": USER_ID,
                f"{prefix}AUTH_TOKEN": TOKEN,
            }
        environment |= variables
        run(environment, (sys.executable, "manage.py", "migrate", "--verbosity", "0"))
        yield environment
