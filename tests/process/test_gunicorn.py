"""The shipped configuration of gunicorn serves on while clients hold its threads."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process.processes import BASE_DIR, PATIENCE, Project, start_process, wait_for

pytestmark = pytest.mark.long

CONFIGURATION = BASE_DIR / "deploy" / "gunicorn.conf.py"
#: With fewer threads than there are slow clients, and limits that need no long wait.
SMALL = f"""
from runpy import run_path
from project import gunicorn_worker

globals().update(run_path({str(CONFIGURATION)!r}))
workers, threads = 1, 2
gunicorn_worker.REQUEST_TIMEOUT = gunicorn_worker.RESPONSE_TIMEOUT = 1.0
"""
ROWS = 5_000
#: Each may have one export at a time.
USERS = 5
PREPARE = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.test import Client
from importmonitor.models import ImportOperation
from tests.admin.helpers import make_row
from tests.api.helpers import NOON

ImportOperation.objects.bulk_create(
    make_row(key, started_at=NOON + timedelta(seconds=key)) for key in range({ROWS})
)
for number in range({USERS}):
    client = Client()
    client.force_login(User.objects.create_superuser(f"admin-{{number}}"))
    print(client.cookies["sessionid"].value)
"""
EXPORT = "/admin/importmonitor/importoperation/export/json/"


@dataclass
class Gunicorn:
    """A server with some slow clients."""

    pid: int
    port: int
    sessions: list[str]
    clients: list[socket.socket]

    def connect(self, request: str) -> socket.socket:
        """Send a request or a part of one, and read nothing."""
        client = socket.socket()
        self.clients.append(client)
        # So small that most of an export has to wait at the server.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", self.port))
        client.sendall(request.encode())
        return client

    def connect_slow_clients(self) -> list[socket.socket]:
        """Connect eight clients that do not complete their request, and four that do not read."""
        head = f"GET {EXPORT} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: sessionid="
        exports = [f"{head}{session}\r\n\r\n" for session in self.sessions[1:]]
        return [self.connect(part) for part in ["GET /heal"] * 8 + exports]

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", path, headers={"Cookie": f"sessionid={self.sessions[0]}"})
            response = connection.getresponse()
            assert response.status == 200
            return response.read()

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return {int(pid) for pid in children.read_text().split()}


@pytest.fixture
def start(unmigrated: Project) -> Iterator[Callable[[Path], Gunicorn]]:
    """Return a function that starts a server with a configuration, on a database with a history."""
    pytest.importorskip("gunicorn", reason="needs gunicorn")
    processes, clients = [], list[socket.socket]()

    def start(configuration: Path) -> Gunicorn:
        assert unmigrated.run("manage.py", "migrate", "--verbosity", "0").returncode == 0
        prepared = unmigrated.run("manage.py", "shell", "--verbosity", "0", "--command", PREPARE)
        assert prepared.returncode == 0, prepared.stderr
        process = unmigrated.start(
            *("-m", "gunicorn", "--config", str(configuration), "project.wsgi"),
            BIND="127.0.0.1:0",
            SECURE_SSL_REDIRECT="off",
        )
        processes.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if match := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", line):
                return Gunicorn(process.pid, int(match[1]), prepared.stdout.split(), clients)
        raise AssertionError(process.communicate())

    yield start
    for client in clients:
        client.close()
    for process in processes:
        # Which, unlike SIGTERM, does not wait for requests.
        process.send_signal(signal.SIGQUIT)
        wait_for(process)


def drip(client: socket.socket) -> None:
    """Send a request byte by byte; gunicorn's own limit is their number."""
    for _ in range(round(PATIENCE / 0.1)):
        client.send(b"G")
        time.sleep(0.1)


def test_slow_clients_do_not_hold_all_threads(start: Callable[[Path], Gunicorn]) -> None:
    server = start(CONFIGURATION)
    server.connect_slow_clients()
    server.get("/healthz")
    # Slow clients have no effect on others, whose responses can be large.
    assert len(json.loads(server.get(EXPORT))) == ROWS
    before = server.workers()
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    ends_at = time.monotonic() + PATIENCE
    while len(server.workers() - {killed}) < len(before) and time.monotonic() < ends_at:
        server.get("/healthz")
    assert len(server.workers()) == len(before)
    assert before & server.workers() == before - {killed}


def test_slow_clients_are_disconnected(start: Callable[[Path], Gunicorn], tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(SMALL)
    server = start(tmp_path / "gunicorn.conf.py")
    slow_clients = server.connect_slow_clients()
    dripping_client = server.connect("G")
    server.get("/healthz")
    for client in slow_clients:
        # What the server had sent before arrives; an ended connection has an end.
        with suppress(ConnectionResetError):
            while client.recv(65_536):
                pass
    with pytest.raises(OSError, match=r"reset|Broken"):
        drip(dripping_client)
    server.get("/healthz")


def test_access_log_has_no_query(start: Callable[[Path], Gunicorn], unmigrated: Project) -> None:
    server = start(CONFIGURATION)
    server.get("/healthz?token=hush")
    process = unmigrated.started[-1]
    process.terminate()
    log = wait_for(process)
    assert re.search(r'"GET /healthz" 200 \d+ [\d.]+$', log.stdout, re.MULTILINE)
    assert "hush" not in log.stdout + log.stderr


def start_activated(project: Project, listener: socket.socket) -> "subprocess.Popen[str]":
    """Start the server as systemd does, with the socket of importmonitor-web.socket."""
    arguments = ["gunicorn", "-c", str(CONFIGURATION), "project.wsgi"]
    code = (
        f"import os, sys; os.dup2({listener.fileno()}, 3); "
        "os.environ['LISTEN_PID'] = str(os.getpid()); "
        f"os.execv(sys.executable, [sys.executable, '-m', *{arguments!r}])"
    )
    process: subprocess.Popen[str] = start_process(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env=project.environment | {"LISTEN_FDS": "1"},
        pass_fds=[listener.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    project.started.append(process)
    assert process.stderr is not None
    next(line for line in process.stderr if "Booting worker" in line)
    return process


def test_restart_behind_the_socket_refuses_no_request(project: Project) -> None:
    pytest.importorskip("gunicorn", reason="needs gunicorn")
    statuses: list[int] = []
    is_over = threading.Event()

    def send_requests() -> None:
        while not is_over.is_set():
            connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
            with closing(connection):
                connection.request("GET", "/healthz")
                statuses.append(connection.getresponse().status)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(4) as pool:
        host, port = listener.getsockname()
        process = start_activated(project, listener)
        clients = [pool.submit(send_requests) for _ in range(4)]
        try:
            for _ in range(2):
                sent = len(statuses)
                process.terminate()
                process.communicate(timeout=PATIENCE)
                process = start_activated(project, listener)
                ends_at = time.monotonic() + PATIENCE
                while len(statuses) < sent + 50 and time.monotonic() < ends_at:
                    time.sleep(0.1)
        finally:
            is_over.set()
        for client in clients:
            client.result()
    assert len(statuses) >= 100
    assert set(statuses) == {200}
