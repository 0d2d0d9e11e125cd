"""Loopback servers for what a mock of `requests` cannot show: time, size, broken connections."""

import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from types import TracebackType
from typing import Self

MIB = 2**20


class Connection:
    """A client's connection; reading and sending raise OSError once either side has closed it."""

    def __init__(self, sock: socket.socket, server: "Server", number: int) -> None:
        self.sock = sock
        self.number = number
        self._server = server
        self._received = b""

    def read_head(self) -> str:
        """Return the next request's head, or "" if the client has closed the connection."""
        while b"\r\n\r\n" not in self._received:
            data = self.sock.recv(65_536)
            if not data:
                return ""
            self._received += data
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        self._server.heads.append(text)
        return text

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def pause(self, seconds: float) -> bool:
        """Wait; return whether the server still runs."""
        return not self._server.stopping.wait(seconds)

    def wait_for_the_end(self) -> None:
        """Wait until the client closes the connection."""
        while self.sock.recv(65_536):
            pass

    def reset(self) -> None:
        """Close the connection with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Connection], None]


class Server:
    """Listens on a free port of loopback and passes each connection to `behaviour`.

    With `listening=False` the port is bound and refuses connections until `listen` is called.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        tls: ssl.SSLContext | None = None,
        scheme: str | None = None,
        host: str = "127.0.0.1",
        listening: bool = True,
    ) -> None:
        self.heads: list[str] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._behaviour = behaviour
        self._tls = tls
        self._scheme = scheme or ("https" if tls else "http")
        self._errors: list[Exception] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting: threading.Thread | None = None
        self._host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind((host, 0))
        self.port: int = self._listener.getsockname()[1]
        if listening:
            self.listen()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self.port}"

    def listen(self) -> None:
        self._listener.listen()
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        if self._accepting is not None:
            # Closing a socket does not wake a thread that waits in its accept().
            with suppress(OSError):
                socket.create_connection((self._host, self.port), timeout=30).close()
            self._accepting.join(30)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads)
        if self._errors and error is None:
            raise self._errors[0]

    def wait_until_hung_up(self) -> None:
        """Wait until all connections that were opened so far are closed."""
        for thread in list(self._threads):
            thread.join(30)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.stopping.is_set():
                sock.close()
                return
            sock.settimeout(60)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections))
            self.connections += 1
            self._sockets.append(sock)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            with sock:
                self._behaviour(Connection(sock, self, number))
        except OSError:
            sock.close()
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            self._errors.append(error)


def http(
    body: bytes | str = b"",
    status: int = 200,
    content_type: str = "application/json",
    *,
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> bytes:
    """Return a response as it goes over the wire; `length` overrides its Content-Length."""
    content = body.encode() if isinstance(body, str) else body
    lines = {
        "Content-Type": content_type,
        "Content-Length": str(len(content) if length is None else length),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{first}{head}\r\n".encode("latin-1") + content


def answering(*responses: bytes) -> Behaviour:
    """Respond to one request after another of a connection, then close it."""

    def behave(connection: Connection) -> None:
        for response in responses:
            if not connection.read_head():
                return
            connection.send(response)

    return behave


def echoing(respond: Callable[[str], bytes]) -> Behaviour:
    """Respond with what `respond` makes of the request's head, then close the connection."""

    def behave(connection: Connection) -> None:
        connection.send(respond(connection.read_head()))

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Apply the first behaviour to the first connection, and so on; the last to all others."""

    def behave(connection: Connection) -> None:
        behaviours[min(connection.number, len(behaviours) - 1)](connection)

    return behave


def dripping(start: bytes, drop: bytes) -> Behaviour:
    """Send `start`, and then a drop every 50 ms, for longer than any test should wait."""

    def behave(connection: Connection) -> None:
        connection.read_head()
        connection.send(start)
        for _ in range(1_200):
            if not connection.pause(0.05):
                return
            connection.send(drop)

    return behave


def flooding(start: bytes, size: int) -> Behaviour:
    """Send `start` and then `size` bytes."""

    def behave(connection: Connection) -> None:
        connection.read_head()
        connection.send(start)
        block = b"x" * 65_536
        for _ in range(size // len(block)):
            connection.send(block)

    return behave


def silent(connection: Connection) -> None:
    """Accept, and send nothing."""
    connection.wait_for_the_end()


def resetting(connection: Connection) -> None:
    """Read the request, and reset the connection."""
    connection.read_head()
    connection.reset()


def has_ipv6() -> bool:
    """Return whether a server can listen on ::1 here."""
    if not socket.has_ipv6:
        return False
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            return False
    return True


@cache
def gzip_bomb() -> bytes:
    """Return half a megabyte that gunzips to 512 MiB.

    A gzip file may have many members, so that only one of them has to be compressed.
    """
    return gzip.compress(b"x" * (16 * MIB)) * 32
