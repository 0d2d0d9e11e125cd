"""What is asked of a workspace, and how good answers come in."""

import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import importmonitor
from importmonitor.rocketchat import client as client_module
from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.errors import (
    BadAnswer,
    NotRocketChat,
    PermissionMissing,
    RateLimited,
    RocketChatError,
    Unauthenticated,
    Unreachable,
)
from importmonitor.workspaces import Workspace
from tests.remote.servers import (
    Connection,
    Server,
    answering,
    dripping,
    has_ipv6,
    http,
    in_turn,
    resetting,
    silent,
)

USER_ID = "d26x6zSkaPSe5gCyy"
TOKEN = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"
OPERATION = {"_id": "7PbvsnKJD9ZAqw38C", "type": "CSV", "status": "importer_done", "valid": True}
GOOD = http(json.dumps({"operation": OPERATION, "success": True}))
NONE = http('{"success": true}')


def workspace(
    url: str, *, ca_bundle: Path | None = None, timeout: float = 5, deadline: float = 10
) -> Workspace:
    return Workspace(
        "default",
        url,
        USER_ID,
        TOKEN,
        ca_bundle=str(ca_bundle) if ca_bundle else None,
        timeout=timeout,
        deadline=deadline,
    )


def asked(head: str) -> tuple[str, dict[str, str]]:
    """Return a request's first line and its headers by their names in lower case."""
    first, *lines = head.split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return first, {name.lower(): value for name, value in pairs}


# What is asked.


def test_current_operation_is_asked_for_plainly() -> None:
    with Server(answering(GOOD)) as server, Client(workspace(server.url)) as client:
        operation = client.current_operation()
    assert operation is not None
    assert operation.remote_id == "7PbvsnKJD9ZAqw38C"
    assert operation.payload == OPERATION
    (head,) = server.heads
    first, headers = asked(head)
    # Without a query: Rocket.Chat answers 400 to any.
    assert first == "GET /api/v1/getCurrentImportOperation HTTP/1.1"
    assert headers["x-user-id"] == USER_ID
    assert headers["x-auth-token"] == TOKEN
    assert headers["user-agent"] == f"importmonitor/{importmonitor.__version__}"
    assert headers["accept"] == "application/json"
    assert "content-type" not in headers


def test_a_url_with_a_path() -> None:
    with Server(answering(GOOD)) as server, Client(workspace(f"{server.url}/chat")) as client:
        client.current_operation()
    assert asked(server.heads[0])[0] == "GET /chat/api/v1/getCurrentImportOperation HTTP/1.1"


def test_latest_operations_are_asked_for_plainly() -> None:
    body = json.dumps([OPERATION, OPERATION | {"_id": "other"}])
    with Server(answering(http(body))) as server, Client(workspace(server.url)) as client:
        operations = client.latest_operations()
    assert [operation.remote_id for operation in operations] == ["7PbvsnKJD9ZAqw38C", "other"]
    first, headers = asked(server.heads[0])
    assert first == "GET /api/v1/getLatestImportOperations HTTP/1.1"
    assert headers["x-user-id"] == USER_ID
    assert headers["x-auth-token"] == TOKEN


def test_version_is_asked_for_without_credentials() -> None:
    with (
        Server(answering(http('{"version": "8.0", "success": true}'))) as server,
        Client(workspace(server.url)) as client,
    ):
        assert client.version() == "8.0"
    first, headers = asked(server.heads[0])
    assert first == "GET /api/info HTTP/1.1"
    assert "x-user-id" not in headers
    assert "x-auth-token" not in headers
    assert TOKEN not in server.heads[0]


def test_credentials_do_not_stay_on_the_session() -> None:
    info = http('{"version": "8.0", "success": true}')
    with Server(answering(GOOD, info)) as server, Client(workspace(server.url)) as client:
        client.current_operation()
        client.version()
    assert TOKEN in server.heads[0]
    assert TOKEN not in server.heads[1]


