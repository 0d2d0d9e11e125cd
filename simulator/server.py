"""The HTTP server of simulated workspaces."""

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any, Self

from simulator.responses import Response, respond
from simulator.workspace import Workspace

OnResponse = Callable[[str, str, float, float], None]

_POLL_INTERVAL = 0.02
_NO_WORKSPACE = Response(404, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>Not Found</h1>\n")


class Server:
    """Serves one workspace or several, with a thread for each connection.

    Use it as a context manager, or call `start()` and `close()`. The constructor binds the port.

    Args:
        workspaces: a workspace, or several by the prefix of their paths (`""`, `"/globex"`).
        host: the address to bind.
        port: the port; 0 chooses a free one.
        latency: seconds by which every response is delayed.
        on_response: called after each response of a workspace, in the connection's thread, with
            the workspace's prefix, the path within it, and the times of the request and of the
            response, in seconds of `time.monotonic`.

    Attributes:
        url: the base URL without a final slash, to which a workspace's prefix is appended.

    Raises:
        OSError: the port cannot be bound.
    """

    def __init__(
        self,
        workspaces: Workspace | Mapping[str, Workspace],
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        on_response: OnResponse | None = None,
    ) -> None:
        if isinstance(workspaces, Workspace):
            workspaces = {"": workspaces}
        self._http = _HTTPServer((host, port), dict(workspaces), latency, on_response)
        self._thread: threading.Thread | None = None
        self.url = f"http://{host}:{self._http.server_address[1]}"

    def start(self) -> None:
        """Start to serve."""
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_POLL_INTERVAL,), name="simulator"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop at once, even in the middle of a response, and end all threads."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.close_connections()
        self._http.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _HTTPServer(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = False
    request_queue_size = 128
    allow_reuse_port = False  # newer Pythons would share a port that is in use

    def __init__(
        self,
        address: tuple[str, int],
        workspaces: dict[str, Workspace],
        latency: float,
        on_response: OnResponse | None,
    ) -> None:
        self.workspaces = workspaces
        self.latency = latency
        self.on_response = on_response
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer.server_bind resolves the host's name, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close all connections, so that their threads end."""
        self.closing.set()
        with self._connections_lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client closed it first

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that disconnects is no error
            super().handle_error(request, client_address)

    def find(self, path: str) -> tuple[str, str] | None:
        """Return the longest matching prefix of a workspace, and the path within it."""
        prefix = path
        while prefix:
            prefix = prefix.rpartition("/")[0]
            if prefix in self.workspaces:
                return prefix, path.removeprefix(prefix)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: _HTTPServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: one packet for head and body

    def _respond(self) -> None:
        if length := self.headers.get("Content-Length", ""):
            self.rfile.read(int(length) if length.isdigit() else 0)
        requested_at = time.monotonic()
        path, _, query = self.path.partition("?")
        if self.server.latency:
            self.server.closing.wait(self.server.latency)
        match = self.server.find(path)
        response = _NO_WORKSPACE
        if match is not None:
            prefix, path = match
            workspace = self.server.workspaces[prefix]
            headers = dict(self.headers.items())
            client_ip = self.client_address[0]
            response = respond(workspace, self.command, path, query, headers, client_ip)
        self.send_response_only(response.status)
        if match is not None:
            self.send_header("Date", format_datetime(workspace.server_time(), usegmt=True))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        if match is not None and self.server.on_response is not None:
            self.server.on_response(*match, requested_at, time.monotonic())

    def do_GET(self) -> None:
        """Respond to a GET."""
        self._respond()

    def do_HEAD(self) -> None:
        """Respond to a HEAD."""
        self._respond()

    def do_POST(self) -> None:
        """Respond to a POST."""
        self._respond()

    def do_PUT(self) -> None:
        """Respond to a PUT."""
        self._respond()

    def do_DELETE(self) -> None:
        """Respond to a DELETE."""
        self._respond()

    def log_message(self, *_args: object, **_more: object) -> None:
        """Log nothing: `Workspace.requests` counts the requests."""
