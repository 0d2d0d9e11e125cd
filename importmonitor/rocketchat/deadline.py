"""urllib3 connections that keep one deadline over a whole call.

A read time-out starts again with every byte, so a server that sends one byte now and then can hold
a client for as long as it likes: in the body, and also in the status line and the headers, which
http.client reads. Here the time-out of each read is at most the time left until the deadline.
The time-out for connecting also starts again, with each address of a host that has several.

Python cannot interrupt name resolution, so that runs in a thread of its own. The call waits for it
no longer than until the deadline; the thread ends with the resolver's own time-outs.

Informational responses (1xx) before the final one are skipped: http.client skips only the 100.
"""

import http.client
import io
import ipaddress
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from importmonitor.rocketchat.urls import is_localhost

#: When the present call has to be over, on the clock of `time.monotonic`.
DEADLINE: ContextVar[float] = ContextVar("DEADLINE")

#: More informational responses to one request are no server's.
MAX_INFORMATIONAL = 20


class ResolverTimeout(TimeoutError):
    """The name of the server, or of the proxy, was not resolved by the deadline."""


def _limit(timeout: float | None, deadline: float) -> float:
    """Return a time-out that ends by the deadline; raises TimeoutError if that has passed."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out: the deadline has passed")
    return remaining if timeout is None else min(timeout, remaining)


class _DeadlineReader(io.RawIOBase):
    """A socket's file, as `socket.makefile` returns it, that limits the time of each read."""

    def __init__(self, file: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._file = file
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._deadline = DEADLINE.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_limit(self._timeout, self._deadline))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        # Of http.client's private methods, the one that reads a status line for all its readers:
        # responses, and those of a proxy that makes a tunnel.
        for _ in range(MAX_INFORMATIONAL + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many informational responses")

    def begin(self) -> None:
        super().begin()
        # urllib3 logs the headers that it cannot parse, and a server could have put anything into
        # them, such as the headers of our request. What was parsed is good enough.
        self.msg.defects.clear()
        self.msg.set_payload("")


def _resolve(host: str, port: int) -> list[Any]:
    """Return the addresses of a host; raises ResolverTimeout at the deadline."""
    if is_localhost(host):
        # Not all resolvers know that names below `localhost` are loopback; some ask the network.
        host = "localhost"
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    results: SimpleQueue[list[Any] | Exception] = SimpleQueue()

    def resolve() -> None:
        try:
            results.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised again by the caller
            results.put(error)

    threading.Thread(target=resolve, daemon=True, name="importmonitor-resolver").start()
    try:
        result = results.get(timeout=_limit(None, DEADLINE.get()))
    except Empty:
        raise ResolverTimeout("timed out: the name was not resolved") from None
    if isinstance(result, Exception):
        raise result
    return result


class _DeadlineHTTPConnection(HTTPConnection):
    response_class = _DeadlineResponse

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that accepts; raises OSError, which urllib3 wraps."""
        error: OSError | None = None
        # Like urllib3's own: `_dns_host` keeps the final dot of an absolute name, `host` does not.
        addresses = _resolve(self._dns_host, self.port)
        for family, kind, protocol, _name, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(_limit(self.timeout, DEADLINE.get()))
                sock.connect(address)
            except OSError as connect_error:
                sock.close()
                error = connect_error
            else:
                return sock
        raise error or OSError("the host has no address")


class _DeadlineHTTPSConnection(_DeadlineHTTPConnection, HTTPSConnection):
    pass


#: What replaces urllib3's connection classes. A SOCKS proxy has connection classes of its own,
#: which stay: there the time-outs hold, but not the deadline.
CONNECTION_CLASSES = {
    HTTPConnection: _DeadlineHTTPConnection,
    HTTPSConnection: _DeadlineHTTPSConnection,
}
