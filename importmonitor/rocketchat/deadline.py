"""urllib3 connections that keep one deadline over everything that a server sends.

A read time-out starts anew with every byte, so a server that drips one now and then holds its
caller for as long as it likes: in the body, and just as well in the status line and the headers,
which http.client reads before anyone else sees them. Here each read from the socket is given no
more than what is left until the deadline.

The time-out for connecting, too, starts anew with each address of a host that has several.

Not covered, because Python cannot: looking up a name, which the resolver's own time-outs bound.
"""

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

_deadline: ContextVar[float] = ContextVar("deadline")


@contextmanager
def keeping(deadline: float) -> Iterator[None]:
    """Keep `deadline` (on `time.monotonic`'s clock) over the answers received inside.

    A read that would pass it raises TimeoutError, which urllib3 turns into its ReadTimeoutError.
    """
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class _DeadlineReader(io.RawIOBase):
    """Reads a socket's file as `socket.makefile` would, a time-out before each read."""

    def __init__(self, file: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._file = file
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        self._sock.settimeout(left if self._timeout is None else min(left, self._timeout))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock, _deadline.get()))

    def begin(self) -> None:
        super().begin()
        # What could not be read of the headers, urllib3 would log, whatever a server has put
        # there: the headers that we sent, say. What could be read is good enough.
        self.msg.defects.clear()
        self.msg.set_payload("")


def _connect(connection: HTTPConnection) -> socket.socket:
    """Connect to the first address of a host that answers; raises urllib3's exceptions."""
    # As urllib3's own: with the dot that ends a full name, which `host` is shown without.
    host, port = connection._dns_host, connection.port  # noqa: SLF001 - for a subclass to use
    failure: OSError | None = None
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    for family, kind, protocol, _name, address in addresses:
        left = _deadline.get() - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(min(left, connection.timeout or left))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
            continue
        return sock
    if failure is None or isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, "the time for connecting is over")
    raise NewConnectionError(connection, str(failure)) from failure


class _HTTPConnection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


#: For a urllib3 PoolManager's `pool_classes_by_scheme`.
POOL_CLASSES = {"http": _HTTPConnectionPool, "https": _HTTPSConnectionPool}
