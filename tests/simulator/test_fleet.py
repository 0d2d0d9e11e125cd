"""A fleet: thousands of workspaces in one process, of which nothing is stored."""

import http.client
import json
import re
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from simulator.__main__ import main
from simulator.clock import Clock
from simulator.fleet import FAILURES, Fleet
from simulator.fleet_settings import FleetSettings
from simulator.kinds import FINISHED, KINDS
from simulator.responses import respond
from simulator.workspace import Workspace
from tests.process.processes import start_process

PATH = "/api/v1/getCurrentImportOperation"
HEADERS = {"X-User-Id": "simulatedUser0001", "X-Auth-Token": "simulated-token"}
START = datetime(2026, 1, 5, 9, 3, 7, 250_999, tzinfo=UTC)
#: A fleet whose failures last longer than any test.
FAILING = ("--failing", "0.5", "--outage", "1e9")

StartFleet = Callable[..., "RunningFleet"]


def make_fleet(**options: Any) -> Fleet:
    values = {"size": 20_000, "clock": Clock(START), "seed": 0, "user_id": "u", "token": "t"}
    return Fleet(**{**values, **options})


class RunningFleet:
    """A process that serves a fleet."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        self.lines = [process.stdout.readline() for _ in range(6)]
        self.url = self.lines[1].strip().partition("=")[2]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = self.connect()
        connection.request("GET", path, headers=HEADERS)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def memory(self) -> int:
        """Return its memory in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [size] = re.findall(r"VmRSS:\s*(\d+)", status)
        return int(size)


