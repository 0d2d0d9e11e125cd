"""What `make demo` and `make run` share: they end in words, and not for a passing trouble."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from project import serving


class Running:
    """A web server's process that goes on."""

    def poll(self) -> None:
        return None


def test_a_passing_trouble_is_told_once_and_survived(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    turns = iter(
        [
            CommandError("the database could not be used: locked"),
            CommandError("the database could not be used: locked"),
            SystemExit(1),
            None,
        ]
    )

    def sync(*_args: Any, **_options: Any) -> None:
        turn = next(turns, "the end")
        if turn == "the end":
            stop.set()
        elif isinstance(turn, BaseException):
            raise turn

    process: Any = Running()
    monkeypatch.setattr(serving, "call_command", sync)
    monkeypatch.setattr(serving, "close_old_connections", lambda: None)
    serving.sync_until(stop, process, interval=0)
    assert capsys.readouterr().err == (
        "the database could not be used: locked\nThe workspace can be looked at again.\n"
    )


def test_a_server_that_does_not_start_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "")
    monkeypatch.setenv("DEBUG", "off")
    with (
        pytest.raises(SystemExit, match="did not start:\nSECRET_KEY is not set"),
        serving.web_server(serving.free_port(0), tmp_path / "log"),
    ):
        pass


def test_a_port_that_is_taken_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serving.free_port(port) != port
    assert serving.free_port(port) == port