def test_netrc_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    info = http('{"version": "8.0", "success": true}')
    with Server(answering(GOOD, info)) as server, Client(workspace(server.url)) as client:
        client.current_operation()
        client.version()
    assert all("authorization" not in asked(head)[1] for head in server.heads)


# Good answers.


@pytest.mark.parametrize(
    "body",
    [
        '{"success": true}',
        '{"success": "true"}',
        '{"operation": null, "success": true}',
        '\ufeff{"success": true}',
    ],
)
def test_nothing_was_ever_imported(body: str) -> None:
    with Server(answering(http(body))) as server, Client(workspace(server.url)) as client:
        assert client.current_operation() is None


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=x", "", "?"]
)
def test_a_good_body_of_any_type(content_type: str) -> None:
    answer = http(json.dumps({"operation": OPERATION}), content_type=content_type)
    with Server(answering(answer)) as server, Client(workspace(server.url)) as client:
        assert client.current_operation() is not None


def test_chunks() -> None:
    body = json.dumps({"operation": OPERATION}).encode()
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"1\r\n" + body[index : index + 1] + b"\r\n" for index in range(len(body))
    )
    with (
        Server(answering(answer + b"0\r\n\r\n")) as server,
        Client(workspace(server.url)) as client,
    ):
        assert client.current_operation() is not None


def test_operations_of_odd_shape_are_still_operations() -> None:
    body = json.dumps([{}, {"_id": 7, "count": {"total": "0[object Promise]"}}])
    with Server(answering(http(body))) as server, Client(workspace(server.url)) as client:
        first, second = client.latest_operations()
    assert first.unreadable == ["_id"]
    assert second.unreadable == ["_id", "count.total"]


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ('{"version": "8.0", "success": true}', "8.0"),
        ('{"info": {"version": "5.4.3"}, "success": true}', "5.4.3"),
        ('{"success": true}', None),
        ('{"version": 8, "info": [], "success": true}', None),
    ],
)
def test_version(body: str, version: str | None) -> None:
    with Server(answering(http(body))) as server, Client(workspace(server.url)) as client:
        assert client.version() == version


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http("[]"), BadAnswer),
        (http('{"version": "8.0"}'), BadAnswer),
        (http('{"version": "8.0", "success": false}'), BadAnswer),
        (http('{"success": false, "error": "[not_authorized]"}', 403), BadAnswer),
        (http("<html>", content_type="text/html"), NotRocketChat),
    ],
)
def test_no_version(answer: bytes, kind: type[RocketChatError]) -> None:
    with (
        Server(answering(answer)) as server,
        Client(workspace(server.url)) as client,
        pytest.raises(RocketChatError) as caught,
    ):
        client.version()
    assert type(caught.value) is kind
    assert f"GET {server.url}/api/info " in str(caught.value)


@pytest.mark.parametrize(
    "body", ["{}", '{"operations": [], "success": true}', "null", "[1]", "[[]]"]
)
def test_no_list(body: str) -> None:
    with (
        Server(answering(http(body))) as server,
        Client(workspace(server.url)) as client,
        pytest.raises(BadAnswer, match="getLatestImportOperations was answered 200"),
    ):
        client.latest_operations()


def test_the_list_wants_another_permission() -> None:
    refused = http('{"success": false, "error": "[error-unauthorized]"}', 403)
    with (
        Server(answering(refused)) as server,
        Client(workspace(server.url)) as client,
        pytest.raises(PermissionMissing, match="view-import-operations") as caught,
    ):
        client.latest_operations()
    assert caught.value.permission == "view-import-operations"


# Trying again.


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


# Addresses.


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(silent, listening=False) as dead, Server(answering(GOOD)) as server:
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))
            for port in (dead.port, server.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: addresses)
        with Client(workspace("http://chat.invalid")) as client:
            assert client.current_operation() is not None
    assert "\r\nHost: chat.invalid\r\n" in server.heads[0]


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
def test_an_address_of_ipv6() -> None:
    with Server(answering(GOOD), host="::1") as server, Client(workspace(server.url)) as client:
        assert client.current_operation() is not None


