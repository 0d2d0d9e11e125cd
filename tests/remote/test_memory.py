"""The memory of a whole process that polls hostile servers, and what it prints."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.remote.failing_responses import CHAT, TOKEN_PART
from tests.remote.failing_servers import BOMB, FLOOD, REDIRECTING_BOMB
from tests.remote.helpers import TOKEN, USER_ID
from tests.remote.servers import MIB, Server

ROOT = Path(__file__).resolve().parents[2]
#: Runs manage.py and prints its peak memory. getrusage does not work here: a process inherits the
#: figure from the one that started it, a whole test run.
MEASURED = """
import atexit, runpy, sys
def print_peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            sys.stderr.write(line)
atexit.register(print_peak)
runpy.run_path("manage.py", run_name="__main__")
"""


def manage(
    database: Path, *arguments: str, urls: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py with one workspace for each of the URLs."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")
    }
    environment |= {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "only for tests",
        "DEBUG": "on",
        "DATABASE_URL": f"sqlite:///{database}",
        "LOG_LEVEL": "DEBUG",
        "ROCKETCHAT_WORKSPACES": ",".join(urls),
    }
    # The test settings name a workspace there, which these processes would inherit.
    for key in ("URL", "USER_ID", "AUTH_TOKEN"):
        environment.pop(f"ROCKETCHAT_{key}", None)
    for alias, url in urls.items():
        options = {"URL": url, "USER_ID": USER_ID, "AUTH_TOKEN": TOKEN}
        options |= {"TIMEOUT": "5", "DEADLINE": "5"}
        environment |= {f"ROCKETCHAT_{alias.upper()}_{key}": options[key] for key in options}
    return subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_of_process_is_limited(tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    migrated = manage(database, "migrate", "--verbosity", "0", urls={"chat": CHAT})
    assert migrated.returncode == 0, migrated.stderr
    with Server(FLOOD) as flood, Server(BOMB) as bomb, Server(REDIRECTING_BOMB) as redirecting:
        urls = {"flood": flood.url, "bomb": bomb.url, "redirecting": redirecting.url}
        process = manage(database, "sync_import_status", urls=urls)
    assert process.returncode == 1, process.stderr
    results = [line.partition(": ") for line in process.stdout.splitlines()]
    assert sorted(alias for alias, _, _ in results) == sorted(urls)
    kinds = ("(Unreachable)", "(BadAnswer)", "(NotRocketChat)")
    assert all(text.endswith(kinds) for _, _, text in results)
    assert "Traceback" not in process.stderr
    assert TOKEN_PART not in process.stderr
    (peak,) = [line for line in process.stderr.splitlines() if line.startswith("VmHWM")]
    assert int(peak.split()[1]) * 1024 < 200 * MIB
