import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from simulator.server import Server
from simulator.workspace import Workspace

PATH = "/api/v1/getCurrentImportOperation"
HEADERS = {"X-User-Id": "adminadminadmin01", "X-Auth-Token": "the-token"}


def connect(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)


def ask(
    connection: http.client.HTTPConnection, path: str = PATH, method: str = "GET"
) -> tuple[int, bytes]:
    connection.request(method, path, headers=HEADERS)
    response = connection.getresponse()
    return response.status, response.read()


def test_a_connection_is_kept_and_quick(workspace: Workspace) -> None:
    workspace.start_import("csv")
    with Server(workspace) as server:
        connection = connect(server)
        ask(connection)
        kept = connection.sock
        began = time.monotonic()
        for _ in range(50):
            status, body = ask(connection)
            assert status == 200
            assert json.loads(body) == {"operation": workspace.current(), "success": True}
        # With Nagle's algorithm each would take 40 ms.
        assert time.monotonic() - began < 1
        assert connection.sock is kept
        connection.close()


def test_lengths_are_set_and_nothing_is_said_of_the_server(workspace: Workspace) -> None:
    with Server(workspace) as server:
        connection = connect(server)
        connection.request("GET", f"{PATH}?_=1", headers=HEADERS)
        response = connection.getresponse()
        assert response.status == 400
        assert int(response.headers["Content-Length"]) == len(response.read())
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        assert ask(connection, method="HEAD") == (404, b"")
        connection.request("POST", PATH, body=b"{}", headers=HEADERS)
        assert connection.getresponse().read() == b"404 Not Found"
        assert ask(connection)[0] == 200
        connection.close()


def test_several_workspaces_under_prefixes(make: Callable[..., Workspace]) -> None:
    first, second = make(era=8), make(era=7)
    with Server({"": first, "/globex": second}) as server:
        connection = connect(server)
        assert json.loads(ask(connection, "/api/info")[1])["version"] == "8.0.1"
        assert json.loads(ask(connection, "/globex/api/info")[1])["version"] == "7.13.2"
        connection.close()
    with Server({"/globex": second}) as server:
        connection = connect(server)
        assert ask(connection, "/globexx/api/info")[0] == 404
        assert ask(connection, "/api/info")[0] == 404
        connection.close()


def test_closing_ends_threads_and_connections_at_once(workspace: Workspace) -> None:
    before = threading.active_count()
    with Server(workspace, latency=30) as server:
        idle, busy = connect(server), connect(server)
        idle.connect()
        busy.request("GET", PATH, headers=HEADERS)
        while threading.active_count() < before + 3:
            time.sleep(0.001)
        began = time.monotonic()
    assert time.monotonic() - began < 0.5
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        connect(server).connect()
    idle.close()
    busy.close()


def test_latency(workspace: Workspace) -> None:
    with Server(workspace, latency=0.05) as server:
        connection = connect(server)
        began = time.monotonic()
        assert ask(connection)[0] == 200
        assert time.monotonic() - began >= 0.05
        connection.close()


def test_a_client_that_hangs_up_or_talks_nonsense_disturbs_nobody(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    with Server(workspace) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=5) as client:
            client.sendall(b"nonsense\r\n\r\n")
            client.recv(1)
        connection = connect(server)
        assert ask(connection)[0] == 200
        connection.close()
    assert capfd.readouterr() == ("", "")


def test_many_clients_at_once(workspace: Workspace) -> None:
    workspace.start_import("csv")
    statuses: list[int] = []

    def client(server: Server) -> None:
        connection = connect(server)
        statuses.extend(ask(connection)[0] for _ in range(20))
        connection.close()

    with Server(workspace) as server:
        threads = [threading.Thread(target=client, args=(server,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 160
    assert workspace.requests == {(PATH, 200): 160}


def test_a_port_that_is_taken_is_an_error(workspace: Workspace) -> None:
    with Server(workspace) as server, pytest.raises(OSError, match="in use"):
        Server(workspace, port=urlsplit(server.url).port or 0)


def test_a_server_that_was_never_started_closes_too(workspace: Workspace) -> None:
    Server(workspace).close()