# TLS.


def test_a_certificate_of_ones_own(certificate: tuple[Path, Path]) -> None:
    alone, with_key = certificate
    with (
        Server(answering(GOOD), tls=server_context(with_key)) as server,
        Client(workspace(server.url, ca_bundle=alone)) as client,
    ):
        assert client.current_operation() is not None
    assert TOKEN in server.heads[0]


def test_ca_bundle_of_the_workspace_comes_first(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone, with_key = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with (
        Server(answering(GOOD), tls=server_context(with_key)) as server,
        Client(workspace(server.url, ca_bundle=alone)) as client,
    ):
        assert client.current_operation() is not None


def test_a_self_signed_certificate(certificate: tuple[Path, Path]) -> None:
    with (
        Server(answering(GOOD), tls=server_context(certificate[1])) as server,
        Client(workspace(server.url)) as client,
        pytest.raises(Unreachable, match=r"self.signed certificate") as caught,
    ):
        client.current_operation()
    assert "CA_BUNDLE" in str(caught.value)
    assert f"default: GET {server.url}/api/v1/getCurrentImportOperation " in str(caught.value)
    assert server.heads == []
    # Another attempt would find the same certificate.
    assert server.connections == 1


def test_a_certificate_for_another_name(certificate: tuple[Path, Path]) -> None:
    alone, with_key = certificate
    with Server(answering(GOOD), tls=server_context(with_key)) as server:
        url = f"https://localhost:{server.port}"
        with (
            Client(workspace(url, ca_bundle=alone)) as client,
            pytest.raises(Unreachable, match=r"TLS: .*localhost"),
        ):
            client.current_operation()
    assert server.heads == []


def test_a_body_that_drips_through_tls(certificate: tuple[Path, Path]) -> None:
    alone, with_key = certificate
    drip = dripping(http("{", length=1_000), b" ")
    with Server(drip, tls=server_context(with_key)) as server:
        limits = workspace(server.url, ca_bundle=alone, timeout=0.3, deadline=0.3)
        assert_the_deadline_holds(limits)


def server_context(with_key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(with_key)
    return context


def assert_the_deadline_holds(limits: Workspace) -> None:
    began = time.monotonic()
    with Client(limits) as client, pytest.raises(Unreachable, match="within the deadline"):
        client.current_operation()
    assert time.monotonic() - began < limits.deadline + 1


# Proxies.


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(GOOD)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with Client(workspace("http://chat.invalid")) as client:
            assert client.current_operation() is not None
    first, headers = asked(proxy.heads[0])
    assert first == "GET http://chat.invalid/api/v1/getCurrentImportOperation HTTP/1.1"
    assert headers["x-auth-token"] == TOKEN


def test_no_proxy_is_used_where_there_should_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(silent) as proxy, Server(answering(GOOD)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with Client(workspace(server.url)) as client:
            assert client.current_operation() is not None
        assert proxy.connections == 0


def test_a_tunnel_does_not_see_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(http("no", 407, "text/plain"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with (
            Client(workspace("https://chat.invalid")) as client,
            pytest.raises(Unreachable, match="407"),
        ):
            client.current_operation()
    assert proxy.heads
    for head in proxy.heads:
        assert head.startswith("CONNECT chat.invalid:443 HTTP/1.")
        assert TOKEN not in head


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        pytest.param(http("{", length=1_000), b" ", id="body"),
        pytest.param(b"HTTP/1.1 200 ", b"O", id="status line"),
    ],
)
def test_the_deadline_holds_through_a_proxy(
    start: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(dripping(start, drop)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert_the_deadline_holds(workspace("http://chat.invalid", timeout=0.3, deadline=0.3))


def test_the_deadline_holds_while_a_tunnel_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert_the_deadline_holds(workspace("https://chat.invalid", timeout=0.3, deadline=0.3))