@pytest.fixture
def start_fleet() -> Iterator[StartFleet]:
    with ExitStack() as stack:

        def start_fleet(*arguments: str) -> RunningFleet:
            process = start_process(
                [sys.executable, "-m", "simulator", "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return RunningFleet(process)

        yield start_fleet


def test_import_advances_ends_and_another_follows() -> None:
    fleet = make_fleet(active=0.5)
    number, first = next(
        (number, document)
        for number in range(fleet.size)
        if (document := fleet.workspace(number).current())["status"] == "importer_uploading"
    )
    statuses, completed = [], []
    while (document := fleet.workspace(number).current())["_id"] == first["_id"]:
        statuses.append(document["status"])
        completed.append(document.get("count", {}).get("completed", 0))
        assert fleet.is_active(number) == (document["status"] not in FINISHED)
        fleet.clock.advance(5)
    assert statuses[-1] in FINISHED
    assert len(set(statuses)) > 5
    assert completed == sorted(completed)
    assert document["ts"] > first["ts"]
    newest, before = fleet.workspace(number).latest()
    assert newest == fleet.workspace(number).current()
    assert (before["_id"], before["valid"]) == (first["_id"], False)
    assert before["_updatedAt"] == newest["ts"]


def test_documents_are_those_of_an_ordinary_workspace() -> None:
    """The same fields in the same order, at the end of an import of each kind."""
    fleet = make_fleet(active=1e-6)
    documents = {
        document["importerKey"]: document
        for document in (fleet.workspace(number).current() for number in range(500))
        if document["status"] == "importer_done"
    }
    assert documents.keys() == KINDS.keys()
    for kind, document in documents.items():
        workspace = Workspace(Clock(START))
        workspace.start_import(kind)
        workspace.clock.advance(3600)
        ordinary = workspace.current()
        assert ordinary is not None
        assert [*document] == [*ordinary]
        assert [*document["count"]] == [*ordinary["count"]]
        for name in ("type", "status", "valid", "contentType"):
            assert document.get(name) == ordinary.get(name)
        if "file" in document:
            # The date and time, the user, the name.
            _, user, name = document["file"].split("_", 2)
            assert (user, name) == (document["user"], ordinary["file"].split("_", 2)[2])


@pytest.mark.long
def test_state_follows_from_seed_and_clock() -> None:
    def documents(fleet: Fleet) -> list[dict[str, Any]]:
        return [fleet.workspace(number).current() for number in range(50)]

    fleet, late = make_fleet(), make_fleet(clock=Clock(START + timedelta(days=1)))
    fleet.clock.advance(86_400)
    assert documents(fleet) == documents(late)
    assert len({document["_id"] for document in documents(fleet)}) == 50
    other = {document["_id"] for document in documents(make_fleet(seed=1))}
    assert other.isdisjoint(document["_id"] for document in documents(fleet))


@pytest.mark.long
def test_shares_are_active_and_fail() -> None:
    fleet = make_fleet(active=0.05, failing=0.1)
    for _ in range(2):
        active = sum(map(fleet.is_active, range(fleet.size)))
        failures = Counter(map(fleet.failure, range(fleet.size)))
        failures.pop(None)
        assert active / fleet.size == pytest.approx(0.05, rel=0.1)
        assert failures.total() / fleet.size == pytest.approx(0.1, rel=0.1)
        assert failures.keys() == set(FAILURES)
        assert min(failures.values()) > failures.total() / 5
        fleet.clock.advance(10_000)


def test_names_of_users_are_known() -> None:
    workspace = make_fleet(user_id=HEADERS["X-User-Id"], token=HEADERS["X-Auth-Token"]).workspace(7)
    user = workspace.current()["user"]
    response = respond(workspace, "GET", "/api/v1/users.info", f"userId={user}", HEADERS)
    assert json.loads(response.body)["user"]["_id"] == user


def test_settings_are_read_one_at_a_time() -> None:
    settings = FleetSettings("http://127.0.0.1:9", 10**6, {"USER_ID": "u"})
    assert settings["w999999"] == {"URL": "http://127.0.0.1:9/w999999", "USER_ID": "u"}
    assert len(settings) == 10**6
    assert next(iter(settings)) == "w0"
    for alias in ("w1000000", "w01", "w", "x1", "w-1", "w١", 1):
        assert alias not in settings
    with pytest.raises(KeyError):
        settings["w1000000"]


@pytest.mark.long
def test_a_hundred_thousand_are_served_by_one_small_process(
    start_fleet: StartFleet, tmp_path: Path
) -> None:
    log = tmp_path / "requests.log"
    few = start_fleet("--workspaces", "10")
    many = start_fleet("--workspaces", "100000", "--log", str(log), "--latency", "20")
    assert many.lines[-1] == (
        'IMPORTMONITOR["WORKSPACES"] = "simulator.fleet_settings.workspaces"\n'
    )
    ids = set()
    for number in (0, 50_000, 99_999):
        status, body = many.get(f"/w{number}{PATH}")
        assert status == 200
        ids.add(json.loads(body)["operation"]["_id"])
    assert len(ids) == 3
    assert many.get(f"/w100000{PATH}")[0] == many.get(PATH)[0] == 404
    # All bytes of one operation for every workspace would be 30 MiB.
    assert many.memory() - few.memory() < 4096
    # Two requests to one workspace, the second of which begins before the first has ended.
    connections = [many.connect() for _ in range(2)]
    for connection in connections:
        connection.request("GET", f"/w7{PATH}", headers=HEADERS)
    for connection in connections:
        assert connection.getresponse().read()
        connection.close()
    many.process.send_signal(signal.SIGINT)
    assert many.process.communicate(timeout=60) == (
        "5 requests, 1 of which overlapped another to the same workspace\n",
        "",
    )
    assert many.process.returncode == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(line[2]) for line in lines) == [0, 7, 7, 50_000, 99_999]
    assert {tuple(line[3:]) for line in lines} == {("getCurrentImportOperation", "200")}


def test_some_fail_and_none_delays_another(start_fleet: StartFleet) -> None:
    running = start_fleet("--workspaces", "1000", *FAILING)
    fleet = make_fleet(clock=Clock(datetime.now(UTC)), failing=0.5, outage=1e9)
    numbers = {fleet.failure(number): number for number in range(1000)}
    hanging = running.connect()
    hanging.request("GET", f"/w{numbers['hanging']}{PATH}", headers=HEADERS)
    with pytest.raises(http.client.RemoteDisconnected):
        running.get(f"/w{numbers['unreachable']}{PATH}")
    assert running.get(f"/w{numbers['500']}{PATH}")[0] == 500
    status, body = running.get(f"/w{numbers['401']}{PATH}")
    assert (status, json.loads(body)["status"]) == (401, "error")
    assert running.get(f"/w{numbers[None]}{PATH}")[0] == 200
    # All of them have been served, and it still hangs.
    assert hanging.sock is not None
    assert select.select([hanging.sock], [], [], 0)[0] == []
    running.process.terminate()
    output, errors = running.process.communicate(timeout=60)
    assert (output.split()[0], errors, running.process.returncode) == ("5", "", 0)
    hanging.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--import", "csv", "--workspaces", "10"],
        ["--rate-limit", "10", "--workspaces", "10"],
        ["--latency", "5"],
        ["--workspaces", "0"],
        ["--active", "1", "--workspaces", "10"],
        ["--failures", "404", "--workspaces", "10"],
    ],
)
def test_option_that_does_not_apply_is_named(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err.splitlines()[-1]
