"""The endpoint under load, compared with a bare `JsonResponse` and a textbook DRF view.

    python -m benchmarks.endpoint

Two gunicorns with the host project's settings and middleware, one of them without the endpoint's
cache. wrk loads one view at a time, alternately, in short rounds. Needs wrk.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.databases import available
from benchmarks.environments import project_environment
from benchmarks.figures import Figure, alternate, at_least, median_ratio, run_benchmark
from benchmarks.processes import BASE_DIR, CannotMeasure, child
from benchmarks.workspaces import running_workspace
from project.serving import free_port
from simulator.server import Server

PATH = "/api/v1/getCurrentImportOperation"
BARE, TEXTBOOK = "bare JsonResponse", "textbook DRF view"
CACHED, UNCACHED = "the endpoint", "the endpoint without its cache"
WORKERS, CONNECTIONS = 2, 16


class Comparison(NamedTuple):
    """A goal: one view is at least that many times as fast as the other."""

    view: str
    against: str
    at_least: float
    databases: tuple[str, ...] = ("SQLite", "PostgreSQL")


COMPARISONS = (
    Comparison(CACHED, BARE, 0.75),
    Comparison(CACHED, TEXTBOOK, 6, ("SQLite",)),
    Comparison(CACHED, TEXTBOOK, 10, ("PostgreSQL",)),
    Comparison(UNCACHED, TEXTBOOK, 1.25),
)


@dataclass(frozen=True)
class Target:
    """A view's URL, and the headers that it is requested with."""

    url: str
    headers: Mapping[str, str]

    def document(self) -> Any:
        """Request it once; return the JSON document."""
        # Without a proxy: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url, headers=dict(self.headers))
        with opener.open(request) as response:
            return json.load(response)

    def requests_per_second(self, seconds: int) -> float:
        """Load it. Raises CannotMeasure unless every response has the status 200."""
        headers = [part for item in self.headers.items() for part in ("-H", ": ".join(item))]
        # One thread: the processors are for the servers.
        options = ["--threads", "1", "--connections", str(CONNECTIONS), f"-d{seconds}s", *headers]
        finished = subprocess.run(
            ["wrk", *options, self.url], capture_output=True, text=True, check=False
        )
        rate = re.search(r"^Requests/sec:\s*([\d.]+)", finished.stdout, re.MULTILINE)
        if not rate or "Non-2xx" in finished.stdout or "Socket errors" in finished.stdout:
            raise CannotMeasure(f"{self.url}:\n{finished.stdout}{finished.stderr}")
        return float(rate[1])


def figures(rounds: int = 5, seconds: int = 1) -> Iterator[Figure]:
    if shutil.which("wrk") is None:
        raise CannotMeasure("wrk is not installed (apt-get install wrk, brew install wrk).")
    for database, server in available("SQLite", "PostgreSQL").items():
        with targets(server) as views:
            jobs = {
                name: partial(target.requests_per_second, seconds) for name, target in views.items()
            }
            # Warm up.
            alternate(1, jobs)
            rates = alternate(rounds, jobs)
        for comparison in COMPARISONS:
            if database in comparison.databases:
                yield Figure(
                    f"{comparison.view}, gunicorn, {database}",
                    statistics.median(rates[comparison.view]),
                    "/s",
                    comparison.against,
                    median_ratio(rates[comparison.view], rates[comparison.against]),
                    at_least(comparison.at_least),
                    is_speed=True,
                )


@contextmanager
def targets(server: str) -> Iterator[dict[str, Target]]:
    """Run the servers; yield the views, each of which has returned the right document once."""
    workspace = running_workspace()
    operation = workspace.current()
    assert operation is not None
    document = {"operation": operation, "success": True}
    with (
        TemporaryDirectory() as folder,
        Server(workspace) as simulator,
        project_environment(
            {"default": simulator.url},
            server,
            DJANGO_SETTINGS_MODULE="benchmarks.textbook.settings",
        ) as environment,
    ):
        with child(environment) as call:
            ours, textbook = call("benchmarks.endpoint.prepare")
        body = Path(folder, "body.json")
        body.write_text(json.dumps(document))
        environment["ENDPOINT_BODY"] = str(body)
        cached = environment | {"IMPORTMONITOR_REMEMBER_FOR": "1"}
        uncached = environment | {"IMPORTMONITOR_REMEMBER_FOR": "0"}
        with gunicorn(cached) as url, gunicorn(uncached) as uncached_url:
            views = {
                BARE: Target(f"{url}/bare", {}),
                CACHED: Target(url + PATH, ours),
                UNCACHED: Target(uncached_url + PATH, ours),
                TEXTBOOK: Target(f"{url}/textbook", textbook),
            }
            for name, view in views.items():
                returned = view.document()
                if name == TEXTBOOK:
                    is_right = returned["remote_id"] == operation["_id"]
                else:
                    is_right = returned == document
                if not is_right:
                    raise CannotMeasure(f"{name} returned {returned}.")
            yield views


def prepare() -> list[dict[str, str]]:
    """Store an operation and a user who may see it; return the headers for both views."""
    from django.contrib.auth.models import Permission, User
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    from importmonitor.models import ApiToken

    call_command("sync_import_status", verbosity=0)
    user = User.objects.create_user("tool")
    user.user_permissions.add(Permission.objects.get(codename="run-import"))
    _token, text = ApiToken.objects.issue(user)
    return [
        {"X-User-Id": str(user.pk), "X-Auth-Token": text},
        {"Authorization": f"Token {Token.objects.create(user=user).key}"},
    ]


@contextmanager
def gunicorn(environment: Mapping[str, str]) -> Iterator[str]:
    """Run the project on loopback; yield its URL once it responds."""
    port = free_port(0)
    options = f"--workers {WORKERS} --bind 127.0.0.1:{port} --log-level warning".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "--no-control-socket", "project.wsgi"],
        cwd=BASE_DIR,
        env=dict(environment),
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while not responds(f"{url}/bare"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotMeasure("gunicorn does not respond.")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def responds(url: str) -> bool:
    """Return whether the server accepts requests."""
    try:
        Target(url, {}).document()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(run_benchmark(figures))
