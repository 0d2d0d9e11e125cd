"""gunicorn's worker with threads, with time limits for clients. See deploy/gunicorn.conf.py.

It overrides methods of gunicorn 27 that are not documented; tests/process/test_gunicorn.py fails
if they no longer work. With gunicorn's own TLS there are no limits: terminate TLS in a proxy.
"""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

#: In seconds, for a whole request: single bytes do not prolong it.
REQUEST_TIMEOUT = 10.0
#: In seconds, until a client takes the next part of a response.
RESPONSE_TIMEOUT = 30.0


class ClientSocket(socket.socket):
    """A connection that is reset when its client is too slow."""

    _request_ends_at = 0.0

    def setblocking(self, flag: bool) -> None:
        """Set the limits, also where gunicorn wants none: it does so at the start of a request."""
        self._request_ends_at = time.monotonic() + REQUEST_TIMEOUT
        self.settimeout(RESPONSE_TIMEOUT if flag else 0)

    def recv(self, *args: Any) -> bytes:
        timeout = self.gettimeout() or 0
        with self._reset_on_timeout():
            remaining = self._request_ends_at - time.monotonic()
            self.settimeout(max(0.001, min(timeout, remaining)))
            data = super().recv(*args)
        self.settimeout(timeout)
        return data

    def sendall(self, data: Any, *args: Any) -> None:
        # The time limit of the original is for all of the data.
        view = memoryview(data)
        with self._reset_on_timeout():
            while view:
                view = view[self.send(view, *args) :]

    def sendfile(self, *args: Any, **kwargs: Any) -> int:
        with self._reset_on_timeout():
            return super().sendfile(*args, **kwargs)

    @contextmanager
    def _reset_on_timeout(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            # So that nothing waits for the client to close it.
            with suppress(OSError):
                self.shutdown(socket.SHUT_RDWR)
            # gunicorn ignores it, as it does when a client hangs up.
            raise ConnectionResetError(errno.ECONNRESET, "the client was too slow") from None


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """gthread, whose threads would wait for a client without limit."""

    def enqueue_req(self, conn: Any) -> None:
        if not isinstance(conn.sock, ClientSocket):
            conn.sock = ClientSocket(fileno=conn.sock.detach())
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        result = super().handle(conn)
        if not result:
            # gthread does this in its main thread, where all other connections would wait for up
            # to 2 s.
            util.close_graceful(conn.sock)
            conn.close = lambda **_kwargs: None
        return result
