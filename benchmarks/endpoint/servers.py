"""Web servers with the project in them, and the load that is put on them."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.hosts import BASE_DIR
from benchmarks.processes import CannotMeasure
from project.serving import free_port

WORKERS = 2
CONNECTIONS = 16
APPLICATION = "project.wsgi:application"
COMMANDS = {
    "gunicorn": "--workers {workers} --worker-class sync --bind 127.0.0.1:{port} "
    "--log-level warning --no-control-socket",
    "granian": "--interface wsgi --workers {workers} --blocking-threads 1 --port {port} "
    "--log-level warning",
}
CHECK = Path(__file__).with_name("check.lua")
NO_WRK = (
    "wrk is not installed. On Debian and Ubuntu: apt-get install wrk; on macOS: brew install wrk"
)


@dataclass(frozen=True)
class Site:
    """A web server's URL, and its process."""

    url: str
    pid: int

    def cpu(self) -> float:
        """Return the seconds of processors that it and its workers have taken."""
        stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat")]
        # What comes after the name, which can hold anything: state, parent, … (proc(5)).
        fields = {int(each.split()[0]): each.rpartition(")")[2].split() for each in stats}
        mine = [each for pid, each in fields.items() if self.pid in (pid, int(each[1]))]
        return sum(int(each[11]) + int(each[12]) for each in mine) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """What is asked: a path of a site with these headers, and the answer that is right."""

    site: Site
    path: str
    headers: Mapping[str, str]
    status: int
    body: bytes


class Load(NamedTuple):
    """What a site did: requests a second, and the microseconds of its processors for each."""

    rate: float
    cpu: float


@contextmanager
def serving(server: str, environment: Mapping[str, str], log: Path) -> Iterator[Site]:
    """Run a web server with the project on loopback, and give it once it answers."""
    port = free_port(0)
    options = COMMANDS[server].format(workers=WORKERS, port=port).split()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", server, *options, APPLICATION],
            cwd=BASE_DIR,
            env=dict(environment),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while not answers(f"{url}/bare"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CannotMeasure(f"{server} does not answer:\n{log.read_text()}")
            time.sleep(0.1)
        yield Site(url, process.pid)
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Tell whether somebody answers there."""
    try:
        ask(url, {})
    except OSError:
        return False
    return True


def ask(url: str, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    """Get a URL; return the status, the ETag or "", and the body."""
    # Whatever proxies there are, this is loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=dict(headers))) as got:
            return got.status, got.headers.get("ETag", ""), got.read()
    except urllib.error.HTTPError as error:
        return error.code, "", error.read()


def load(target: Target, seconds: int, folder: Path) -> Load:
    """Ask for a target as often as it answers.

    Raises CannotMeasure unless every answer was right.
    """
    body = folder / "expected"
    body.write_bytes(target.body)
    headers = [part for each in target.headers.items() for part in ("-H", ": ".join(each))]
    # One thread of it is idle most of the time: the processors are for the servers.
    size = ["--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    asked = [target.site.url + target.path, "--", str(target.status), str(body)]
    before = target.site.cpu()
    done = subprocess.run(
        ["wrk", *size, "--script", str(CHECK), *headers, *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    spent = target.site.cpu() - before
    if done.returncode:
        raise CannotMeasure(f"wrk failed:\n{done.stdout}{done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    if told["wrong"] or told["lost"] or not told["requests"]:
        raise CannotMeasure(f"{target.site.url}{target.path}: {told}\n{done.stderr}")
    return Load(told["requests"] / told["seconds"], spent * 1e6 / told["requests"])
