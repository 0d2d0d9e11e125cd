"""What benchmarks run against: simulated workspaces in a process, the project with a database."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from simulator.clock import Clock
from simulator.workspace import Workspace

BASE_DIR = Path(__file__).resolve().parent.parent
USER_ID, TOKEN = "benchmark", "token"


def running_workspaces(count: int) -> dict[str, Workspace]:
    """Return simulated workspaces by the prefix of their paths (/w0 …), each with an import."""
    made = {}
    for number in range(count):
        workspace = Workspace(Clock(datetime.now(UTC)), seed=number, rate_limit=None)
        workspace.add_user(USER_ID, TOKEN)
        workspace.start_import("slack", seconds=3600)
        workspace.clock.advance(1800)
        made[f"/w{number}"] = workspace
    return made


@contextmanager
def migrated(urls: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Give the environment of the project: these workspaces by alias, an empty SQLite database."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_", "PYTHON"))
        and not name.lower().endswith("_proxy")
    }
    with tempfile.TemporaryDirectory() as folder:
        environment = kept | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only for the benchmark",
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "ROCKETCHAT_WORKSPACES": ",".join(urls),
        }
        for alias, url in urls.items():
            prefix = f"ROCKETCHAT_{alias.upper()}_"
            environment |= {
                f"{prefix}URL": url,
                f"{prefix}USER_ID": USER_ID,
                f"{prefix}AUTH_TOKEN": TOKEN,
            }
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=BASE_DIR,
            env=environment,
            check=True,
        )
        yield environment
