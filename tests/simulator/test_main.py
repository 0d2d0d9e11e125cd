"""The command `python -m simulator`."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from simulator.__main__ import main
from tests.process.processes import start_process

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    with ExitStack() as stack:

        def run(*arguments: str) -> "subprocess.Popen[str]":
            process = start_process(
                [sys.executable, "-m", "simulator", "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_prints_its_settings_serves_and_stops_on_signal(run: Run, number: int) -> None:
    process = run(
        *("--era", "7", "--integer-ts", "--import", "slack", "--rate-limit", "none"),
        *("--clock-offset", "-3600"),
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip("\n") for _ in range(4)]
    assert lines[0].startswith("Rocket.Chat 7.13.2, simulated, at http://127.0.0.1:")
    exported = dict(line.removeprefix("export ").split("=", 1) for line in lines[1:])
    assert list(exported) == ["ROCKETCHAT_URL", "ROCKETCHAT_USER_ID", "ROCKETCHAT_AUTH_TOKEN"]
    connection = http.client.HTTPConnection(urlsplit(exported["ROCKETCHAT_URL"]).netloc, timeout=60)
    headers = {
        "X-User-Id": exported["ROCKETCHAT_USER_ID"],
        "X-Auth-Token": exported["ROCKETCHAT_AUTH_TOKEN"],
    }
    connection.request("GET", "/api/v1/getCurrentImportOperation", headers=headers)
    operation = json.loads(connection.getresponse().read())["operation"]
    connection.close()
    assert operation["importerKey"] == "slack"
    assert isinstance(operation["ts"], int)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_another_import_follows(run: Run) -> None:
    process = run("--speed", "100000", "--rate-limit", "none")
    assert process.stdout is not None
    url = process.stdout.readline().split()[4]
    environment = [process.stdout.readline().rstrip().partition("=")[2] for _ in range(3)]
    headers = {"X-User-Id": environment[1], "X-Auth-Token": environment[2]}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    operations: list[object] = []
    while len(operations) < 2:
        time.sleep(0.02)
        connection.request("GET", "/api/v1/getLatestImportOperations", headers=headers)
        operations = json.loads(connection.getresponse().read())
    connection.close()


def test_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"simulator: cannot serve on port {port}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--import", "pending-files", "--ending", "waiting"],
    ],
)
def test_contradicting_options_are_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "0"],
        ["--rate-limit", "0"],
        ["--seconds", "x"],
        ["--era", "4"],
        ["--clock-offset", "x"],
    ],
)
def test_invalid_option_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err
