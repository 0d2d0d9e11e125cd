"""Connections to a workspace: addresses, TLS, proxies."""

import socket
import ssl
from pathlib import Path

import pytest

from importmonitor.rocketchat.client import Client
from importmonitor.rocketchat.exceptions import Unreachable
from tests.remote.helpers import GOOD, TOKEN, assert_deadline_holds, parse_head, workspace_config
from tests.remote.servers import (
    Server,
    answering,
    dripping,
    has_ipv6,
    http,
    silent,
)

# Addresses.


def test_next_address_is_tried_if_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(silent, listening=False) as dead, Server(answering(GOOD)) as server:
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))
            for port in (dead.port, server.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: addresses)
        with Client(workspace_config("http://chat.invalid")) as client:
            assert client.current_operation() is not None
    assert "\r\nHost: chat.invalid\r\n" in server.heads[0]


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_ipv6_address_works() -> None:
    with (
        Server(answering(GOOD), host="::1") as server,
        Client(workspace_config(server.url)) as client,
    ):
        assert client.current_operation() is not None


# TLS.


def test_ca_bundle_makes_certificate_trusted(certificate: tuple[Path, Path]) -> None:
    alone, with_key = certificate
    with (
        Server(answering(GOOD), tls=server_context(with_key)) as server,
        Client(workspace_config(server.url, ca_bundle=alone)) as client,
    ):
        assert client.current_operation() is not None
    assert TOKEN in server.heads[0]


def test_ca_bundle_overrides_environment(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone, with_key = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with (
        Server(answering(GOOD), tls=server_context(with_key)) as server,
        Client(workspace_config(server.url, ca_bundle=alone)) as client,
    ):
        assert client.current_operation() is not None


def test_self_signed_certificate_is_rejected_once(certificate: tuple[Path, Path]) -> None:
    with (
        Server(answering(GOOD), tls=server_context(certificate[1])) as server,
        Client(workspace_config(server.url)) as client,
        pytest.raises(Unreachable, match=r"self.signed certificate") as caught,
    ):
        client.current_operation()
    assert "CA_BUNDLE" in str(caught.value)
    assert f"default: GET {server.url}/api/v1/getCurrentImportOperation " in str(caught.value)
    assert server.heads == []
    assert server.connections == 1


def test_certificate_for_another_name_is_rejected(certificate: tuple[Path, Path]) -> None:
    alone, with_key = certificate
    with Server(answering(GOOD), tls=server_context(with_key)) as server:
        url = f"https://localhost:{server.port}"
        with (
            Client(workspace_config(url, ca_bundle=alone)) as client,
            pytest.raises(Unreachable, match=r"TLS: .*localhost"),
        ):
            client.current_operation()
    assert server.heads == []


def test_deadline_holds_with_tls(certificate: tuple[Path, Path]) -> None:
    alone, with_key = certificate
    drip = dripping(http("{", length=1_000), b" ")
    with Server(drip, tls=server_context(with_key)) as server:
        config = workspace_config(server.url, ca_bundle=alone, timeout=0.3, deadline=0.3)
        assert_deadline_holds(config)


def server_context(with_key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(with_key)
    return context


# Proxies.


def test_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(GOOD)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with Client(workspace_config("http://chat.invalid")) as client:
            assert client.current_operation() is not None
    first, headers = parse_head(proxy.heads[0])
    assert first == "GET http://chat.invalid/api/v1/getCurrentImportOperation HTTP/1.1"
    assert headers["x-auth-token"] == TOKEN


def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(silent) as proxy, Server(answering(GOOD)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with Client(workspace_config(server.url)) as client:
            assert client.current_operation() is not None
        assert proxy.connections == 0


def test_tunnel_request_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(http("no", 407, "text/plain"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with (
            Client(workspace_config("https://chat.invalid")) as client,
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
def test_deadline_holds_through_proxy(
    start: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(dripping(start, drop)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert_deadline_holds(workspace_config("http://chat.invalid", timeout=0.3, deadline=0.3))


def test_deadline_holds_while_tunnel_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert_deadline_holds(workspace_config("https://chat.invalid", timeout=0.3, deadline=0.3))
