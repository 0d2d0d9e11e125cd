"""Serve the host project, and fuzz its API with schemathesis by the API's own schema.

    PYTHONPATH=. python .ci/fuzz [ARGUMENT...]

Run from the repository, by an interpreter that has `gunicorn` and `schemathesis`; the arguments go
to schemathesis. The database is a temporary one (SQLite) with imports of two simulated workspaces.
The exit status is schemathesis's: not zero if a response contradicts the schema.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import django

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace

if TYPE_CHECKING:
    from simulator.writes import Ending

HERE = Path(__file__).resolve().parent
CREDENTIALS = ("simulatedUser0001", "t" * 43)
#: Fixed, so that every run sends the same requests.
SEED = "4"
EXAMPLES = "40"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0


def main() -> int:
    """Return the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = Clock(datetime.now(UTC) - timedelta(minutes=102))
        workspaces = {
            prefix: Workspace(clock, seed=seed, rate_limit=None)
            for seed, prefix in enumerate(("", "/acme"))
        }
        for workspace in workspaces.values():
            workspace.add_user(*CREDENTIALS)
        with Server(workspaces) as simulator:
            prepare_environment(folder, simulator.url)
            django.setup()
            headers = prepare_database()
            run_imports(workspaces, clock)
        log = folder / "server.log"
        with web_server(log) as url:
            status = fuzz(url, headers, folder)
        if status != 0:
            sys.stdout.write(log.read_text())
        return status


def prepare_environment(folder: Path, url: str) -> None:
    """Set the variables that the settings read, and delete those of the caller."""
    for name in list(os.environ):
        if name.startswith(("ROCKETCHAT_", "IMPORTMONITOR_")):
            del os.environ[name]
    os.environ.update(
        DJANGO_SETTINGS_MODULE="fuzz_settings",
        PYTHONPATH=os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        ENV_FILE=os.devnull,
        SECRET_KEY="only for fuzzing",
        DEBUG="off",
        SECURE_SSL_REDIRECT="off",
        SECURE_COOKIES="off",
        ALLOWED_HOSTS="127.0.0.1",
        DATABASE_URL=f"sqlite:///{folder / 'db.sqlite3'}",
        ROCKETCHAT_WORKSPACES="acme",
    )
    for alias, prefix in (("", ""), ("ACME_", "/acme")):
        user_id, token = CREDENTIALS
        os.environ[f"ROCKETCHAT_{alias}URL"] = url + prefix
        os.environ[f"ROCKETCHAT_{alias}USER_ID"] = user_id
        os.environ[f"ROCKETCHAT_{alias}AUTH_TOKEN"] = token


def prepare_database() -> dict[str, str]:
    """Migrate, and create a superuser; return its credentials as headers."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from importmonitor.models import ApiToken

    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser("fuzz", "", None)
    _token, text = ApiToken.objects.issue(user, name="fuzz")
    return {"X-User-Id": str(user.pk), "X-Auth-Token": text}


def run_imports(workspaces: dict[str, Workspace], clock: Clock) -> None:
    """Run imports with several endings, and poll every minute; the last ones keep running."""
    from importmonitor.sync.poll import sync_workspace

    first, second = workspaces.values()
    imports: list[tuple[Ending, float]] = [
        ("done", 900),
        ("done-with-errors", 900),
        ("failed", 900),
        ("overshoot", 900),
        ("done", 3000),
    ]
    for ending, seconds in imports:
        first.start_import("csv", ending, seconds)
        second.start_import("slack", "done", seconds)
        for _ in range(20):
            clock.advance(60)
            for alias in ("default", "acme"):
                result = sync_workspace(alias, now=clock.now)
                assert result.ok, result.error


@contextmanager
def web_server(log: Path) -> Iterator[str]:
    """Serve the project on loopback until the block ends; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        bind = f"fd://{listener.fileno()}"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "project.wsgi", "--bind", bind),
                *("--workers", "2", "--no-control-socket", "--log-level", "warning"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        try:
            wait_for(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the server responds; exit with its log if it does not."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"The web server did not start:\n{log.read_text()}")


def fuzz(url: str, headers: dict[str, str], folder: Path) -> int:
    """Run schemathesis, which writes its report to `folder`; return its exit status."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml"), "run", f"{url}/api/schema/"),
        *("--seed", SEED, "--max-examples", EXAMPLES, "--generation-database", "none"),
        *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
        *sys.argv[1:],
    ]
    return subprocess.run(command, check=False, cwd=folder).returncode


if __name__ == "__main__":
    sys.exit(main())
