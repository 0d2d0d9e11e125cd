"""`make demo` as a new user sees it, started once: it takes seconds."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.process.processes import start_process

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# `python -m project.demo`, but in its own folder, since another demo may be running, and with a
# shorter history, a faster import and more frequent polls, to save time.
START = """
import datetime, pathlib, sys
from project import demo
demo.FOLDER = pathlib.Path(sys.argv[1])
demo.HISTORY_DAYS = 24
demo.POLL_INTERVAL = 0.3
demo.IMPORT_SECONDS = 60.0
demo.RUNNING_FOR = datetime.timedelta(seconds=30)
sys.exit(demo.main())
"""

# In seconds, and for a busy machine: they only have to tell slow from never.
START_TIMEOUT = 120.0
PROGRESS_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
DEFAULT_PORT = 8000

RUNNING_STATES = {"New", "Loading", "Waiting", "Running"}
OUTCOMES = {"Done", "Done with errors", "Incomplete", "Failed", "Interrupted", "Superseded"}


@dataclass(frozen=True)
class Demo:
    """The running demo, and what it printed."""

    process: "subprocess.Popen[str]"
    children: set[int]
    admin: str
    login: str
    password: str
    endpoint: str
    headers: dict[str, str]
    simulator: str


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """The demo, started while its default port is in use."""
    process = start_process(
        [sys.executable, "-c", START, str(tmp_path)],
        cwd=BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(START_TIMEOUT, process.kill)
    timer.start()
    children: set[int] = set()
    try:
        with in_use(DEFAULT_PORT):
            printed = read_announcement(process)
        timer.cancel()
        children = children_of(process.pid)
        yield parse_announcement(process, children, printed)
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
        for child in filter(is_running, children):
            os.kill(child, signal.SIGKILL)


def test_demo_shows_a_history_and_a_running_import_and_stops_on_sigint(
    demo: Demo, tmp_path: Path
) -> None:
    site = urlsplit(demo.admin)
    assert site.port != DEFAULT_PORT
    link = f"http://{site.netloc}/admin/importmonitor/incident/"
    assert any(link in mail.read_text() for mail in (tmp_path / "inbox").iterdir())
    with closing(requests.Session()) as session:
        session.trust_env = False
        check_history(session, demo)
    check_progress(demo)
    check_stop(demo)


def check_history(session: requests.Session, demo: Demo) -> None:
    page = session.get(demo.admin, timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token, page.text
    form = {"username": demo.login, "password": demo.password, "csrfmiddlewaretoken": token[1]}
    history = session.post(page.url, data=form, timeout=10)
    assert (history.status_code, history.url) == (200, demo.admin)
    rows = re.search(r"result_list.*?<tbody>(.*?)</tbody>", history.text, re.DOTALL)
    assert rows
    assert len(set(re.findall(r"/importoperation/(\d+)/change/", rows[1]))) >= 20
    cells = re.findall(r'<td class="field-status_badge[^>]*>(.*?)</td>', rows[1], re.DOTALL)
    texts = [" ".join(re.sub(r"<[^>]+>|[^\w<>\s]", " ", cell).split()) for cell in cells]
    badges = [re.sub(r"<[^>]*>", "", badge) for badge in texts]
    assert set(badges) <= RUNNING_STATES | OUTCOMES | {"Canceled"}
    assert len(set(badges) & OUTCOMES) >= 4
    assert len([badge for badge in badges if badge in RUNNING_STATES]) == 1


def check_progress(demo: Demo) -> None:
    """Request the endpoint as the printed curl does, until the running import has progressed."""
    first = None
    ends_at = time.monotonic() + PROGRESS_TIMEOUT
    while time.monotonic() < ends_at:
        response = requests.get(demo.endpoint, headers=demo.headers, timeout=10)
        assert response.status_code == 200, response.text
        assert response.headers["X-Import-Sync"] == "ok"
        operation = response.json()["operation"]
        assert operation["valid"] is True
        progress = (operation["status"], operation.get("count"))
        if first is None:
            first = operation["_id"], progress
        elif progress != first[1]:
            assert operation["_id"] == first[0]
            return
        time.sleep(0.2)
    raise AssertionError(f"no progress since {first}")


def check_stop(demo: Demo) -> None:
    assert demo.children
    demo.process.send_signal(signal.SIGINT)
    out, err = demo.process.communicate(timeout=STOP_TIMEOUT)
    assert (demo.process.returncode, err) == (0, "")
    assert "The demo has stopped." in out
    assert [child for child in demo.children if is_running(child)] == []
    for url in (demo.admin, demo.simulator):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=1)


@contextmanager
def in_use(port: int) -> Iterator[None]:
    """Listen on a port of loopback, unless another process does already."""
    with socket.socket() as listener:
        with suppress(OSError):
            listener.bind(("127.0.0.1", port))
            listener.listen()
        yield


def read_announcement(process: "subprocess.Popen[str]") -> str:
    """Return what the demo prints until it has started."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Ctrl-C" in line:
            return printed
    assert process.stderr is not None
    raise AssertionError(f"the demo did not start in time: {printed}{process.stderr.read()}")


def parse_announcement(process: "subprocess.Popen[str]", children: set[int], printed: str) -> Demo:
    """Return what a user would click and copy."""
    match = re.search(
        r"Admin: +(?P<admin>\S+).*"
        r"Log in as: +(?P<login>\w+), password (?P<password>\w+).*"
        r"-H 'X-User-Id: (?P<user>\w+)'.*-H 'X-Auth-Token: (?P<token>\S+)' \\\s+(?P<url>\S+).*"
        r"simulated workspace: (?P<simulator>\S+)",
        printed,
        re.DOTALL,
    )
    assert match, printed
    return Demo(
        process=process,
        children=children,
        admin=match["admin"],
        login=match["login"],
        password=match["password"],
        endpoint=match["url"],
        headers={"X-User-Id": match["user"], "X-Auth-Token": match["token"]},
        simulator=match["simulator"],
    )


def children_of(pid: int) -> set[int]:
    """Return the child processes of a process."""
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and stat(int(entry.name))[1:2] == [str(pid)]
    }


def is_running(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"])


def stat(pid: int) -> list[str]:
    """Return a process's state, parent and so on; an empty list if it does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
