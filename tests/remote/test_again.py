"""When the client asks once more, when it does not, and over which connection."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from importmonitor.rocketchat import client as client_module
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.exceptions import (
    BadAnswer,
    NotRocketChat,
    PermissionMissing,
    RateLimited,
    RocketChatError,
    Unauthenticated,
    Unreachable,
)
from tests.remote.asking import GOOD, NONE, workspace
from tests.remote.servers import (
    Connection,
    Server,
    answering,
    http,
    in_turn,
    resetting,
    silent,
)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_a_server_is_asked_again(status: int) -> None:
    away = answering(http("away", status, "text/plain"))
    with (
        Server(in_turn(away, away, answering(GOOD))) as server,
        Client(workspace(server.url)) as client,
    ):
        assert client.current_operation() is not None
    assert len(server.heads) == 3


def test_a_reset_is_asked_again() -> None:
    with (
        Server(in_turn(resetting, resetting, answering(GOOD))) as server,
        Client(workspace(server.url)) as client,
    ):
        assert client.current_operation() is not None
    assert len(server.heads) == 3


def test_a_server_that_comes_up_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(GOOD), listening=False) as server:
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                server.listen()

        clock = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
        monkeypatch.setattr(client_module, "time", clock)
        with Client(workspace(server.url)) as client:
            assert client.current_operation() is not None
    first, second = pauses
    assert 0.005 <= first <= 0.015
    assert 0.01 <= second <= 0.03


@pytest.mark.parametrize("behaviour", [answering(http("away", 503)), resetting])
def test_three_attempts_are_enough(behaviour: Callable[[Connection], None]) -> None:
    with (
        Server(behaviour) as server,
        Client(workspace(server.url)) as client,
        pytest.raises(Unreachable),
    ):
        client.current_operation()
    assert len(server.heads) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http('{"success": false}', 500), Unreachable),
        (http('{"status": "error", "message": "no"}', 401), Unauthenticated),
        (http('{"success": false, "error": "no"}', 403), PermissionMissing),
        (http('{"success": false, "error": "no"}', 429), RateLimited),
        (http("no", 404, "text/plain"), NotRocketChat),
        (http("{"), BadAnswer),
    ],
)
def test_what_will_not_change_is_asked_once(answer: bytes, kind: type[RocketChatError]) -> None:
    with (
        Server(answering(answer)) as server,
        Client(workspace(server.url)) as client,
        pytest.raises(kind),
    ):
        client.current_operation()
    assert len(server.heads) == 1


def test_silence_is_asked_once() -> None:
    """Whoever did not answer in time is not helped by being asked more."""
    with (
        Server(silent) as server,
        Client(workspace(server.url, timeout=0.1)) as client,
        pytest.raises(Unreachable, match=r"nothing came for 0\.1 s"),
    ):
        client.current_operation()
    assert server.connections == 1


def test_no_pause_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", 30)
    with Server(answering(http("away", 503))) as server, Client(workspace(server.url)) as client:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="503"):
            client.current_operation()
    assert time.monotonic() - began < 2
    assert len(server.heads) == 1


# One connection.


def test_two_calls_share_a_connection() -> None:
    with Server(answering(GOOD, NONE)) as server, Client(workspace(server.url)) as client:
        assert client.current_operation() is not None
        assert client.current_operation() is None
    assert len(server.heads) == 2
    assert server.connections == 1


def test_a_kept_connection_that_was_closed_meanwhile() -> None:
    with Server(answering(GOOD)) as server, Client(workspace(server.url)) as client:
        client.current_operation()
        server.wait_until_hung_up()
        assert client.current_operation() is not None
    assert server.connections == 2
    assert len(server.heads) == 2


def test_a_kept_connection_that_is_closed_at_that_moment() -> None:
    def answer_and_reset(connection: Connection) -> None:
        answering(GOOD)(connection)
        resetting(connection)

    with (
        Server(in_turn(answer_and_reset, answering(NONE))) as server,
        Client(workspace(server.url)) as client,
    ):
        assert client.current_operation() is not None
        assert client.current_operation() is None
    assert server.connections == 2
    assert len(server.heads) == 3


def test_the_deadline_begins_with_each_call() -> None:
    def slow(connection: Connection) -> None:
        while connection.read_head():
            connection.pause(0.15)
            connection.send(GOOD)

    with Server(slow) as server, Client(workspace(server.url, deadline=0.4)) as client:
        for _ in range(3):
            assert client.current_operation() is not None
    assert server.connections == 1
