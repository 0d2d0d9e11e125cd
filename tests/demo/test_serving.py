"""What `make demo` and `make run` share."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from project import serving


class RunningProcess:
    """A web server's process that does not end."""

    def poll(self) -> None:
        return None


def test_repeated_sync_error_is_printed_once_and_does_not_end_the_loop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    results = iter(
        [
            CommandError("the database could not be used: locked"),
            CommandError("the database could not be used: locked"),
            SystemExit(1),
            None,
        ]
    )

    def sync(*_args: Any, **_options: Any) -> None:
        result = next(results, "the end")
        if result == "the end":
            stop.set()
        elif isinstance(result, BaseException):
            raise result

    process: Any = RunningProcess()
    monkeypatch.setattr(serving, "call_command", sync)
    monkeypatch.setattr(serving, "close_old_connections", lambda: None)
    serving.sync_until(stop, process, interval=0)
    assert capsys.readouterr().err == (
        "the database could not be used: locked\nThe sync succeeded again.\n"
    )


def test_server_that_does_not_start_raises_the_end_of_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "")
    monkeypatch.setenv("DEBUG", "off")
    with (
        pytest.raises(SystemExit, match="did not start:\nSECRET_KEY is not set"),
        serving.web_server(serving.free_port(0), tmp_path / "log"),
    ):
        pass


def test_port_in_use_is_not_returned() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert serving.free_port(port) != port


def test_preferred_port_is_returned_if_free() -> None:
    with socket.socket() as holder:
        # Bound, so that no other process gets it, but not listening: the server could bind it.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        assert serving.free_port(port) == port
