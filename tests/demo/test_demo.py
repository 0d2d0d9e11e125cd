"""`make demo`, as a stranger meets it: started once, because it lives through three months."""

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

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# `python -m project.demo`, but in a folder of its own, as somebody may be watching another one,
# and with less of a past and a quicker import, as we are waiting for it.
START = """
import datetime, pathlib, sys
from project import demo
demo.FOLDER = pathlib.Path(sys.argv[1])
demo.DAYS = 30
demo.IMPORT_TAKES = 60.0
demo.UNDER_WAY_FOR = datetime.timedelta(seconds=30)
sys.exit(demo.main())
"""

STARTS_WITHIN = 60.0
MOVES_WITHIN = 30.0
STOPS_WITHIN = 5.0
PORT = 8000

OPEN = {"new", "loading", "ready", "importing"}
OUTCOMES = {"Done", "Done with errors", "Incomplete", "Failed", "Interrupted", "Superseded"}


@dataclass(frozen=True)
class Demo:
    """The demo under way, and what it said of itself."""

    process: "subprocess.Popen[str]"
    children: set[int]
    watch: str
    login: str
    password: str
    endpoint: str
    headers: dict[str, str]
    simulator: str


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """The demo, started while the port that it likes best is taken."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(tmp_path)],
        cwd=BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    impatience = threading.Timer(STARTS_WITHIN, process.kill)
    impatience.start()
    children: set[int] = set()
    try:
        with taken(PORT):
            told = what_it_says(process)
        impatience.cancel()
        children = children_of(process.pid)
        yield read(process, children, told)
    finally:
        impatience.cancel()
        process.kill()
        process.communicate()
        for child in filter(is_running, children):
            os.kill(child, signal.SIGKILL)


def test_the_demo(demo: Demo) -> None:
    assert urlsplit(demo.watch).port != PORT
    with closing(requests.Session()) as session:
        session.trust_env = False
        shows_the_history(session, demo)
        answers_as_rocketchat_and_moves(session, demo)
    ends_at_ctrl_c(demo)


def shows_the_history(session: requests.Session, demo: Demo) -> None:
    page = session.get(demo.watch, timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token, page.text
    form = {"username": demo.login, "password": demo.password, "csrfmiddlewaretoken": token[1]}
    history = session.post(page.url, data=form, timeout=10)
    assert (history.status_code, history.url) == (200, demo.watch)
    rows = re.search(r"result_list.*?<tbody>(.*?)</tbody>", history.text, re.DOTALL)
    assert rows
    assert len(set(re.findall(r"/importoperation/(\d+)/change/", rows[1]))) >= 20
    cells = re.findall(r'<td class="field-badge[^>]*>(.*?)</td>', rows[1], re.DOTALL)
    shown = [" ".join(re.sub(r"<[^>]+>|[^\w<>\s]", " ", cell).split()) for cell in cells]
    badges = [re.sub(r"<[^>]*>", "", badge) for badge in shown]
    assert set(badges) <= OPEN | OUTCOMES | {"Canceled"}
    assert len(set(badges) & OUTCOMES) >= 4
    assert len([badge for badge in badges if badge in OPEN]) == 1


def answers_as_rocketchat_and_moves(session: requests.Session, demo: Demo) -> None:
    """Ask as the printed curl does until the import under way has moved."""
    first = None
    ends_at = time.monotonic() + MOVES_WITHIN
    while time.monotonic() < ends_at:
        response = requests.get(demo.endpoint, headers=demo.headers, timeout=10)
        assert response.status_code == 200, response.text
        assert response.headers["X-Import-Sync"] == "ok"
        operation = response.json()["operation"]
        assert operation["valid"] is True
        seen = (operation["status"], operation.get("count"))
        if first is None:
            first = operation["_id"], seen
        elif seen != first[1]:
            assert operation["_id"] == first[0]
            return
        time.sleep(0.2)
    raise AssertionError(f"nothing moved: {first}")


def ends_at_ctrl_c(demo: Demo) -> None:
    assert demo.children
    began = time.monotonic()
    demo.process.send_signal(signal.SIGINT)
    out, err = demo.process.communicate(timeout=60)
    assert time.monotonic() - began < STOPS_WITHIN
    assert (demo.process.returncode, err) == (0, "")
    assert "nothing of it runs any more" in out
    assert [child for child in demo.children if is_running(child)] == []
    for url in (demo.watch, demo.simulator):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=1)


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Keep a port of loopback, unless somebody else does already."""
    with socket.socket() as listener:
        with suppress(OSError):
            listener.bind(("127.0.0.1", port))
            listener.listen()
        yield


def what_it_says(process: "subprocess.Popen[str]") -> str:
    """Return what the demo says up to the end of its block of text."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if "Ctrl-C" in line:
            return told
    assert process.stderr is not None
    raise AssertionError(f"it did not start in time: {told}{process.stderr.read()}")


def read(process: "subprocess.Popen[str]", children: set[int], told: str) -> Demo:
    """Read what a person would click and copy."""
    found = re.search(
        r"Watch it: +(?P<watch>\S+).*"
        r"Log in as: +(?P<login>\w+), password (?P<password>\w+).*"
        r"-H 'X-User-Id: (?P<user>\w+)'.*-H 'X-Auth-Token: (?P<token>\S+)' \\\s+(?P<url>\S+).*"
        r"simulated workspace itself: (?P<simulator>\S+)",
        told,
        re.DOTALL,
    )
    assert found, told
    return Demo(
        process=process,
        children=children,
        watch=found["watch"],
        login=found["login"],
        password=found["password"],
        endpoint=found["url"],
        headers={"X-User-Id": found["user"], "X-Auth-Token": found["token"]},
        simulator=found["simulator"],
    )


def children_of(pid: int) -> set[int]:
    """Return the processes that a process has started and that still run."""
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and stat(int(entry.name))[1:2] == [str(pid)]
    }


def is_running(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"])


def stat(pid: int) -> list[str]:
    """Return a process's state, its parent and so on; nothing if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()
