"""When the client tries again, and which connection it uses."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from importmonitor.rocketchat import client as client_module
from importmonitor.rocketchat import deadline as deadline_module
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
from tests.remote.helpers import GOOD, NO_OPERATION, workspace_config
from tests.remote.servers import (
    Behaviour,
    Connection,
    Server,
    answering,
    http,
    in_turn,
    resetting,
    silent,
)


def replace_clock(
    monkeypatch: pytest.MonkeyPatch,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    clock = SimpleNamespace(monotonic=monotonic, sleep=sleep)
    for module in (client_module, deadline_module):
        monkeypatch.setattr(module, "time", clock)


@pytest.mark.parametrize(
    "failing",
    [
        *(
            pytest.param(answering(http("down", status, "text/plain")), id=str(status))
            for status in (502, 503, 504)
        ),
        pytest.param(resetting, id="reset"),
    ],
)
def test_third_attempt_succeeds(failing: Behaviour) -> None:
    with (
        Server(in_turn(failing, failing, answering(GOOD))) as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.current_operation() is not None
    assert len(server.heads) == 3


def test_pause_doubles_until_server_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(GOOD), listening=False) as server:
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                server.listen()

        replace_clock(monkeypatch, sleep=sleep)
        with Client(workspace_config(server.url)) as client:
            assert client.current_operation() is not None
    first, second = pauses
    assert 0.005 <= first <= 0.015
    assert 0.01 <= second <= 0.03


@pytest.mark.parametrize("behaviour", [answering(http("down", 503)), resetting])
def test_third_attempt_is_last(behaviour: Behaviour) -> None:
    with (
        Server(behaviour) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(Unreachable),
    ):
        client.current_operation()
    assert len(server.heads) == 3


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (http('{"success": false}', 500), Unreachable),
        (http('{"status": "error", "message": "no"}', 401), Unauthenticated),
        (http('{"success": false, "error": "no"}', 403), PermissionMissing),
        (http('{"success": false, "error": "no"}', 429), RateLimited),
        (http("no", 404, "text/plain"), NotRocketChat),
        (http("{"), BadAnswer),
    ],
)
def test_other_errors_are_not_retried(response: bytes, kind: type[RocketChatError]) -> None:
    with (
        Server(answering(response)) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(kind),
    ):
        client.current_operation()
    assert len(server.heads) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("value", ["1", "3600", "Fri, 31 Dec 2100 00:00:00 GMT", "soon", "-1", ""])
def test_server_that_says_when_to_retry_is_not_asked_before(status: int, value: str) -> None:
    response = http("maintenance", status, "text/plain", headers={"Retry-After": value})
    with (
        Server(answering(response)) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(Unreachable, match=str(status)),
    ):
        client.current_operation()
    assert len(server.heads) == 1


def test_timeout_is_not_retried() -> None:
    """More requests do not help a server that is too slow."""
    with (
        Server(silent) as server,
        Client(workspace_config(server.url, timeout=0.1)) as client,
        pytest.raises(Unreachable, match=r"no data for 0\.1 s"),
    ):
        client.current_operation()
    assert server.connections == 1


def test_no_retry_if_pause_passes_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", 300)
    replace_clock(monkeypatch, sleep=lambda seconds: pytest.fail(f"slept {seconds} s"))
    with (
        Server(answering(http("down", 503))) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(Unreachable, match="503"),
    ):
        client.current_operation()
    assert len(server.heads) == 1


# The kept connection.


def test_two_calls_share_a_connection() -> None:
    with (
        Server(answering(GOOD, NO_OPERATION)) as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.current_operation() is not None
        assert client.current_operation() is None
    assert len(server.heads) == 2
    assert server.connections == 1


def test_closed_connection_is_replaced() -> None:
    with Server(answering(GOOD)) as server, Client(workspace_config(server.url)) as client:
        client.current_operation()
        server.wait_until_hung_up()
        assert client.current_operation() is not None
    assert server.connections == 2
    assert len(server.heads) == 2


def test_connection_closed_during_request_is_replaced() -> None:
    def respond_and_reset(connection: Connection) -> None:
        answering(GOOD)(connection)
        resetting(connection)

    with (
        Server(in_turn(respond_and_reset, answering(NO_OPERATION))) as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.current_operation() is not None
        assert client.current_operation() is None
    assert server.connections == 2
    assert len(server.heads) == 3


def test_each_call_has_its_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    replace_clock(monkeypatch, monotonic=lambda: time.monotonic() + passed)
    with (
        Server(answering(GOOD, GOOD, GOOD)) as server,
        Client(workspace_config(server.url, deadline=60)) as client,
    ):
        for _ in range(3):
            assert client.current_operation() is not None
            passed += 50
    assert server.connections == 1
