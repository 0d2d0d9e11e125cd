"""Connections to a workspace: addresses, TLS, proxies."""

import socket
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from importmonitor.rocketchat import tls
from importmonitor.rocketchat.client import Client, proxy_address, proxy_for
from importmonitor.rocketchat.exceptions import Unreachable
from tests.remote.certificates import make_certificate
from tests.remote.helpers import (
    GOOD,
    HEADERS,
    TOKEN,
    assert_deadline_holds,
    parse_head,
    workspace_config,
)
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


# Names.

REAL_GETADDRINFO = socket.getaddrinfo


def resolve_to_loopback(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give all names the address 127.0.0.1; return the list of those that will be resolved."""
    names: list[str] = []

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> Any:
        # The server connects to itself by its address.
        if host != "127.0.0.1":
            names.append(host)
        return REAL_GETADDRINFO("127.0.0.1", port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def test_slow_resolver_does_not_outlast_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    resolvers: list[threading.Thread] = []

    def getaddrinfo(*_args: Any, **_options: Any) -> Any:
        resolvers.append(threading.current_thread())
        released.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        with (
            Client(workspace_config("http://chat.invalid", deadline=0.2)) as client,
            pytest.raises(
                Unreachable, match=r"not resolved within the deadline of 0\.2 s"
            ) as caught,
        ):
            client.current_operation()
        assert not released.is_set()
        assert "DNS server" in str(caught.value)
        # It does not keep the process from ending either.
        assert [thread.daemon for thread in resolvers] == [True]
    finally:
        released.set()


def test_address_needs_no_resolver_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def getaddrinfo(*args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return REAL_GETADDRINFO(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with Server(answering(GOOD)) as server, Client(workspace_config(server.url)) as client:
        client.current_operation()
    assert set(threads) == {threading.current_thread()}


def test_name_below_localhost_is_not_asked_from_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = resolve_to_loopback(monkeypatch)
    with Server(answering(GOOD)) as server:
        with Client(workspace_config(f"http://chat.localhost:{server.port}")) as client:
            client.current_operation()
        assert f"\r\nHost: chat.localhost:{server.port}\r\n" in server.heads[0]
    assert names == ["localhost"]


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


def test_system_store_is_trusted_and_no_other(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """OpenSSL takes the place of the system's store from SSL_CERT_FILE and SSL_CERT_DIR."""
    alone, with_key = certificate
    other, _ = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    for store, certifi, is_trusted in ((alone, other, True), (other, alone, False)):
        monkeypatch.setenv("SSL_CERT_FILE", str(store))
        for module in ("utils", "adapters"):
            monkeypatch.setattr(f"requests.{module}.DEFAULT_CA_BUNDLE_PATH", str(certifi))
        with (
            Server(answering(GOOD), tls=server_context(with_key)) as server,
            Client(workspace_config(server.url)) as client,
        ):
            if is_trusted:
                assert client.current_operation() is not None
            else:
                with pytest.raises(Unreachable, match="TLS: "):
                    client.current_operation()
        assert len(server.heads) == is_trusted


def test_certifi_is_for_systems_without_a_store(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def count() -> int:
        context = tls.make_context(None, fallback=str(certificate[0]))
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        return context.cert_store_stats()["x509"]

    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        # Empty is what OpenSSL cannot read, and what counts as unset.
        monkeypatch.setenv(name, "")
    paths = SimpleNamespace(
        openssl_cafile_env="SSL_CERT_FILE",
        openssl_capath_env="SSL_CERT_DIR",
        openssl_capath=str(tmp_path / "certs"),
    )
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert count() == 1
    (tmp_path / "certs").mkdir()
    assert count() == 1
    # Loaded by OpenSSL when it needs them.
    (tmp_path / "certs" / "5ed36f99.0").touch()
    assert count() == 0
    monkeypatch.setattr(paths, "openssl_capath", str(tmp_path / "nowhere"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert count() == 0


def test_directory_of_certificates_can_be_the_bundle(tmp_path: Path) -> None:
    context = tls.make_context(str(tmp_path), fallback="")
    assert context.cert_store_stats()["x509"] == 0
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_certificate_in_place_of_its_path_is_not_repeated(certificate: tuple[Path, Path]) -> None:
    text = certificate[1].read_text()
    with pytest.raises(OSError, match="CA_BUNDLE") as caught:
        tls.make_context(text, fallback="")
    assert "BEGIN" not in str(caught.value)


def test_context_is_made_once_and_only_for_https(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, with_key = certificate
    made: list[str | None] = []
    make_context = tls.make_context

    def count(bundle: str | None, **options: Any) -> ssl.SSLContext:
        made.append(bundle)
        return make_context(bundle, **options)

    monkeypatch.setattr(tls, "make_context", count)
    with Server(answering(GOOD)) as server, Client(workspace_config(server.url)) as client:
        client.current_operation()
    assert made == []
    with (
        Server(answering(GOOD), tls=server_context(with_key)) as server,
        Client(workspace_config(server.url, ca_bundle=alone)) as client,
    ):
        for _ in range(2):
            client.current_operation()
            server.wait_until_hung_up()
    assert server.connections == 2
    assert made == [str(alone)]


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
    resolve_to_loopback(monkeypatch)
    with Server(silent) as proxy, Server(answering(GOOD)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "chat.invalid")
        with Client(workspace_config(f"http://chat.invalid:{server.port}")) as client:
            assert client.current_operation() is not None
        assert proxy.connections == 0


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "chat.localhost", "127.1"])
def test_loopback_never_uses_a_proxy(
    variable: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(silent) as proxy, Server(answering(GOOD)) as server:
        monkeypatch.setenv(variable, proxy.url)
        with Client(workspace_config(f"http://{host}:{server.port}")) as client:
            assert client.current_operation() is not None
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:hush@",
        "http://me:hush@:3128",
        "http://me:hu/sh@127.0.0.1:1",
        "http://me:12/hush@127.0.0.1:1",
        "http://me:12#hush@127.0.0.1:1",
        "http://me:12?hush@127.0.0.1:1",
        "http://me:12\\hush@127.0.0.1:1",
        "http://me:hush\u0439@127.0.0.1:1",
        "http://me:hush@127.0.0.1:65536",
        "http://me:hush@127.0.0.1:port",
        "http://me:hush@[::1",
        "ftp://me:hush@127.0.0.1",
        "me:hush:3128",
        "://hush",
        "hush://",
        " ",
    ],
)
def test_unusable_proxy_is_an_error_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    names = resolve_to_loopback(monkeypatch)
    for url in ("http://chat.invalid", "https://chat.invalid"):
        with (
            Client(workspace_config(url)) as client,
            pytest.raises(Unreachable, match="the environment's proxy") as caught,
        ):
            client.current_operation()
        assert str(caught.value).startswith(f"default: GET {url}/api/v1/getCurrent")
        assert "hu" not in str(caught.value)
        assert caught.value.__context__ is None
    assert names == []


@pytest.mark.parametrize(
    ("proxy", "authorization"),
    [
        ("http://me:p%40ss%2Fw@{}", "Basic bWU6cEBzcy93"),
        ("http://me:p@ss@{}", "Basic bWU6cEBzcw=="),
        # As curl accepts it.
        ("me:pass@{}", "Basic bWU6cGFzcw=="),
        ("http://{}/", None),
        ("{}", None),
    ],
)
def test_proxy_gets_its_password(
    proxy: str, authorization: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(answering(GOOD)) as server:
        address = f"127.0.0.1:{server.port}"
        monkeypatch.setenv("http_proxy", proxy.format(address))
        with Client(workspace_config("http://chat.invalid")) as client:
            client.current_operation()
    assert parse_head(server.heads[0])[1].get("proxy-authorization") == authorization
    used = proxy_for("http://chat.invalid")
    assert used is not None
    assert proxy_address(used).rstrip("/") == f"http://{address}"


@pytest.mark.parametrize(
    ("url", "response", "request_line"),
    [
        ("http://chat.invalid", GOOD, "GET http://chat.invalid/api"),
        ("https://chat.invalid", http("no", 407, "text/plain"), "CONNECT chat.invalid:443 "),
    ],
)
def test_certificate_of_proxy_is_verified(
    url: str,
    response: bytes,
    request_line: str,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone, with_key = certificate
    with Server(answering(response), tls=server_context(with_key)) as proxy:
        monkeypatch.setenv("all_proxy", proxy.url)
        with Client(workspace_config(url)) as client, pytest.raises(Unreachable, match="TLS: "):
            client.current_operation()
        assert proxy.heads == []
        with Client(workspace_config(url, ca_bundle=alone)) as client:
            if response == GOOD:
                assert client.current_operation() is not None
            else:
                with pytest.raises(Unreachable, match="407"):
                    client.current_operation()
    assert proxy.heads[0].startswith(request_line)


def test_tunnel_request_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(answering(http("no", 407, "text/plain"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with (
            Client(workspace_config("https://chat.invalid", headers=HEADERS)) as client,
            pytest.raises(Unreachable, match="407"),
        ):
            client.current_operation()
    assert proxy.heads
    for head in proxy.heads:
        assert head.startswith("CONNECT chat.invalid:443 HTTP/1.")
        assert TOKEN not in head
        assert "Basic" not in head


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
