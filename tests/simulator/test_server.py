"""The HTTP server: connections, threads, prefixes."""

import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from simulator.server import Server
from simulator.workspace import Workspace

PATH = "/api/v1/getCurrentImportOperation"
HEADERS = {"X-User-Id": "adminadminadmin01", "X-Auth-Token": "the-token"}


def connect(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)


def request(
    connection: http.client.HTTPConnection, path: str = PATH, method: str = "GET"
) -> tuple[int, bytes]:
    connection.request(method, path, headers=HEADERS)
    response = connection.getresponse()
    return response.status, response.read()


def test_connection_is_kept_and_quick(workspace: Workspace) -> None:
    workspace.start_import("csv")
    with Server(workspace) as server:
        connection = connect(server)
        request(connection)
        kept = connection.sock
        durations = []
        for _ in range(50):
            started_at = time.monotonic()
            status, body = request(connection)
            durations.append(time.monotonic() - started_at)
            assert status == 200
            assert json.loads(body) == {"operation": workspace.current(), "success": True}
        # With Nagle's algorithm, each would take 40 ms. A busy machine delays some of them.
        assert statistics.median(durations) < 0.03
        assert connection.sock is kept
        connection.close()


def test_responses_have_length_and_expected_headers(workspace: Workspace) -> None:
    with Server(workspace) as server:
        connection = connect(server)
        connection.request("GET", f"{PATH}?_=1", headers=HEADERS)
        response = connection.getresponse()
        assert response.status == 400
        assert int(response.headers["Content-Length"]) == len(response.read())
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        assert request(connection, method="HEAD") == (404, b"")
        connection.request("POST", PATH, body=b"{}", headers=HEADERS)
        assert connection.getresponse().read() == b"404 Not Found"
        assert request(connection)[0] == 200
        connection.close()


def test_date_is_that_of_the_servers_clock(workspace: Workspace) -> None:
    workspace.clock_offset = timedelta(hours=1)
    with Server(workspace) as server:
        connection = connect(server)
        connection.request("GET", PATH, headers=HEADERS)
        response = connection.getresponse()
        response.read()
        assert response.headers["Date"] == "Mon, 05 Jan 2026 10:03:07 GMT"
        connection.close()


def test_prefix_selects_workspace(make_workspace: Callable[..., Workspace]) -> None:
    first, second = make_workspace(era="8"), make_workspace(era="7")
    with Server({"": first, "/globex": second}) as server:
        connection = connect(server)
        assert json.loads(request(connection, "/api/info")[1])["version"] == "8.0.1"
        assert json.loads(request(connection, "/globex/api/info")[1])["version"] == "7.13.2"
        connection.close()
    with Server({"/globex": second}) as server:
        connection = connect(server)
        assert request(connection, "/globexx/api/info")[0] == 404
        assert request(connection, "/api/info")[0] == 404
        connection.close()


def test_close_ends_threads_and_connections_at_once(workspace: Workspace) -> None:
    before = set(threading.enumerate())
    with Server(workspace, latency=300) as server:
        idle, busy = connect(server), connect(server)
        idle.connect()
        busy.request("GET", PATH, headers=HEADERS)
        while len(set(threading.enumerate()) - before) < 3:
            time.sleep(0.001)
        closed_at = time.monotonic()
    assert time.monotonic() - closed_at < 30
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        connect(server).connect()
    idle.close()
    busy.close()


def test_latency_delays_response(workspace: Workspace) -> None:
    with Server(workspace, latency=0.05) as server:
        connection = connect(server)
        started_at = time.monotonic()
        assert request(connection)[0] == 200
        assert time.monotonic() - started_at >= 0.05
        connection.close()


def test_broken_client_does_not_disturb_others(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    with Server(workspace) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as client:
            client.sendall(b"nonsense\r\n\r\n")
            client.recv(1)
        connection = connect(server)
        assert request(connection)[0] == 200
        connection.close()
    assert capfd.readouterr() == ("", "")


def test_serves_many_clients_at_once(workspace: Workspace) -> None:
    workspace.start_import("csv")
    statuses: list[int] = []

    def client(server: Server) -> None:
        connection = connect(server)
        statuses.extend(request(connection)[0] for _ in range(20))
        connection.close()

    with Server(workspace) as server:
        threads = [threading.Thread(target=client, args=(server,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 160
    assert workspace.requests == {(PATH, 200): 160}


def test_port_in_use_is_an_error(workspace: Workspace) -> None:
    with Server(workspace) as server, pytest.raises(OSError, match="in use"):
        Server(workspace, port=urlsplit(server.url).port or 0)


def test_server_closes_without_start(workspace: Workspace) -> None:
    Server(workspace).close()
